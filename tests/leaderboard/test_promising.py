"""The most promising trial is found by a comparison, and need not lead the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.promising import Promising, most_promising
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.ledger.events import Decided
from hexsearch.ledger.history import StudyHistory
from tests.leaderboard.studies import Study


def at_rung(
    study: Study, losses: dict[int, float], decision: Literal["continue", "pause"] = "pause"
) -> str:
    """A trial that was judged at its last report, which is a rung."""
    name, last = study.trial(losses), max(losses)
    study.ledger.append(
        Decided(
            trial=name, positions_seen=last, decision=decision, rung=last, value_loss=losses[last]
        )
    )
    return name


def promising(study: Study) -> Promising | None:
    study.ledger.close()
    return most_promising(StudyHistory.read(study.folder.ledger))


def test_who_has_seen_most_does_not_win_by_that_alone(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.trial({10: 0.24, 30: 0.235, 90: 0.21}, "complete")  # worse than both at 30
    best = at_rung(study, {10: 0.25, 30: 0.22})
    at_rung(study, {10: 0.23, 30: 0.23})
    at_rung(study, {10: 0.2})
    assert promising(study) == Promising(best, 30, 0.22, 3)
    board = study.board()
    assert board.rows[0].trial_ids == ("t0000",)
    said = [line for line in leaderboard_sentences(board) if "promises most" in line]
    assert len(said) == 1 and "of 3 trials that are compared at 30 positions" in said[0]
    assert leaderboard_json(board)["most_promising"] == {
        "trial": best, "positions_seen": 30, "value_loss": 0.22, "of": 3,
    }  # fmt: skip


def test_ends_are_compared_once_three_trials_have_ended(tmp_path: Path) -> None:
    study = Study(tmp_path)
    ended = [study.trial({30: loss, 90: 0.4 - loss}, "complete") for loss in (0.21, 0.22, 0.23)]
    at_rung(study, {30: 0.2})
    assert promising(study) == Promising(ended[-1], 90, 0.4 - 0.23, 3)
    assert not any("promises most" in line for line in leaderboard_sentences(study.board()))


def test_before_a_comparison_it_is_the_most_advanced_trial(tmp_path: Path) -> None:
    study = Study(tmp_path)
    at_rung(study, {10: 0.2})
    ahead = study.trial({10: 0.24, 20: 0.23})
    assert promising(study) == Promising(ahead, 20, 0.23, 1)


def test_controls_and_failures_promise_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.trial({10: 0.1}, config={"readout": {"name": "raw_mse"}})
    study.trial({10: 0.1}, "fail")
    assert promising(study) is None
