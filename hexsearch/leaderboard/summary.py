"""Summary of a leaderboard for the phases after the search: the completed variants, best first."""

from __future__ import annotations

from hexsearch.leaderboard.leaderboard import build_leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.place import Place
from hexsearch.search.reruns import LeaderSummary


def leader_summary(history: StudyHistory, folder: StudyFolder) -> LeaderSummary:
    """Variants with a completed run, best first, and the number that is tied for the lead."""
    board = build_leaderboard(history, folder)
    rows = [row for row in board.rows if row.rank is not None and row.completed]
    level = [row for row in rows if row.positions_seen == rows[0].positions_seen]
    # Without per-game losses no ties are known, so the first variant alone is the leader.
    tied = sum(bool(row.tied_with_leader) for row in level)
    return LeaderSummary(
        tuple(_place(row, history) for row in level), max(tied, min(1, len(level)))
    )


def _place(row: Row, history: StudyHistory) -> Place:
    assert row.value_loss is not None, "a ranked row has a value loss"
    expected = row.expected_value_loss
    return Place(
        variant=history.trials[row.trial_ids[0]].variant,
        name=row.name,
        value_loss=row.value_loss,
        expected_value_loss=row.value_loss if expected is None else expected,
        seeds=row.seeds,
    )
