"""`leaderboard`: who leads a study, and how sure."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from hexsearch.cli.arguments import positive
from hexsearch.reporting.leaderboard import SORTABLE, Leaderboard, read_leaderboard
from hexsearch.reporting.table import comma_separated, markdown, render
from hexsearch.search.folder import StudyFolder

_PIPE_WIDTH = 160  # of a table that goes into a file or a pipe
_FORMATS = ("table", "markdown", "csv", "json")
_STAGES = ("early", "middle", "late", "penultimate", "final")


def register(commands: Any) -> None:
    """Add the sub-command."""
    board = commands.add_parser("leaderboard", help="who leads, and how sure")
    board.add_argument("study", type=Path, metavar="STUDY_DIR")
    board.add_argument("--by", choices=("variant", "trial"), default="variant")
    board.add_argument("--stage", choices=_STAGES, help="rank by the value loss of one stage")
    board.add_argument(
        "--sort", choices=tuple(SORTABLE), help="order of the rows; their ranks stay what they are"
    )
    board.add_argument("--top", type=positive, metavar="N")
    board.add_argument("--format", choices=_FORMATS, default="table")
    board.set_defaults(run=run_leaderboard)


def run_leaderboard(arguments: argparse.Namespace) -> int:
    """Print a leaderboard in one of four formats."""
    board = read_leaderboard(StudyFolder(arguments.study), arguments.by, arguments.stage)
    if arguments.sort:
        board.sort(arguments.sort)
    if arguments.format == "json":
        json.dump(board.to_json(arguments.top), sys.stdout, indent=2, allow_nan=False)
        print()
    elif arguments.format == "markdown":
        print(markdown(board, arguments.top), end="")
    elif arguments.format == "csv":
        print(comma_separated(board, arguments.top), end="")
    else:
        print_table(board, arguments.top)
    return 0


def print_table(board: Leaderboard, top: int | None = None) -> None:
    """As wide as the terminal; a file or a pipe gets all columns."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_PIPE_WIDTH)
    console.print(render(board, console.width, top))
