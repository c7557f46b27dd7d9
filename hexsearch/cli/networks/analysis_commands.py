"""`analyze` and `predict`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from hexsearch.analysis.boards import Positions, mover_name, read_positions
from hexsearch.analysis.loading import LoadedCheckpoint, load_network
from hexsearch.analysis.predictor import Predictor, best_moves
from hexsearch.analysis.value_analyzer import Analysis
from hexsearch.cli.arguments import add_command, add_format, add_games, add_looks, looks_of
from hexsearch.data.archive import GameArchive
from hexsearch.errors import ConfigError
from hexsearch.game.formats.lines import position_lines
from hexsearch.interface.networks import analyze
from hexsearch.report import analysis_pictures as pictures
from hexsearch.report.analysis_tables import Prediction, render_analysis, render_predictions
from hexsearch.report.board_answers import boards_of_a_game
from hexsearch.report.terminal import Console
from hexsearch.training.atomic import write_atomically

_PIPE_WIDTH = 160  # columns of a table in a file or a pipe


def register(commands: Any) -> None:
    """Add the sub-commands that evaluate a network."""
    analyze = add_command(
        commands,
        "analyze",
        [
            "results/NAME/winner/model.pt --games my_games/",
            "results/NAME/winner/model.pt --games starter --output pictures/",
            "new/model.pt --games my_games/ --against old/model.pt",
        ],
        "Evaluate a checkpoint on games on which it was not trained, and on positions whose winner "
        "is certain.",
    )
    analyze.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model.pt")
    add_games(analyze, required=True)
    add_looks(analyze)
    analyze.add_argument(
        "--test-games",
        action="store_true",
        help="evaluate the test games, once, when everything has been chosen",
    )
    analyze.add_argument(
        "--against",
        type=Path,
        metavar="CHECKPOINT",
        help="also print the differences to its plain answers, paired by game",
    )
    analyze.add_argument(
        "--same-looks",
        action="store_true",
        help="let the network of --against look as often as this one",
    )
    analyze.add_argument("--output", type=Path, metavar="DIR", help="also draw pictures, as SVG")
    add_format(analyze)
    analyze.set_defaults(run=run_analyze)

    predict = add_command(
        commands,
        "predict",
        [
            "results/NAME/winner/model.pt '#13,g7f8'",
            "results/NAME/winner/model.pt --file positions.txt --format json",
        ],
    )
    predict.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model.pt")
    predict.add_argument("positions", nargs="*", metavar="POSITION", help="such as '#13,g7f8'")
    predict.add_argument(
        "--file", type=Path, metavar="PATH", help="file of positions, one on each line"
    )
    add_looks(predict)
    predict.add_argument("--top", type=int, default=3, metavar="N", help="best moves to list")
    add_format(predict)
    predict.set_defaults(run=run_predict)


def run_analyze(arguments: argparse.Namespace) -> int:
    """Evaluate a checkpoint on held-out games and on known positions."""
    one_thread()
    messages = Console(stderr=True, highlight=False)
    symmetric, look_ahead = looks_of(arguments)
    found = analyze(
        arguments.checkpoint,
        arguments.games,
        symmetric=symmetric,
        look_ahead=look_ahead,
        test_games=arguments.test_games,
        against=arguments.against,
        same_looks=arguments.same_looks,
        say=lambda line: messages.print(Text(line), soft_wrap=True),
    )
    if arguments.output is not None:
        predictor = load_network(arguments.checkpoint).predictor
        for path in _draw(found.analysis, predictor, found.archive, arguments.output):
            messages.print(Text(f"drew {path}"), soft_wrap=True)
    if arguments.format == "json":
        json.dump(found.to_json(), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        console = stdout()
        name = str(arguments.checkpoint)
        console.print(render_analysis(found.analysis, name, console.width, found.against))
    return 0


def run_predict(arguments: argparse.Namespace) -> int:
    """Print answers for positions on the command line or in a file."""
    texts = list(arguments.positions)
    if arguments.file is not None:
        texts += position_lines(arguments.file)
    if not texts:
        raise ConfigError("no position is given; write one such as '#13,g7a1', or give a --file")
    if arguments.top < 1:
        raise ConfigError(f"--top {arguments.top}: must be 1 or more")
    loaded = _load(arguments.checkpoint)
    positions = read_positions(texts, loaded.data.board_size)
    predictor = loaded.predictor.with_looks(*looks_of(arguments))
    predictions = _predict(predictor, texts, positions, arguments.top)
    if arguments.format == "json":
        for prediction in predictions:
            print(json.dumps(_as_json(prediction), allow_nan=False))
    else:
        console = stdout()
        console.print(render_predictions(predictions, console.width))
    return 0


def _predict(
    predictor: Predictor, texts: list[str], positions: Positions, top: int
) -> list[Prediction]:
    answers = predictor.answer(positions)
    predictions = []
    for index, (text, stones) in enumerate(zip(texts, positions.stones, strict=True)):
        predictions.append(
            Prediction(
                position=text,
                stones=stones,
                to_move=int(positions.to_move[index]) or None,
                win_prob_red=float(answers.win_prob_red[index]),
                best_moves=best_moves(answers.policy[index], positions.size, top),
            )
        )
    return predictions


def _as_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "position": prediction.position,
        "to_move": None if prediction.to_move is None else mover_name(prediction.to_move),
        "win_prob_red": prediction.win_prob_red,
        "win_prob_blue": 1.0 - prediction.win_prob_red,
        "best_moves": [{"move": name, "prob": chance} for name, chance in prediction.best_moves],
    }


def _draw(
    analysis: Analysis, predictor: Predictor, archive: GameArchive, folder: Path
) -> list[Path]:
    drawn = {
        "reliability.svg": pictures.draw_reliability(analysis),
        "stages.svg": pictures.draw_stages(analysis),
        "course.svg": pictures.draw_course(analysis),
        "boards.svg": pictures.draw_boards(
            boards_of_a_game(analysis.evaluation, predictor, archive)
        ),
    }
    for name, svg in drawn.items():
        write_atomically(folder / name, svg.encode())
    return [folder / name for name in drawn]


def one_thread() -> None:
    """Let torch compute in one thread, where there is no GPU."""
    if not torch.cuda.is_available():
        # Two threads on a busy machine with two cores wait for each other; one thread is faster.
        torch.set_num_threads(1)


def _load(path: Path) -> LoadedCheckpoint:
    one_thread()
    return load_network(path)


def stdout() -> Console:
    """A console as wide as the terminal. A file or a pipe gets all columns."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_PIPE_WIDTH, highlight=False)
    return console
