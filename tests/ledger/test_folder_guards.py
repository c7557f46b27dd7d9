"""No file of a study is overwritten, and nothing is created where there was no study."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.cli.main import main
from hexsearch.errors import ConfigError, FaultyInput, LedgerError
from hexsearch.ledger.folder import StudyFolder, require_name

LEFT = ["study.yaml", "ledger.jsonl", "games.archive", "trials/t0000/checkpoint.pt"]


@pytest.mark.parametrize("left", [*LEFT, "trunk.pt", "match/0.jsonl", "optuna.journal"])
def test_a_folder_with_anything_of_a_study_is_not_launched_into(tmp_path: Path, left: str) -> None:
    folder = StudyFolder(tmp_path / "s")
    folder.require_new()
    folder.path.mkdir()
    folder.require_new()  # an empty folder is none
    (folder.path / left).parent.mkdir(parents=True, exist_ok=True)
    (folder.path / left).write_bytes(b"")
    with pytest.raises(ConfigError, match="whose ledger is missing or empty"):
        folder.require_new()


def test_results_without_a_ledger_are_to_be_restored_and_never_launched_over(
    tmp_path: Path,
) -> None:
    folder = StudyFolder(tmp_path / "s")
    folder.trial("t0000").mkdir(parents=True)
    (folder.trial("t0000") / "checkpoint.pt").write_bytes(b"weights")
    with pytest.raises(ConfigError, match=r"restore its ledger\.jsonl from a copy"):
        folder.require_new()


@pytest.mark.parametrize("content", [None, b""])
def test_a_study_without_its_ledger_does_not_go_on_and_is_left_as_it_is(
    tmp_path: Path, content: bytes | None
) -> None:
    folder = StudyFolder(tmp_path / "s")
    folder.path.mkdir()
    if content is not None:
        folder.ledger.write_bytes(content)
    before = sorted(folder.path.rglob("*"))
    with pytest.raises(LedgerError, match="restore it from a copy"):
        folder.require_ledger()
    assert sorted(folder.path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "/etc", "../x", "a\\b", "a\nb", "a\x1b[2J", "x" * 300, "é" * 150]
)
def test_a_name_cannot_leave_the_results_nor_break_a_terminal_or_disk(name: str) -> None:
    with pytest.raises(ConfigError, match="--name") as caught:
        require_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["mine", "mine-2", "été", "a b", "..x", "-"])
def test_plain_names_are_taken(name: str) -> None:
    require_name(name)


DESCRIPTIONS = {
    "bad UTF-8": b"\xff\xfe\x00x",
    "a list": b"[1, 2]",
    "no config": b"name: x\n",
    "games a number": b"kind: search\ngames: 3\nversions: {}\nconfig: {question: q}\n",
    "no hash": b"kind: search\ngames: {paths: []}\nversions: {}\nconfig: {question: q}\n",
    "a bad config": b"kind: search\ngames: {content_hash: x}\nversions: {}\nconfig: {run: 3}\n",
    "empty": b"",
    "deep": b"[" * 5000,
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("command", ["resume", "leaderboard"])
def test_a_broken_description_is_named_and_no_traceback(
    tmp_path: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_bytes(DESCRIPTIONS[name])
    (tmp_path / "ledger.jsonl").write_bytes(b"")
    assert main([command, str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "bug of hexsearch" not in said


def test_a_folder_in_the_place_of_study_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").mkdir()
    with pytest.raises(FaultyInput, match="cannot be read"):
        StudyFolder(tmp_path).read_description()
