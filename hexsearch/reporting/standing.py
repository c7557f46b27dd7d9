"""What the stages of a study ask of its statistics: who was trained to the end, in which order."""

from __future__ import annotations

from hexsearch.reporting.leaderboard import build_leaderboard
from hexsearch.reporting.rows import Row
from hexsearch.search.folder import StudyFolder
from hexsearch.search.history import StudyHistory
from hexsearch.search.reruns import Place, Standing


def standing(history: StudyHistory, folder: StudyFolder) -> Standing:
    """Variants with a completed run, best first, and how many of them are tied for the lead."""
    board = build_leaderboard(history, folder)
    rows = [row for row in board.rows if row.rank is not None and row.completed]
    level = [row for row in rows if row.positions_seen == rows[0].positions_seen]
    # Without evidence to compare the first stands alone: no row may pass for tied unseen.
    tied = sum(bool(row.tied_with_leader) for row in level)
    return Standing(tuple(_place(row, history) for row in level), max(tied, min(1, len(level))))


def _place(row: Row, history: StudyHistory) -> Place:
    assert row.value_loss is not None, "a ranked row has a value loss"
    expected = row.value_loss_shrunk
    return Place(
        variant=history.trials[row.trial_ids[0]].variant,
        name=row.name,
        value_loss=row.value_loss,
        expected=row.value_loss if expected is None else expected,
        seeds=row.seeds,
    )
