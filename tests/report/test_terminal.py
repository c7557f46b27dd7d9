"""Foreign text cannot do anything to a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import hexsearch
from hexsearch.report.terminal import Console

EVIL = "a\x1b]0;owned\x07 [/b] [red]x :smile: \u202e\x9b2J\n"


def a_table() -> Table:
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    return table


@pytest.mark.parametrize(
    "shown",
    [EVIL, Text(EVIL), Panel(Text(EVIL)), a_table()],
    ids=("words", "text", "panel", "table"),
)
def test_foreign_text_holds_no_control_characters_and_no_markup_wherever_it_is_printed(
    shown: RenderableType,
) -> None:
    file = io.StringIO()
    Console(file=file, force_terminal=True, color_system="standard", width=200).print(shown)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())  # styles
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert r"\x1b]0;owned" in printed and "[/b] [red]x :smile:" in printed


def test_text_for_a_file_is_not_shown_in_the_cell_of_a_notebook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    file = io.StringIO()
    console = Console(file=file)
    console.print("one line")
    assert file.getvalue() == "one line\n"
    assert Console().is_jupyter


def test_every_console_is_this_one() -> None:
    package = Path(hexsearch.__file__).parent
    makers = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"import .*\bConsole\b", text := path.read_text())
        and "from hexsearch.report.terminal import Console" not in text
    ]
    assert makers == []
