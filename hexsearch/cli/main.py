"""Parses the command line and runs a command. `cli/boundary.py` handles errors."""

from __future__ import annotations

import argparse
import atexit
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from hexsearch import __version__
from hexsearch.cli.arguments import Parser
from hexsearch.cli.boundary import guarded
from hexsearch.cli.commands import COMMANDS
from hexsearch.cli.program import program
from hexsearch.errors import ConfigError
from hexsearch.search.shipped import shipped_folder, shipped_spaces
from hexsearch.study.signals import end_at_once, signals_as_ctrl_c

# Arguments of a call without arguments. In a clone the space is found from every folder.
MAIN_JOB = ["launch", str(shipped_folder() / "quick.yaml")]


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line, with the options of one command.

    Args:
        command: only its module is imported, since importing Ray takes seconds. With None or
            another text, all commands have no options, which is enough for the help and for
            errors about unknown commands.
    """
    parser, commands = _frame(program())
    if command in COMMANDS:
        import_module(f"hexsearch.cli.{COMMANDS[command].module}").register(commands)
    else:
        for name in COMMANDS:
            commands.add_parser(name)
    return parser


def build_whole_parser(name: str) -> argparse.ArgumentParser:
    """Every command with its options; this imports all modules, which takes seconds."""
    parser, commands = _frame(name)
    commands.help = "what to do"  # arguments without help are not in a completion script
    for module in dict.fromkeys(entry.module for entry in COMMANDS.values()):
        import_module(f"hexsearch.cli.{module}").register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments) or MAIN_JOB

    def run() -> int:
        _require_command(given)
        parsed = build_parser(given[0]).parse_args(given)
        with signals_as_ctrl_c():
            status: int = parsed.run(parsed)
        return status

    try:
        return guarded(run, given)
    finally:
        # The function that is registered last is called first, before those of packages.
        atexit.unregister(end_at_once)
        atexit.register(end_at_once)


def _require_command(given: Sequence[str]) -> None:
    """Check that the first argument is a command or an option.

    Raises:
        ConfigError: it is neither; suggests one that is similar, or lists all.
    """
    name = given[0]
    if name.startswith("-") or name in COMMANDS:
        return
    if name in shipped_spaces() or name.endswith((".yaml", ".yml")):
        hint = f"to start a study: {program()} launch {name}"
    elif close := get_close_matches(name, [*COMMANDS, *shipped_spaces()], n=1):
        hint = f"did you mean '{close[0] if close[0] in COMMANDS else f'launch {close[0]}'}'?"
    else:
        hint = f"commands are {', '.join(COMMANDS)}"
    raise ConfigError(f"{name}: unknown command; {hint}")


class _ShowVersions(argparse.Action):
    """Print the versions of the packages on which training and search depend, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"hexsearch {__version__}")
        for package in ("torch", "ray", "optuna"):
            try:
                print(f"{package} {version(package)}")
            except PackageNotFoundError:
                print(f"{package} is not installed")
        parser.exit()


def _frame(
    name: str,
) -> tuple[Parser, argparse._SubParsersAction[Parser]]:
    """The parser of a program of this name without its commands, and the object to add them to."""
    parser = Parser(
        prog=name,
        usage=f"{name} [COMMAND] [OPTION]...",
        description="Search for the value head that predicts the winners of Hex games best.\n"
        f"Without a command: {name} launch quick, on the starter games.\n\n" + _list_of_commands(),
        epilog=f"{name} COMMAND --help shows the options of a command.",
    )
    parser.add_argument(
        "--version",
        action=_ShowVersions,
        nargs=0,
        help="show the versions of hexsearch, torch, ray and optuna, and exit",
    )
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, prog=name, help=argparse.SUPPRESS
    )
    return parser, commands


def _list_of_commands() -> str:
    widest = max(map(len, COMMANDS))
    lines = []
    for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
        lines.append(f"{group}:")
        for name, entry in COMMANDS.items():
            if entry.group == group:
                lines.append(f"  {name:{widest}}  {entry.summary}")
    return "\n".join(lines)
