"""No command writes what a user asks for over the files of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.cli.main import main
from hexsearch.errors import ConfigError
from hexsearch.ledger.own_files import require_not_of_study
from tests.study.test_survival import interrupted

OWN = ["ledger.jsonl", "study.yaml", "games.archive", "trials/t0000/checkpoint.pt", "match/0.json"]


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_a_study_is_not_to_be_written_over(tmp_path: Path, name: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    require_not_of_study(study / name)  # a folder like any other
    (study / "ledger.jsonl").write_bytes(b"")
    with pytest.raises(ConfigError, match="is a file of the study"):
        require_not_of_study(study / name)
    (tmp_path / "link").symlink_to(study)
    with pytest.raises(ConfigError, match="is a file of the study"):
        require_not_of_study(tmp_path / "link" / name)
    for free in ("report.html", "winner/model.pt", "notes/ledger.jsonl"):
        require_not_of_study(study / free)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("command", ["report", "ensemble"])
def test_a_page_and_a_table_are_not_written_into_a_study(
    tmp_path: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study = interrupted(tmp_path / "study").path
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    assert main([command, str(study), "--output", str(study / name)]) == 2
    assert "is a file of the study" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before
