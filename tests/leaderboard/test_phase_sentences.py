from __future__ import annotations

import math

import pytest

from hexsearch.leaderboard.comparing import Spread
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.phase_findings import pruning_check_sentence
from hexsearch.leaderboard.phase_sentences import comparison_sentences
from hexsearch.leaderboard.rows import Row
from hexsearch.statistics.pruning_check import check_pruning


def row(name: str, difference: float | None, low: float, high: float, tied: bool) -> Row:
    return Row(
        rank=1 if tied else 2,
        name=name,
        head=name,
        status="completed",
        reason="",
        trial_ids=("t0000",),
        seeds=3,
        completed=3,
        pruned=0,
        failed=0,
        positions_seen=100,
        value_loss=0.2 + (difference or 0.0),
        difference=difference,
        difference_low=low,
        difference_high=high,
        group=0 if tied else 1,
    )


def board(*rows: Row) -> Leaderboard:
    return Leaderboard("cup", "finished", "variant", None, rows, (), Spread(0.001, True))


LEADER = row("best", 0.0, 0.0, 0.0, True)
TIED = row("level", 0.0006, -0.00004, 0.0006, True)
WORSE = row("poor", 0.005, 0.003, 0.005, False)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], "best leads at 0.2000 over 3 seeds"),
        ([TIED], "best leads at 0.2000 over 3 seeds; no difference to it is significant"),
        ([WORSE], "best leads at 0.2000 over 3 seeds; every difference to it is significant"),
        (
            [TIED, WORSE],
            "best leads at 0.2000 over 3 seeds; 1 of 2 differences to it are significant",
        ),
    ],
    ids=["alone", "tied", "worse", "both"],
)
def test_the_first_sentence_says_how_many_differences_are_real(
    others: list[Row], said: str
) -> None:
    assert comparison_sentences(board(LEADER, *others))[0] == said


def test_each_head_is_behind_by_what_the_table_shows_and_not_by_what_luck_added() -> None:
    assert comparison_sentences(board(LEADER, TIED, WORSE))[1:] == [
        "level is tied with it: behind by 0.0003 (+0.0000 to +0.0006)",
        "poor is significantly worse, by 0.0040 (+0.0030 to +0.0050)",
    ]


def test_where_nothing_was_compared_that_is_said() -> None:
    assert comparison_sentences(board(row("best", None, 0.0, 0.0, True))) == [
        "no heads were compared: no seed of every head has been evaluated yet"
    ]


def test_a_pruning_check_says_how_many_beat_the_winner_and_how_many_may_have() -> None:
    check = check_pruning([0.17, 0.158, math.inf, 0.16, 0.159], winner=0.16, pruned=100)
    assert pruning_check_sentence(check) == (
        "pruning check: of 5 pruned trials run to the end, 2 beat the winner, the best by 0.0020; "
        "of all 100 pruned trials, 40% would have beaten it (5% to 85%, at most 86)"
    )


def test_where_nothing_was_checked_or_pruned_the_sentence_claims_nothing() -> None:
    none_checked = check_pruning([], winner=0.16, pruned=7)
    assert "none of 7 pruned trials has been run" in pruning_check_sentence(none_checked)
    none_pruned = check_pruning([], winner=0.16, pruned=0)
    assert "no trial was pruned" in pruning_check_sentence(none_pruned)
