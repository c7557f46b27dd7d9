"""`spaces` and `schema`: the shipped search spaces, and the format of search-space files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hexsearch.cli.arguments import add_command, add_format
from hexsearch.cli.program import program
from hexsearch.config.files.load import read_study
from hexsearch.errors import ConfigError
from hexsearch.report.terminal import Console
from hexsearch.search.shipped import find_space, shipped_folder, shipped_spaces
from hexsearch.training.atomic import write_atomically

_SCHEMA_LINE = "# yaml-language-server: $schema="


def register(commands: Any) -> None:
    """Add the sub-commands that are about search-space files."""
    spaces = add_command(
        commands,
        "spaces",
        ["", "quick", "quick --output mine.yaml"],
        "List the shipped search spaces with the question that each answers. With a name: copy "
        "that space to a file.",
    )
    spaces.add_argument("name", nargs="?", metavar="NAME", help="the space to copy")
    spaces.add_argument(
        "--output", type=Path, metavar="FILE", help="the copy (default: NAME.yaml in this folder)"
    )
    spaces.add_argument("--force", action="store_true", help="replace FILE if it exists")
    add_format(spaces, of="of the list")
    spaces.set_defaults(run=run_spaces)

    schema = add_command(commands, "schema", ["> schema.json"])
    schema.set_defaults(run=run_schema)


def run_spaces(arguments: argparse.Namespace) -> int:
    """List the shipped spaces, or copy one for editing."""
    if arguments.name is not None:
        return _copy(arguments.name, arguments.output, arguments.force)
    if arguments.output is not None:
        raise ConfigError(f"--output {arguments.output}: name the space to copy, such as quick")
    shipped = {name: str(read_study(path)["question"]) for name, path in shipped_spaces().items()}
    if arguments.format == "json":
        rows = [
            {"name": name, "question": question, "path": str(shipped_spaces()[name])}
            for name, question in shipped.items()
        ]
        json.dump({"spaces": rows}, sys.stdout, indent=2)
        print()
        return 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("question")
    for name, question in shipped.items():
        table.add_row(Text(name), Text(question))
    console = Console(highlight=False)
    console.print(table)
    console.print(
        Text(f"start one: {program()} launch quick\ncopy one:  {program()} spaces quick"),
        soft_wrap=True,
    )
    return 0


def run_schema(arguments: argparse.Namespace) -> int:
    """Print the format of search-space files."""
    from hexsearch.config.files.json_schema import study_schema

    json.dump(study_schema(), sys.stdout, indent=2, allow_nan=False)
    print()
    return 0


def _copy(name: str, output: Path | None, force: bool) -> int:
    """Copy a shipped space. The schema line of the copy points to the installed schema."""
    if name not in shipped_spaces():
        find_space(name)  # its error names similar spaces
        raise ConfigError(f"{name}: is not a shipped search space; copy your own file yourself")
    target = output or Path(f"{name}.yaml")
    if target.exists() and not force:
        raise ConfigError(f"{target}: exists already; give another --output, or --force")
    schema = (shipped_folder() / "schema.json").as_uri()
    lines = shipped_spaces()[name].read_text(encoding="utf-8").splitlines(keepends=True)
    text = "".join(
        f"{_SCHEMA_LINE}{schema}\n" if line.startswith(_SCHEMA_LINE) else line for line in lines
    )
    write_atomically(target, text.encode())
    message = f"wrote {target}; edit it, then: {program()} launch {target}"
    Console(stderr=True, highlight=False).print(Text(message), soft_wrap=True)
    return 0
