"""What is said of a folder that is not a study's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.ledger.named import find_study, no_study


def test_a_study_that_was_probably_meant_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "mine").mkdir(parents=True)
    (tmp_path / "results" / "mine" / "study.yaml").write_text("format: 2\n", encoding="utf-8")
    meant = "no such study folder; did you mean results/mine?"
    assert no_study(Path("results/mien")) == f"results/mien: {meant}"
    assert no_study(Path("mine")) == f"mine: {meant}"
    assert no_study(Path("other")) == "other: no such study folder"


def test_a_plain_name_is_a_study_of_results_unless_one_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("results/mine", "results/both", "both"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "study.yaml").write_text("format: 2\n", encoding="utf-8")
    Path("mine").mkdir()  # not a study
    assert find_study(Path("mine")) == Path("results/mine")
    assert find_study(Path("both")) == Path("both")
    assert find_study(Path("other/mine")) == Path("other/mine")
    for unreadable in ("x" * 5000, "a\0b"):
        assert find_study(Path(unreadable)) == Path(unreadable)


def test_a_folder_says_what_it_lacks(tmp_path: Path) -> None:
    assert "has no study.yaml and no ledger.jsonl; is this" in no_study(tmp_path)
    (tmp_path / "study.yaml").write_text("format: 2\n", encoding="utf-8")
    assert "has no ledger.jsonl; is this a study folder?" in no_study(tmp_path)
