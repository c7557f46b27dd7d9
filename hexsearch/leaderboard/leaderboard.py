"""Makes a leaderboard from a study's ledger and its per-game losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from hexsearch.config.phases import PhaseName
from hexsearch.leaderboard.baseline_gap import BaselineGap, baseline_gap
from hexsearch.leaderboard.comparing import Spread, compare
from hexsearch.leaderboard.confirmation import Confirmation, read_confirmation
from hexsearch.leaderboard.phase_findings import PhaseFinding, phase_findings
from hexsearch.leaderboard.promising import Promising, most_promising
from hexsearch.leaderboard.rows import Entry, Row, make_entry
from hexsearch.leaderboard.strength import PlayedMatch, read_match, with_strength
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import is_held
from hexsearch.ledger.report import Baseline
from hexsearch.statistics.intervals import STAGES

By = Literal["variant", "trial"]


@dataclass(frozen=True)
class Leaderboard:
    """A whole leaderboard: rows, best first, and baselines.

    Attributes:
        stage: early, middle, late, penultimate or final if rows are ranked by this stage alone.
        baseline_gap: the first row against the best baseline.
        equal_compute: trunk whose positions count as one; None if all positions count alike.
        most_promising: the trial that did best where several have been, which need not be in the
            first row while few trials have ended.
        findings: results of the phases after the search, by phase. `confirmation` and `match` are
            separate, since they have their own tables.
    """

    study: str
    state: str
    by: By
    stage: str | None
    rows: tuple[Row, ...]
    baselines: tuple[Baseline, ...]
    spread: Spread
    warnings: tuple[str, ...] = ()
    findings: Mapping[str, PhaseFinding] = field(default_factory=dict)
    confirmation: Confirmation | None = None
    match: PlayedMatch | None = None
    baseline_gap: BaselineGap | None = None
    equal_compute: str | None = None
    most_promising: Promising | None = None

    @property
    def leader(self) -> Row | None:
        """The row with which the others are compared; None if no rows were compared."""
        compared = [row for row in self.rows if row.difference is not None]
        return min(compared, key=lambda row: row.value_loss or 0.0) if compared else None


def read_leaderboard(
    folder: StudyFolder,
    by: By = "variant",
    stage: str | None = None,
    phase: Literal["compare", "search"] | None = None,
) -> Leaderboard:
    """The leaderboard of a study, which may be running, interrupted or finished.

    Args:
        phase: phase whose trials are ranked. The default is the search with its reruns, or the
            comparison in a study that has no other phase.
    Raises:
        LedgerError: there is no study, or its ledger is damaged.
    """
    return leaderboard_of(StudyHistory.read(folder.ledger), folder, by, stage, phase)


def leaderboard_of(
    history: StudyHistory,
    folder: StudyFolder,
    by: By = "variant",
    stage: str | None = None,
    phase: Literal["compare", "search"] | None = None,
) -> Leaderboard:
    """As `read_leaderboard`, from a history that was read already."""
    ranked = history.only(_ranked_phases(history, phase))
    board = build_leaderboard(ranked, folder, by, state_of(history, folder), stage)
    match = read_match(folder.match)
    first = next((row for row in board.rows if row.rank is not None), None)
    is_split = stage in (None, *STAGES)
    return replace(
        board,
        baseline_gap=(
            baseline_gap(first, board.baselines, folder, stage) if first and is_split else None
        ),
        rows=with_strength(board.rows, match),
        findings=phase_findings(history, board.rows),
        confirmation=read_confirmation(history, folder),
        match=match,
    )


def _ranked_phases(history: StudyHistory, phase: str | None) -> frozenset[PhaseName]:
    if phase is None and history.study.config.get("phases") == ["compare"]:
        phase = "compare"
    return frozenset({"compare"}) if phase == "compare" else SEARCHED


def state_of(history: StudyHistory, folder: StudyFolder) -> str:
    """running, interrupted or finished."""
    if is_held(folder.ledger):
        return "running"  # it may be in a phase after the search
    # A driver that was killed has written no record of its end.
    return "interrupted" if history.state == "running" else history.state


def build_leaderboard(
    history: StudyHistory,
    folder: StudyFolder,
    by: By = "variant",
    state: str | None = None,
    stage: str | None = None,
) -> Leaderboard:
    """The leaderboard of a history. Trials are compared at equal positions seen only."""
    state = state or history.state
    groups: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        groups.setdefault(trial.variant if by == "variant" else trial.trial, []).append(trial)
    entries = sorted((make_entry(trials, stage) for trials in groups.values()), key=_order)
    if state != "running":
        entries = [_without_running(entry) for entry in entries]
    if state == "finished":
        entries = [_left_paused(entry) for entry in entries]
    compared, spread = compare([e for e in entries if e.row.is_ranked], folder, stage)
    ranked = _numbered(sorted(compared, key=lambda row: (-row.positions_seen, _group(row))))
    others = sorted(
        (entry.row for entry in entries if not entry.row.is_ranked),
        key=lambda row: -row.positions_seen,
    )
    rows = (*ranked, *others)
    return Leaderboard(
        study=folder.name,
        state=state,
        by=by,
        stage=stage,
        rows=rows,
        baselines=tuple(history.baselines),
        spread=spread,
        warnings=tuple(history.warnings),
        equal_compute=_equal_compute(history),
        most_promising=most_promising(history),
    )


def _equal_compute(history: StudyHistory) -> str | None:
    scheduler = history.study.config.get("scheduler")
    trunk = scheduler.get("equal_compute") if isinstance(scheduler, dict) else None
    return trunk if isinstance(trunk, str) else None


def _order(entry: Entry) -> tuple[bool, float, float, int]:
    """Sort key: more positions seen come first, then the smaller loss."""
    row = entry.row
    loss = math.inf if row.value_loss is None else row.value_loss
    return (not row.is_ranked, -row.positions_seen, loss, int(row.trial_ids[0][1:]))


def _without_running(entry: Entry) -> Entry:
    """The entry with status `interrupted` if its trial has not ended."""
    if entry.row.status in ("running", "waiting"):
        return Entry(replace(entry.row, status="interrupted"), entry.runs)
    return entry


def _left_paused(entry: Entry) -> Entry:
    """The entry of a finished study: what is paused in it will not go on by itself."""
    row = entry.row
    if row.status != "paused":
        return entry
    reason = f"the study ended before it went on ({row.reason})"
    return Entry(replace(row, reason=reason), entry.runs)


def _group(row: Row) -> float:
    return math.inf if row.group is None else row.group


def _numbered(ranked: Sequence[Row]) -> list[Row]:
    """The rows with ranks from 1. Rows of one group share the rank of its first row."""
    first_of_group: dict[int, int] = {}
    return [
        replace(
            row,
            rank=number if row.group is None else first_of_group.setdefault(row.group, number),
        )
        for number, row in enumerate(ranked, start=1)
    ]
