"""`export`: the winner of a study as a checkpoint and the recipe that reproduces it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hexsearch.backend.file_sync import CHECKPOINT
from hexsearch.cli.arguments import add_command, add_study
from hexsearch.errors import LedgerError
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.study.export import export_trial


def register(commands: Any) -> None:
    """Add the sub-command."""
    export = add_command(
        commands,
        "export",
        ["results/NAME", "results/NAME --trial t0007 --output exported/"],
        "Write the network of a study's winner, model.pt, and train.yaml, from which 'train' makes "
        "the same weights again.",
    )
    add_study(export)
    export.add_argument(
        "--output", type=Path, metavar="DIR", help="(default: the folder 'winner' in the study's)"
    )
    export.add_argument("--trial", metavar="ID", help="(default: the winner's best trial)")
    export.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Write model.pt and train.yaml, and say what they are."""
    folder = StudyFolder(arguments.study)
    name = arguments.trial or winner(folder)
    output = arguments.output or folder.path / "winner"
    export = export_trial(folder, name, output)
    console = Console(stderr=True, highlight=False)
    if export.positions_seen < export.budget:
        console.print(
            Text(
                f"note: {name} has seen {export.positions_seen:,} of {export.budget:,} positions; "
                "the recipe trains to the end"
            ),
            soft_wrap=True,
        )
    console.print(Text(f"wrote {export.model} ({name}) and {export.recipe}"), soft_wrap=True)
    return 0


def winner(folder: StudyFolder) -> str:
    """The leading variant's trial with the lowest value loss of those that kept a checkpoint.

    Raises:
        LedgerError: the study has no result yet.
    """
    board = read_leaderboard(folder)
    if not board.rows or board.rows[0].rank is None:
        raise LedgerError(f"{folder.path}: no trial has reported yet; there is no winner")
    of_winner = set(board.rows[0].trial_ids)
    by_trial = read_leaderboard(folder, by="trial").rows
    names = [row.trial_ids[0] for row in by_trial if row.trial_ids[0] in of_winner]
    kept = [name for name in names if (folder.trial(name) / CHECKPOINT).exists()]
    return (kept or names)[0]
