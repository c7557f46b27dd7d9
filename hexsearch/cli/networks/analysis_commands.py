"""`analyze` and `predict`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from hexsearch.analysis.boards import Positions, mover_name, read_positions
from hexsearch.analysis.loading import LoadedCheckpoint, load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.analysis.unseen import Hashes, archive_beside, unseen_games
from hexsearch.analysis.value_analyzer import Analysis, ValueHeadAnalyzer
from hexsearch.cli.arguments import add_command, add_format, add_games
from hexsearch.data.archive import GameArchive
from hexsearch.data.collection.importing import import_games
from hexsearch.errors import ConfigError
from hexsearch.game.board import cell_name
from hexsearch.report import analysis_pictures as pictures
from hexsearch.report.analysis_tables import Prediction, render_analysis, render_predictions
from hexsearch.report.board_answers import boards_of_a_game
from hexsearch.training.atomic import write_atomically

_PIPE_WIDTH = 160  # of a table that goes into a file or a pipe


def register(commands: Any) -> None:
    """Add the sub-commands that judge a network."""
    analyze = add_command(
        commands,
        "analyze",
        [
            "results/NAME/winner/model.pt --games my_games/",
            "results/NAME/winner/model.pt --games starter --output pictures/",
        ],
        "Say how good a checkpoint is on games that it was not trained on, and on positions whose "
        "winner is certain.",
    )
    analyze.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model.pt")
    add_games(analyze, required=True)
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
    predict.add_argument("--file", type=Path, metavar="PATH", help="positions, one a line")
    predict.add_argument(
        "--symmetric", action="store_true", help="average over the four symmetries"
    )
    predict.add_argument("--top", type=int, default=3, metavar="N", help="best moves to list")
    add_format(predict)
    predict.set_defaults(run=run_predict)


def run_analyze(arguments: argparse.Namespace) -> int:
    """Judge a checkpoint on held-out games and on known positions."""
    loaded = _load(arguments.checkpoint)
    messages = Console(stderr=True, highlight=False)
    archive, imported = import_games(
        arguments.games,
        loaded.data.board_size,
        say=lambda line: messages.print(Text(line), soft_wrap=True),
    )
    messages.print(Text(imported.summary()), soft_wrap=True)
    if archive.content_hash == loaded.archive_hash:
        training: Hashes | None = archive.hashes
    else:
        training = loaded.games
        if training is None:
            training = archive_beside(arguments.checkpoint, loaded.archive_hash)
    unseen = unseen_games(archive, loaded.data, training)
    messages.print(Text(str(unseen)), soft_wrap=True)
    analysis = ValueHeadAnalyzer(
        loaded.predictor, archive, unseen.judged, unseen.trained_on, loaded.data.stages
    ).analyse()
    if arguments.output is not None:
        for path in _draw(analysis, loaded.predictor, archive, arguments.output):
            messages.print(Text(f"drew {path}"), soft_wrap=True)
    if arguments.format == "json":
        description = {
            "checkpoint": str(arguments.checkpoint),
            "positions_seen": loaded.positions_seen,
            # Test games are for confirmation and ensembles alone.
            "left_out": {
                "trained_on": len(unseen.trained_on),
                "for_confirmation": len(unseen.for_confirmation),
            },
        }
        json.dump({**description, **analysis.to_json()}, sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        console = stdout()
        console.print(render_analysis(analysis, str(arguments.checkpoint), console.width))
    return 0


def run_predict(arguments: argparse.Namespace) -> int:
    """Answer positions given on the command line or in a file."""
    texts = list(arguments.positions)
    if arguments.file is not None:
        texts += _lines(arguments.file)
    if not texts:
        raise ConfigError("no position given; write one such as '#13,g7a1', or name a --file")
    if arguments.top < 1:
        raise ConfigError(f"--top {arguments.top}: must be 1 or more")
    loaded = _load(arguments.checkpoint)
    positions = read_positions(texts, loaded.data.board_size)
    predictions = _predict(loaded.predictor, texts, positions, arguments.symmetric, arguments.top)
    if arguments.format == "json":
        for prediction in predictions:
            print(json.dumps(_as_json(prediction), allow_nan=False))
    else:
        console = stdout()
        console.print(render_predictions(predictions, console.width))
    return 0


def _predict(
    predictor: Predictor, texts: list[str], positions: Positions, symmetric: bool, top: int
) -> list[Prediction]:
    answers = predictor.symmetric_answer(positions) if symmetric else predictor.answer(positions)
    predictions = []
    for index, (text, stones) in enumerate(zip(texts, positions.stones, strict=True)):
        policy = answers.policy[index]
        best = [int(cell) for cell in np.argsort(-policy, kind="stable")[:top] if policy[cell] > 0]
        predictions.append(
            Prediction(
                position=text,
                stones=stones,
                to_move=int(positions.to_move[index]) or None,
                win_prob_red=float(answers.win_prob_red[index]),
                best_moves=tuple(
                    (cell_name(cell, positions.size), float(policy[cell])) for cell in best
                ),
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


def _load(path: Path) -> LoadedCheckpoint:
    if not torch.cuda.is_available():
        # Two threads on a busy two-core machine spin at each other's barriers; one is faster.
        torch.set_num_threads(1)
    return load_network(path)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--file {path}: cannot be read: {error}") from error
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and line != "#" and not line.startswith("# ")]


def stdout() -> Console:
    """A console as wide as the terminal; a file or a pipe gets all columns."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_PIPE_WIDTH, highlight=False)
    return console
