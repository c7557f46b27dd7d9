"""A paused trial of a finished study does not say that it waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.ledger.events import Decided, Finished, Interrupted
from tests.leaderboard.studies import Study

WHY = "too few trials have reached this rung for a comparison"


def paused(path: Path) -> Study:
    study = Study(path)
    name = study.trial({64: 0.2})
    study.ledger.append(
        Decided(
            trial=name, positions_seen=64, decision="pause", rung=64, value_loss=0.2, reason=WHY
        )
    )
    return study


def test_a_trial_that_is_paused_at_the_end_says_that_the_study_ended(tmp_path: Path) -> None:
    study = paused(tmp_path)
    study.ledger.append(Finished())
    (row,) = study.board().rows
    assert row.status == "paused"
    assert row.reason == f"the study ended before it went on ({WHY})"


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_trial_that_may_still_go_on_says_only_why_it_is_paused(
    tmp_path: Path, interrupted: bool
) -> None:
    study = paused(tmp_path)
    if interrupted:
        study.ledger.append(Interrupted(reason="signal"))
    (row,) = study.board().rows
    assert (row.status, row.reason) == ("paused", WHY)
