"""Leaderboards and comparisons as JSON. Its keys are part of the public interface."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hexsearch.leaderboard.agreement import Agreement
from hexsearch.leaderboard.columns import file_columns
from hexsearch.leaderboard.confirmation import Confirmation
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.phase_findings import FINDERS
from hexsearch.leaderboard.phase_sentences import (
    agreement_sentence,
    comparison_sentences,
    confirmation_sentences,
)
from hexsearch.leaderboard.rows import Row
from hexsearch.leaderboard.strength import PlayedMatch, match_sentences


def leaderboard_json(board: Leaderboard, top: int | None = None) -> dict[str, Any]:
    """The JSON of `leaderboard --format json`."""
    return {
        "study": board.study,
        "state": board.state,
        "by": board.by,
        "stage": board.stage,
        "rows": [row_json(row) for row in board.rows[:top]],
        "baselines": [baseline.to_json() for baseline in board.baselines],
        "baseline_gap": None if board.baseline_gap is None else asdict(board.baseline_gap),
        "spread": asdict(board.spread),
        "most_promising": None if board.most_promising is None else asdict(board.most_promising),
        "warnings": list(board.warnings),
        **{phase: None for phase in FINDERS},
        **{phase: finding.json for phase, finding in board.findings.items()},
        "match": None if board.match is None else _played(board.match),
        "confirmation": None if board.confirmation is None else _confirmed(board.confirmation),
    }


def comparison_json(board: Leaderboard, agreement: Agreement | None = None) -> dict[str, Any]:
    """The JSON of `compare --format json`: a leaderboard whose leader is marked.

    Args:
        agreement: agreement with heads that were trained on separate trunks, if it was measured.
    """
    leader = board.leader
    return {
        **leaderboard_json(board),
        "rows": [{**row_json(row), "is_leader": row is leader} for row in board.rows],
        "agreement": None if agreement is None else asdict(agreement),
        "sentences": [*comparison_sentences(board), agreement_sentence(agreement)],
    }


def row_json(row: Row) -> dict[str, Any]:
    """The figures of one row by name."""
    return {column.name: column.value(row) for column in _COLUMNS}


def _confirmed(confirmation: Confirmation) -> dict[str, Any]:
    return {**asdict(confirmation), "sentences": confirmation_sentences(confirmation)}


def _played(match: PlayedMatch) -> dict[str, Any]:
    correlation = match.correlation
    return {
        **match.to_json(),
        "rank_correlation": None if correlation is None else asdict(correlation),
        "sentences": match_sentences(match),
    }


_COLUMNS = file_columns("json")
