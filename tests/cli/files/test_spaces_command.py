from __future__ import annotations

import json
from pathlib import Path

import pytest

from hexsearch.cli.main import main
from hexsearch.config.files.load import read_study
from hexsearch.search.shipped import shipped_folder, shipped_spaces


def test_the_list_names_every_shipped_space_with_its_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["spaces", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["spaces"]
    assert {row["name"]: row["question"] for row in rows} == {
        name: read_study(path)["question"] for name, path in shipped_spaces().items()
    }
    assert main(["spaces"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in shipped_spaces())


def test_a_copy_is_the_same_space_and_leads_to_the_installed_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["spaces", "quick"]) == 0
    copy = tmp_path / "quick.yaml"
    assert read_study(copy) == read_study(shipped_spaces()["quick"])
    schema = (shipped_folder() / "schema.json").as_uri()
    assert f"# yaml-language-server: $schema={schema}\n" in copy.read_text()


def test_a_copy_replaces_a_file_only_when_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("question: mine?\n")
    assert main(["spaces", "quick", "--output", str(mine)]) == 2
    assert mine.read_text() == "question: mine?\n"
    assert f"{mine}: exists already" in capsys.readouterr().err
    assert main(["spaces", "quick", "--output", str(mine), "--force"]) == 0
    assert read_study(mine) == read_study(shipped_spaces()["quick"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["quik"], "did you mean 'quick'?"),
        (["my/own.yaml"], "is not a shipped search space"),
        ([], "name the space to copy"),
    ],
    ids=str,
)
def test_what_cannot_be_copied_is_refused(
    arguments: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "copy.yaml"
    assert main(["spaces", *arguments, "--output", str(output)]) == 2
    assert problem in capsys.readouterr().err
    assert not output.exists()


def test_a_study_starts_from_a_shipped_space_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["launch", "smoke", "--dry-run", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["question"].startswith("Does the whole pipeline")
