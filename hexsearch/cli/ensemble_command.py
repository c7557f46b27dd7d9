"""`ensemble`: averages a study's networks and evaluates them on its test games."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from hexsearch.analysis.ensemble import METHODS, choose_ensembles
from hexsearch.analysis.loading import load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.cli.arguments import add_command, add_format, add_looks, add_study, positive
from hexsearch.cli.networks.analysis_commands import stdout
from hexsearch.data.archive import open_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import Indices
from hexsearch.errors import CheckpointError, ConfigError, LedgerError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.ledger.own_files import require_not_of_study
from hexsearch.report.ensemble import ensemble_json, evaluate_ensembles, render_ensembles
from hexsearch.report.terminal import Console
from hexsearch.training.atomic import write_atomically
from hexsearch.training.metrics import Evaluation


def register(commands: Any) -> None:
    """Add the sub-command."""
    parser = add_command(
        commands,
        "ensemble",
        ["results/NAME", "results/NAME --top 5 --method greedy --format json"],
        "Average a study's finished networks, and select from them greedily with replacement "
        "(Caruana et al., 2004) on its validation games. Then evaluate both, and the best single "
        "network, on its test games. For a comparison, the heads of each trunk are averaged as "
        "well. Each use of the test games makes them less independent.",
    )
    add_study(parser)
    parser.add_argument(
        "--top",
        type=positive,
        metavar="K",
        help="number of networks, best on validation games first (default: all with a checkpoint)",
    )
    parser.add_argument(
        "--method", choices=METHODS, action="append", help="may be repeated (default: both)"
    )
    add_looks(parser)
    add_format(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    parser.set_defaults(run=run_ensemble)


def run_ensemble(arguments: argparse.Namespace) -> int:
    """Choose ensembles on validation games, evaluate them on test games, print."""
    if arguments.top == 1:
        raise ConfigError("--top 1: an ensemble needs two networks or more")
    if arguments.output is not None:
        require_not_of_study(arguments.output)
    folder = StudyFolder(arguments.study)
    _, config = folder.read_description()
    is_comparison = "search" not in config.phases
    history = StudyHistory.read(folder.ledger)
    trials = _kept(history.only({"compare"} if is_comparison else SEARCHED), folder, arguments.top)
    dataset = Dataset(open_archive(folder.archive), config.data)
    test_games = dataset.games("test")
    if len(test_games) < 2:
        raise ConfigError(
            f"{folder.path}: {len(test_games)} test games; an ensemble needs games by which no "
            "trial was chosen (data.split.test)"
        )
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # as in `analyze`
    networks = [
        _network(folder, trial, dataset).with_looks(arguments.symmetric, arguments.look_ahead)
        for trial in trials
    ]
    messages = Console(stderr=True, highlight=False)

    def answers(games: Indices, split: str) -> list[Evaluation]:
        messages.print(
            Text(f"{len(networks)} networks answer {len(games):,} {split} games"), soft_wrap=True
        )
        return [_answers(network, dataset, games) for network in networks]

    validation = answers(dataset.validation_games, "validation")
    trunks = _trunks(trials) if is_comparison else {}
    ensembles = choose_ensembles(validation, arguments.method or METHODS, list(trunks.items()))
    names = [trial.trial for trial in trials]
    rows = evaluate_ensembles(ensembles, names, validation, answers(test_games, "test"))
    document = json.dumps(ensemble_json(folder.name, rows), indent=2, allow_nan=False)
    if arguments.output is not None:
        write_atomically(arguments.output, (document + "\n").encode())
    if arguments.format == "json":
        print(document)
    else:
        console = stdout()
        console.print(render_ensembles(folder.name, rows, console.width))
    return 0


def _kept(history: StudyHistory, folder: StudyFolder, top: int | None) -> list[TrialHistory]:
    """The completed trials that have a checkpoint, best on validation games first.

    Raises:
        LedgerError, CheckpointError: there are fewer than two.
    """
    finished = [
        trial
        for trial in history.trials.values()
        if trial.status == "completed" and not trial.is_control and trial.value_loss is not None
    ]
    if len(finished) < 2:
        raise LedgerError(
            f"{folder.path}: {len(finished)} finished trials; an ensemble needs two or more"
        )
    kept = [trial for trial in finished if folder.checkpoint(trial.trial).exists()]
    if len(kept) < 2:
        raise CheckpointError(
            f"{folder.path}: {len(kept)} of {len(finished)} finished trials kept their checkpoint; "
            "an ensemble needs two or more: raise run.keep_checkpoints in the next study"
        )
    kept.sort(key=lambda trial: (trial.value_loss or 0.0, trial.number))
    return kept[:top]


def _network(folder: StudyFolder, trial: TrialHistory, dataset: Dataset) -> Predictor:
    path = folder.checkpoint(trial.trial)
    loaded = load_network(path)
    if loaded.archive_hash != dataset.archive.content_hash or loaded.data != dataset.config:
        raise CheckpointError(
            f"{path}: was trained on other games than those of {folder.path}, or on another split "
            "of them; test games may be among its training games"
        )
    return loaded.predictor


def _answers(network: Predictor, dataset: Dataset, games: Indices) -> Evaluation:
    analyzer = ValueHeadAnalyzer(
        network, dataset.archive, games, dataset.train_games, dataset.config.stages
    )
    return analyzer.evaluate()


def _trunks(trials: list[TrialHistory]) -> dict[str, list[int]]:
    """Name of a trunk -> indices of its heads, for trunks with several heads."""
    groups: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        groups.setdefault(f"heads of seed {trial.replicate + 1}", []).append(place)
    return {name: places for name, places in sorted(groups.items()) if len(places) > 1}
