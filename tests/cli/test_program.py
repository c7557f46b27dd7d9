from __future__ import annotations

import sys

import pytest

from hexsearch.cli.program import program


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("run_search.py", "python run_search.py"),
        ("../clone/run_search.py", "python ../clone/run_search.py"),
        ("/venv/lib/python3.11/site-packages/hexsearch/__main__.py", "python -m hexsearch"),
        ("/venv/bin/hexsearch", "hexsearch"),
        ("/venv/bin/pytest", "hexsearch"),
    ],
)
def test_messages_name_the_program_as_it_was_called(
    started: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started, "launch"])
    assert program() == name
