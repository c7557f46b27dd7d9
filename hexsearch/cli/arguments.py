"""Options that several commands have, and the form of their help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hexsearch.cli.commands import COMMANDS
from hexsearch.cli.program import program
from hexsearch.errors import ConfigError
from hexsearch.ledger.named import find_study
from hexsearch.search.shipped import find_space

_WIDEST = 100  # columns of a help text
_LARGEST = 10**9  # of the numbers that an option counts
_PRINTED = 40  # characters of a number in a message


class Help(argparse.HelpFormatter):
    """Help that shows defaults. A text with several lines keeps them; other texts are wrapped."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._width = min(self._width, _WIDEST)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        is_told = action.default in (None, False, argparse.SUPPRESS) or "default" in text
        if is_told or action.default == []:
            return text
        return f"{text} (default: %(default)s)".strip()

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser whose help, and that of its sub-commands, is of the class `Help`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": Help, **options})


def add_command(
    commands: Any, name: str, examples: Sequence[str], description: str | None = None
) -> argparse.ArgumentParser:
    """Add a command of the table, described by its summary or by a longer text.

    Args:
        examples: arguments that may follow the command's name, one line for each example.
    """
    summary = COMMANDS[name].summary
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description or f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples_text([f"{name} {example}".rstrip() for example in examples]),
    )
    return parser


def examples_text(lines: Sequence[str]) -> str:
    """Examples for the end of a help text, with the name by which the user called the program."""
    return "examples:\n" + "\n".join(f"  {program()} {line}" for line in lines).replace("%", "%%")


def add_space(parser: argparse._ActionsContainer) -> None:
    """Add the argument for the search space of a command."""
    parser.add_argument(
        "space",
        type=space_file,
        metavar="SPACE.yaml",
        help="a search-space file, or the name of a shipped search space such as quick",
    )


def add_study(parser: argparse._ActionsContainer) -> None:
    """Add the argument for the study that a command reads."""
    parser.add_argument(
        "study",
        type=study_path,
        metavar="STUDY",
        help="the folder of a study, such as results/NAME, or the name of one in ./results",
    )


def add_games(
    parser: argparse._ActionsContainer, required: bool = False, only_for: str = ""
) -> None:
    """Add the option for the games that a command reads; the default is the starter games.

    Args:
        only_for: the arguments with which alone the option is used; there is no default then.
    """
    usual = f"with {only_for} only" if only_for else "default: the starter games of the package"
    which = "" if required else f" ({usual})"
    parser.add_argument(
        "--games",
        action="append",
        required=required,
        metavar="PATH",
        help=f"game files, archives or folders; may be repeated{which}",
    )


def add_looks(parser: argparse.ArgumentParser) -> None:
    """Add the options by which one answer becomes a mean of several; see `looks_of`."""
    parser.add_argument(
        "--symmetric",
        action="store_true",
        help="average the answers over the symmetries of the board that the network sees apart",
    )
    parser.add_argument(
        "--look-ahead",
        action="store_true",
        help="average each answer with that for the position after the likeliest move",
    )
    parser.add_argument(
        "--next-moves",
        type=positive,
        metavar="K",
        help="with --look-ahead: after each of the K likeliest moves, good ones weighing more "
        "(default: 1)",
    )


def looks_of(arguments: argparse.Namespace) -> tuple[bool, int]:
    """Whether symmetries are averaged, and how many next moves are looked at.

    Raises:
        ConfigError: a number of moves is given without --look-ahead.
    """
    if arguments.next_moves is not None and not arguments.look_ahead:
        raise ConfigError("--next-moves goes with --look-ahead")
    return arguments.symmetric, arguments.look_ahead * (arguments.next_moves or 1)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options for the games, the name and the folder of a new study."""
    data = parser.add_argument_group("games and results")
    add_games(data)
    data.add_argument(
        "--name",
        metavar="NAME",
        help="name of the study (default: the space's name with date and time)",
    )
    data.add_argument("--results", default="results", metavar="DIR", help="folder of studies")


def add_or_resume(parser: argparse._ActionsContainer) -> None:
    """Add the option that makes one command of starting and resuming."""
    parser.add_argument(
        "--or-resume",
        action="store_true",
        help="if the study --name exists already, here or in run.trial_files, resume it with its "
        "own settings; for jobs that a cluster starts again",
    )


def add_running(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options for running a new study. Returns the group, for further options."""
    running = parser.add_argument_group("running")
    add_address(running)
    running.add_argument(
        "--no-doctor", action="store_true", help="start without the doctor's quick checks"
    )
    add_or_resume(running)
    return running


def add_address(parser: argparse._ActionsContainer) -> None:
    """Add the option for the cluster on which a study runs."""
    parser.add_argument(
        "--address",
        metavar="A",
        help="address of a running Ray cluster, or 'auto' (default: start Ray on this machine)",
    )


def add_settings(parser: argparse._ActionsContainer) -> None:
    """Add the option `--set`, which fixes settings of the search space."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="fix a setting, such as trunk.preset=tiny, which is then not searched; may be "
        "repeated",
    )


def add_format(
    parser: argparse._ActionsContainer,
    choices: Sequence[str] = ("table", "json"),
    of: str = "of the output",
) -> None:
    """Add the option for the format of the output. With `json`, stdout holds nothing else."""
    parser.add_argument("--format", choices=choices, default="table", help=of)


def space_file(text: str) -> Path:
    """A search-space file by its path or by its shipped name.

    Raises:
        argparse.ArgumentTypeError: there is no such file or shipped search space.
    """
    try:
        return find_space(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def study_path(text: str) -> Path:
    """The folder of a study, by its path or by its name in `results`."""
    return find_study(Path(text))


def study_place(text: str) -> str | Path:
    """The URL of a study in object storage, or the folder of a study."""
    return text if "://" in text else study_path(text)


def positive(text: str) -> int:
    """A whole number above 0, and small enough for every use of one.

    Raises:
        argparse.ArgumentTypeError: the text is not such a number.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= _LARGEST:
        shown = text if len(text) < _PRINTED else f"{text[:_PRINTED]}..."
        raise argparse.ArgumentTypeError(
            f"'{shown}' is not a whole number above 0"
            + (f", or is above {_LARGEST:,}" if number else "")
        )
    return number
