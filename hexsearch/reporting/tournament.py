"""What a tournament says: which differences between heads are real."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hexsearch.reporting.agreement import Agreement, sentence
from hexsearch.reporting.leaderboard import Leaderboard
from hexsearch.reporting.rows import Row


def tournament_json(board: Leaderboard, found: Agreement | None = None) -> dict[str, Any]:
    """The contract of `tournament --format json`: a leaderboard, its leader marked.

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
    """One sentence for each head: how far behind it is and whether that is real.

    Real: significant at 5% after Holm's correction over all heads, paired by game and seed.
    """
    leader = leader_of(board)
    if leader is None:
        return ["no heads were compared: fewer than one seed of each has been judged"]
    said = [f"{leader.name} leads at {leader.value_loss:.4f} over {_seeds(leader)}"]
    for row in board.rows:
        if row is leader or row.difference is None:
            continue
        interval = f"{row.difference_low:+.4f} to {row.difference_high:+.4f}"
        if row.tied_with_leader:
            said.append(
                f"{row.name} cannot be told from it: behind by {row.difference:.4f} ({interval})"
            )
        else:
            said.append(f"{row.name} is really worse, by {row.difference:.4f} ({interval})")
    return said


def _seeds(row: Row) -> str:
    return "1 seed" if row.seeds == 1 else f"{row.seeds} seeds"
