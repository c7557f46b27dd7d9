"""Parse, dispatch, and turn errors into one line a fault and an exit status.

Status 0: done. 1: the work failed. 2: wrong usage, configuration or input. 130: interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hexsearch import __version__
from hexsearch.cli import (
    analysis_commands,
    doctor_command,
    export_command,
    games_commands,
    leaderboard_command,
    study_commands,
    tournament_command,
    trial_commands,
)
from hexsearch.errors import FaultyInput, HexsearchError

# From a clone the main job is found wherever the command is given.
MAIN_JOB = ["launch", str(Path(__file__).parents[2] / "search_spaces" / "quick.yaml")]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="hexsearch",
        description="Search for the value head that predicts the winner of Hex games best. "
        "Without a command: launch search_spaces/quick.yaml on the games that come along.",
    )
    parser.add_argument("--version", action="version", version=f"hexsearch {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    study_commands.register(commands)
    tournament_command.register(commands)
    leaderboard_command.register(commands)
    export_command.register(commands)
    trial_commands.register(commands)
    analysis_commands.register(commands)
    doctor_command.register(commands)
    games_commands.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = build_parser().parse_args(given or MAIN_JOB)
    try:
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
