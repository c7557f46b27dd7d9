"""What goes wrong is an exception with the words that the command line prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import hexsearch as hs
from hexsearch.cli.main import main
from hexsearch.errors import FaultyInput

Call = Callable[[Path], object]
CASES: dict[str, tuple[list[str], Call]] = {
    "no such space": (["launch", "none.yaml"], lambda results: hs.launch("none.yaml")),
    "a setting that is none": (
        ["launch", "smoke", "--set", "run.trails=3"],
        lambda results: hs.launch("smoke", set={"run.trails": 3}),
    ),
    "no such games": (
        ["launch", "smoke", "--games", "none.trmph", "--results", "{results}"],
        lambda results: hs.launch("smoke", games="none.trmph", results=results),
    ),
    "a name that is a path": (
        ["launch", "smoke", "--name", "a/b", "--results", "{results}"],
        lambda results: hs.launch("smoke", name="a/b", results=results),
    ),
    "no study to resume": (
        ["resume", "{results}/none"],
        lambda results: hs.resume(results / "none"),
    ),
    "no checkpoint": (
        ["analyze", "none.pt", "--games", "none.trmph"],
        lambda results: hs.analyze("none.pt", "none.trmph"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_exception_has_the_words_of_the_command_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, call = CASES[name]
    status = main([part.format(results=tmp_path / "results") for part in arguments])
    printed = [
        line.removeprefix("error: ")
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("error: ")
    ]
    with pytest.raises(hs.HexsearchError) as caught:
        call(tmp_path / "results")
    error = caught.value
    words = list(error.problems) if isinstance(error, FaultyInput) else [str(error)]
    assert printed and words == printed
    assert status == error.exit_status
    assert not (tmp_path / "results").exists()
