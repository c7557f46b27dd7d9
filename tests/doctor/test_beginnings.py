"""Games that were saved while they were played."""

from __future__ import annotations

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.beginnings import check_beginnings
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.slips_fifth_data import SLIPS


def _evidence(games: GameArchive) -> list[str]:
    return [finding.evidence for finding in check_beginnings(ExaminedPipeline("x", archive=games))]


def test_beginnings_of_longer_games_are_reported(archive: GameArchive) -> None:
    saved = SLIPS["saves of a game in progress count as games"].games(archive)
    (told,) = _evidence(saved)
    assert "207 of 207" in told


def test_cut_off_games_without_a_longer_record_are_not_reported(archive: GameArchive) -> None:
    assert _evidence(SLIPS["opening left out of the record"].games(archive)) == []
