"""`report`: writes one HTML page about a study."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hexsearch.cli.arguments import add_command, add_study
from hexsearch.ledger.folder import StudyFolder


def register(commands: Any) -> None:
    """Add the sub-command."""
    parser = add_command(
        commands,
        "report",
        ["results/NAME", "results/NAME --output page.html"],
        "Write one self-contained HTML file: the answer, the leaderboard, learning curves, the "
        "effect of settings, calibration, boards, health, and how to repeat the study. It is "
        "written automatically when a study ends or is interrupted.",
    )
    add_study(parser)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="(default: report.html in the study's folder)"
    )
    parser.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    """Write the page, and print its path."""
    from hexsearch.report.html.page import write_report

    print(write_report(StudyFolder(arguments.study), arguments.output))
    return 0
