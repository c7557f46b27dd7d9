from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.data.archive import build_archive, write_archive
from hexsearch.errors import ArchiveError, ConfigError, LedgerError
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder, code_hash, versions
from hexsearch.study.changes import change_run, notes, require_same_question
from tests.data.games import random_games
from tests.search.simulation import opened, study_config


def test_changed_code_and_versions_are_said() -> None:
    description = {"versions": versions(), "code": code_hash(), "git": "0" * 40}
    assert notes(description) == []
    description["versions"] = {**versions(), "torch": "1.0"}
    description["code"] = "0" * 16
    version, code = notes(description)
    assert "torch was 1.0 when this study began" in version
    assert "the code of hexsearch has changed since this study began (git 0000000000000000" in code


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "study")
    folder.write_description(study_config(), ["starter"], "hash")
    return folder


def edit(folder: StudyFolder, old: str, new: str) -> None:
    text = folder.description.read_text()
    assert old in text
    folder.description.write_text(text.replace(old, new))


def test_how_a_study_is_run_may_change_and_is_said(folder: StudyFolder) -> None:
    opening = StudyOpened(**folder.read_description()[0])
    assert require_same_question(folder, opening) == []
    edit(folder, "retries: 1", "retries: 4")
    assert require_same_question(folder, opening) == ["note: run.retries is 4 now, was 1"]


def test_settings_of_a_resumed_session_are_kept_for_later_ones(folder: StudyFolder) -> None:
    opening = StudyOpened(**folder.read_description()[0])
    with pytest.raises(LedgerError, match=r"ledger\.jsonl: is missing"):
        change_run(folder, ["run.retries=4"])
    folder.ledger.write_text("begun")
    change_run(folder, ["run.retries=4", "run.max_concurrent=1"])
    assert require_same_question(folder, opening) == [
        "note: run.max_concurrent is 1 now, was null",
        "note: run.retries is 4 now, was 1",
    ]
    change_run(folder, ["run.max_concurrent=null"])
    assert require_same_question(folder, opening) == ["note: run.retries is 4 now, was 1"]


@pytest.mark.parametrize(
    "setting, message",
    [
        ("scheduler.max_t=5184", "--set scheduler.max_t: may not change in a study that has begun"),
        ("run.seed=3", "--set run.seed: may not change"),
        ("run.retry=3", "run.retry"),
        ("run.retries=many", "--set run.retries"),
        ("run.retries", "expected key=value"),
    ],
)
def test_a_faulty_setting_leaves_the_study_as_it_was(
    folder: StudyFolder, setting: str, message: str
) -> None:
    folder.ledger.write_text("begun")
    before = folder.description.read_bytes()
    with pytest.raises(ConfigError, match=message):
        change_run(folder, ["run.max_concurrent=1", setting])
    assert folder.description.read_bytes() == before


def test_a_running_study_is_not_changed(folder: StudyFolder) -> None:
    ledger = opened(folder.ledger, study_config())
    with pytest.raises(LedgerError, match="another process is running this study"):
        change_run(folder, ["run.retries=4"])
    ledger.close()


def test_what_past_and_future_trials_must_share_may_not(folder: StudyFolder) -> None:
    opening = StudyOpened(**folder.read_description()[0])
    edit(folder, "max_t: 1728", "max_t: 5184")
    edit(folder, "  seed: 0", "  seed: 1")
    with pytest.raises(ConfigError) as caught:
        require_same_question(folder, opening)
    problems = caught.value.problems
    assert [problem.split("config.")[1].split(" ")[0] for problem in problems] == [
        "run.seed",
        "scheduler.max_t",
    ]
    assert "was 1728 when the study began and is 5184 now" in problems[1]


def test_a_study_is_resumed_with_the_games_it_began_with_or_not_at_all(
    folder: StudyFolder,
) -> None:
    began_with = build_archive(random_games(20, size=5))
    write_archive(folder.archive, began_with)
    folder.require_games(began_with.content_hash)
    write_archive(folder.archive, build_archive(random_games(21, size=5)))
    message = r"holds other games than study\.yaml states; restore it"
    with pytest.raises(ArchiveError, match=message):
        folder.require_games(began_with.content_hash)
