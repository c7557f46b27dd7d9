"""`completion`: prints a script with which a shell completes commands, options and values.

The script is static (shtab), so a completion does not start Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hexsearch.cli.arguments import add_command, space_file

_PATHS = ("PATH", "DIR", "FILE", "STUDY", "CHECKPOINT")


def register(commands: Any) -> None:
    """Add the sub-command."""
    completion = add_command(
        commands,
        "completion",
        [
            "bash > ~/.local/share/bash-completion/completions/hexsearch",
            "zsh > ~/.zsh/_hexsearch        # a folder of your fpath",
            "fish > ~/.config/fish/completions/hexsearch.fish",
        ],
        "Print a script with which your shell completes the commands and options of 'hexsearch'.",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="your shell")
    completion.set_defaults(run=run_completion)


def run_completion(arguments: argparse.Namespace) -> int:
    """Print the script of one shell."""
    import shtab

    from hexsearch.cli.main import build_whole_parser

    parser = build_whole_parser("hexsearch")
    for action in _actions(parser):
        if action.type in (Path, space_file) or action.metavar in _PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own attribute
    print(shtab.complete(parser, shell=arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its sub-commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
