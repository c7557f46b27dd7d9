"""Parse and dispatch; what is raised ends at `cli/boundary.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from hexsearch import __version__
from hexsearch.cli.boundary import guarded
from hexsearch.study.signals import signals_as_ctrl_c

# From a clone the main job is found wherever the command is given.
MAIN_JOB = ["launch", str(Path(__file__).parents[2] / "search_spaces" / "quick.yaml")]

# Module of this package -> the commands that it registers, in the order of the help.
MODULES = {
    "study_commands": ("launch", "storage", "resume", "schema"),
    "compare_command": ("compare",),
    "leaderboard_command": ("leaderboard",),
    "export_command": ("export",),
    "ensemble_command": ("ensemble",),
    "trial_commands": ("train",),
    "analysis_commands": ("analyze", "predict"),
    "doctor_command": ("doctor",),
    "games_commands": ("games",),
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The whole command line, or what one command needs of it.

    Args:
        command: only its module is imported, since Ray alone takes seconds; any other text, and
            None, gives all commands.
    """
    parser = argparse.ArgumentParser(
        prog="hexsearch",
        description="Search for the value head that predicts the winner of Hex games best. "
        "Without a command: launch search_spaces/quick.yaml on the games that come along.",
    )
    parser.add_argument("--version", action="version", version=f"hexsearch {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = [module for module, names in MODULES.items() if command in names]
    for module in chosen or MODULES:
        import_module(f"hexsearch.cli.{module}").register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def run() -> int:
        parsed = build_parser(given[0] if given else None).parse_args(given or MAIN_JOB)
        with signals_as_ctrl_c():
            status: int = parsed.run(parsed)
        return status

    return guarded(run, given)
