"""Parse, dispatch, and turn errors into one line a fault and an exit status.

Status 0: done. 1: the work failed. 2: wrong usage, configuration or input. 130: interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from hexsearch import __version__
from hexsearch.errors import FaultyInput, HexsearchError
from hexsearch.study.signals import sigterm_as_ctrl_c

# From a clone the main job is found wherever the command is given.
MAIN_JOB = ["launch", str(Path(__file__).parents[2] / "search_spaces" / "quick.yaml")]

# Module of this package -> the commands that it registers, in the order of the help.
MODULES = {
    "study_commands": ("launch", "storage", "resume", "schema"),
    "compare_command": ("compare",),
    "leaderboard_command": ("leaderboard",),
    "report_command": ("report",),
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
    parsed = build_parser(given[0] if given else None).parse_args(given or MAIN_JOB)
    try:
        with sigterm_as_ctrl_c():
            status: int = parsed.run(parsed)
        return status
    except FaultyInput as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return error.exit_status
    except HexsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone, as `| head` does; nobody is left to tell.
        sys.stderr.close()
        return 1
