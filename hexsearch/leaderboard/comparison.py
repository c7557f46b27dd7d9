"""What a comparison says: which differences between heads are real."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hexsearch.leaderboard.agreement import Agreement, sentence
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row


def comparison_json(board: Leaderboard, found: Agreement | None = None) -> dict[str, Any]:
    """The contract of `comparison --format json`: a leaderboard, its leader marked.

    Args:
        found: agreement with heads that were trained apart, where it was measured.
    """
    leader = leader_of(board)
    rows = [{**asdict(row), "is_leader": row is leader} for row in board.rows]
    agreement = None if found is None else asdict(found)
    said = [*verdicts(board), sentence(found)]
    return {**board.to_json(), "rows": rows, "agreement": agreement, "words": said}


def leader_of(board: Leaderboard) -> Row | None:
    """The row that the others are compared with; None if there was nothing to compare."""
    compared = [row for row in board.rows if row.difference is not None]
    return min(compared, key=lambda row: row.value_loss or 0.0) if compared else None


def verdicts(board: Leaderboard) -> list[str]:
    """In one sentence which heads are really worse, then one for each: how far behind it is.

    Real: significant at 5% after Holm's correction over all heads, paired by game and seed. How far
    is as in the table: the middle of the interval, the leader's luck allowed for.
    """
    leader = leader_of(board)
    if leader is None:
        return ["no heads were compared: fewer than one seed of each has been judged"]
    others = [row for row in board.rows if row is not leader and row.difference is not None]
    said = [f"{leader.name} leads at {leader.value_loss:.4f} over {_seeds(leader)}"]
    if others:
        worse = sum(not row.tied_with_leader for row in others)
        said[0] += f"; {_real(worse, len(others))}"
    for row in others:
        low, high = row.difference_low, row.difference_high
        assert low is not None and high is not None, "of a difference that is known"
        middle, low, high = (_rounded(loss) for loss in ((low + high) / 2, low, high))
        behind = f"{middle:.4f} ({low:+.4f} to {high:+.4f})"
        if row.tied_with_leader:
            said.append(f"{row.name} cannot be told from it: behind by {behind}")
        else:
            said.append(f"{row.name} is really worse, by {behind}")
    return said


def _rounded(loss: float) -> float:
    """To the places that are shown, without a negative zero."""
    return round(loss, 4) + 0.0


def _real(worse: int, others: int) -> str:
    """Which of the differences to the leader are real."""
    if not worse:
        return "no difference to it is real"
    if worse == others:
        return "every difference to it is real"
    return f"{worse} of {others} differences to it are real"


def _seeds(row: Row) -> str:
    return "1 seed" if row.seeds == 1 else f"{row.seeds} seeds"
