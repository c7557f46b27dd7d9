"""`leaderboard`: ranks the variants or trials of a study."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from typing import Any

from hexsearch.cli.arguments import add_command, add_format, add_study, positive
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.columns import sortable, sorted_rows
from hexsearch.leaderboard.leaderboard import Leaderboard, read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.report.table import render
from hexsearch.report.terminal import Console
from hexsearch.report.text_tables import comma_separated, markdown

_TABLE_ROWS = 100  # default limit of a table; rich needs 1 ms for each row
_PIPE_WIDTH = 160  # columns of a table in a file or a pipe
_FORMATS = ("table", "markdown", "csv", "json")
_STAGES = ("early", "middle", "late", "penultimate", "final")


def register(commands: Any) -> None:
    """Add the sub-command."""
    board = add_command(
        commands,
        "leaderboard",
        ["results/NAME", "results/NAME --by trial --top 20", "results/NAME --format csv"],
        "Print the ranking of a study with its intervals. The study may be running.",
    )
    add_study(board)
    board.add_argument(
        "--phase",
        choices=("compare", "search"),
        help="rank the heads of the comparison, or the trials of the search (default: search)",
    )
    board.add_argument(
        "--by",
        choices=("variant", "trial"),
        default="variant",
        help="one row for each variant or trial",
    )
    board.add_argument(
        "--stage", choices=_STAGES, help="rank by one stage's value loss (default: all positions)"
    )
    board.add_argument(
        "--sort",
        choices=sortable(),
        help="column by which rows are sorted; ranks do not change (default: by rank)",
    )
    board.add_argument(
        "--top",
        type=positive,
        metavar="N",
        help=f"number of rows (default: all; {_TABLE_ROWS} in a table)",
    )
    add_format(board, _FORMATS)
    board.set_defaults(run=run_leaderboard)


def run_leaderboard(arguments: argparse.Namespace) -> int:
    """Print a leaderboard in one of four formats."""
    board = read_leaderboard(
        StudyFolder(arguments.study), arguments.by, arguments.stage, arguments.phase
    )
    if arguments.sort:
        board = replace(board, rows=sorted_rows(board.rows, arguments.sort))
    if arguments.format == "json":
        print_json(board, arguments.top)
    elif arguments.format == "markdown":
        print(markdown(board, arguments.top), end="")
    elif arguments.format == "csv":
        print(comma_separated(board, arguments.top), end="")
    else:
        print_table(board, arguments.top)
    return 0


def print_json(board: Leaderboard, top: int | None = None) -> None:
    """Print the leaderboard as JSON, for other programs."""
    print(_row_a_line(leaderboard_json(board, top)))


def print_table(board: Leaderboard, top: int | None = None) -> None:
    """Print a table as wide as the terminal. A file or a pipe gets all columns."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_PIPE_WIDTH)
    console.print(render(board, console.width, top or _TABLE_ROWS))


def _row_a_line(document: dict[str, Any]) -> str:
    """JSON with one line for each item of a top-level list, which is fast and suits grep."""

    def as_text(value: Any) -> str:
        if not isinstance(value, list) or not value:
            return json.dumps(value, allow_nan=False)
        items = ",\n".join(f"    {json.dumps(item, allow_nan=False)}" for item in value)
        return f"[\n{items}\n  ]"

    members = ",\n".join(f"  {json.dumps(key)}: {as_text(item)}" for key, item in document.items())
    return f"{{\n{members}\n}}"
