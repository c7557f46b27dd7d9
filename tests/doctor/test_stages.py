"""The first departing stage is named, with the stages before it that agree."""

from __future__ import annotations

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.registry import CHECKS
from hexsearch.doctor.stages import STAGES, stage_of, with_first_stage
from tests.doctor.conftest import quick, tiny
from tests.doctor.slips import Patch, in_labels


def test_every_stage_names_checks_of_the_registry() -> None:
    names = {check.name for check in CHECKS}
    assert all(check in names for checks in STAGES.values() for check in checks)


def test_only_the_first_error_says_which_stages_agree() -> None:
    found = [Finding.error("boards", "e", "c", "r"), Finding.error("steps", "e", "c", "r")]
    told = with_first_stage(found, ["boards", "steps"], {"split", "batches", "boards"})
    assert told[0].evidence == "e; the stages before (games, positions drawn) agree"
    assert told[1] == found[1]


def test_a_stage_that_departs_too_is_not_said_to_agree() -> None:
    found = [Finding.error("steps", "e", "c", "r"), Finding.warning("batches", "e", "c", "r")]
    told = with_first_stage(found, ["steps", "batches"], {"batches", "boards"})
    assert "positions drawn" not in told[0].evidence
    assert "planes" in told[0].evidence


def test_wrong_labels_depart_after_games_and_planes(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    in_labels(lambda batch: 1 - batch.outcome)(monkeypatch)
    first = quick(archive, tiny()).findings[0]
    assert stage_of(first.check) == "labels"
    assert "games, positions drawn, planes) agree" in first.evidence
