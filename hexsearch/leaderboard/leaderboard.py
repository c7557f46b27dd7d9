"""Who leads, and how sure: a leaderboard from a study's ledger and its per-game losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np

from hexsearch.leaderboard.confirmation import Confirmation, read_confirmation
from hexsearch.leaderboard.game_panels import by_variant, evidence_panel
from hexsearch.leaderboard.phase_tables import Race, pruning_check, race
from hexsearch.leaderboard.rows import CONTROL, Entry, Row, make_entry
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, Phase, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import is_held
from hexsearch.statistics.intervals import STAGES, interval
from hexsearch.statistics.pruning_check import PruningCheck
from hexsearch.statistics.ranking import Ranking, Versus, rank, seeds_to_separate, versus
from hexsearch.statistics.variance import (
    Panel,
    SeedVariance,
    combine,
    seed_variance,
    seed_variance_of_means,
)

By = Literal["variant", "trial"]
# Runs, best first, whose per-game losses are read and compared.
_EVIDENCE_LIMIT = 300
_DIFFERENCES = (0.001, 0.002, 0.005, 0.01, 0.02)  # of value loss, that seeds might separate
_MOST_SEEDS = 10  # more that are still advised


# What rows may be put in order by, and whether the highest comes first.
SORTABLE = {
    "rank": False,
    "value_loss": False,
    "accuracy": True,
    "log_loss": False,
    "calibration_error": False,
    "probability_best": True,
    "parameters": False,
    "microseconds": False,
    "positions_seen": True,
    "seeds": True,
    "name": False,
}


@dataclass(frozen=True)
class Spread:
    """How much seeds matter, and what more of them would show.

    Attributes:
        seed_deviation: of the value loss between seeds of one variant.
        measured: in this study; otherwise taken from elsewhere.
        separable: smallest difference that more seeds can separate on these games, and how many
            for each variant; None if there is none.
    """

    seed_deviation: float
    measured: bool
    separable: float | None = None
    more_seeds: int | None = None


@dataclass
class Leaderboard:
    """A whole table: rows best first, then what is reached without a network.

    Attributes:
        stage: early, middle, late, penultimate or final if rows are ranked by it alone.
        pruning_check, race, confirmation: what the phases after the search have found.
    """

    study: str
    state: str
    by: By
    stage: str | None
    rows: list[Row]
    baselines: list[dict[str, Any]]
    spread: Spread
    warnings: list[str] = field(default_factory=list)
    pruning_check: PruningCheck | None = None
    race: Race | None = None
    confirmation: Confirmation | None = None

    def sort(self, name: str) -> None:
        """Put the rows in another order, those without a value last; ranks stay."""
        known = [row for row in self.rows if getattr(row, name) is not None]
        known.sort(key=lambda row: getattr(row, name), reverse=SORTABLE[name])
        self.rows = known + [row for row in self.rows if getattr(row, name) is None]

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """The contract of `leaderboard --format json`."""
        # Not asdict: its deep copies of ten thousand rows take seconds.
        rows = [dict(vars(row)) for row in self.rows[:top]]
        return {
            **vars(self),
            "rows": rows,
            "spread": asdict(self.spread),
            "pruning_check": None if self.pruning_check is None else self.pruning_check.to_json(),
            "race": None if self.race is None else asdict(self.race),
            "confirmation": None if self.confirmation is None else self.confirmation.to_json(),
        }


def read_leaderboard(
    folder: StudyFolder,
    by: By = "variant",
    stage: str | None = None,
    phase: Literal["compare", "search"] | None = None,
) -> Leaderboard:
    """The leaderboard of a study folder, running, interrupted or finished.

    Args:
        phase: whose trials are ranked; by default the search's with its reruns, and those of a
            comparison in a study that does nothing else.
    Raises:
        LedgerError: no study, or a damaged ledger.
    """
    history = StudyHistory.read(folder.ledger)
    state = history.state
    if is_held(folder.ledger):
        state = "running"
    elif state == "running":
        state = "interrupted"  # its driver is gone without a word
    ranked = history.only(_ranked_phases(history, phase))
    board = build_leaderboard(ranked, folder, by, state, stage)
    board.confirmation = read_confirmation(history, folder)
    return board


def _ranked_phases(history: StudyHistory, phase: str | None) -> frozenset[Phase]:
    if phase is None and history.study.config.get("phases") == ["compare"]:
        phase = "compare"
    return frozenset({"compare"}) if phase == "compare" else SEARCHED


def build_leaderboard(
    history: StudyHistory,
    folder: StudyFolder,
    by: By = "variant",
    state: str | None = None,
    stage: str | None = None,
) -> Leaderboard:
    """Rows of a history, best first. Trials are only compared at equal positions seen."""
    groups: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        groups.setdefault(trial.variant if by == "variant" else trial.trial, []).append(trial)
    entries = sorted((make_entry(trials, stage) for trials in groups.values()), key=_order)
    rows = [entry.row for entry in entries]
    if (state or history.state) != "running":
        for row in rows:
            if row.status in ("running", "waiting"):
                row.status = "interrupted"
    ranked = [entry for entry in entries if _is_ranked(entry.row)]
    spread = _compare(ranked, folder, stage)
    rows.sort(key=lambda row: (not _is_ranked(row), -row.positions_seen, _group(row)))
    _number(rows[: len(ranked)])
    return Leaderboard(
        study=folder.name,
        state=state or history.state,
        by=by,
        stage=stage,
        rows=rows,
        baselines=history.baselines,
        spread=spread,
        warnings=history.warnings,
        pruning_check=pruning_check(history, rows),
        race=race(history, rows),
    )


def _is_ranked(row: Row) -> bool:
    return row.value_loss is not None and row.status not in ("failed", CONTROL)


def _order(entry: Entry) -> tuple[bool, float, float, int]:
    """Further is better evidence; at equal positions the smaller loss leads."""
    row = entry.row
    loss = math.inf if row.value_loss is None else row.value_loss
    return (not _is_ranked(row), -row.positions_seen, loss, int(row.trial_ids[0][1:]))


def _group(row: Row) -> float:
    return math.inf if row.group is None else row.group


def _number(ranked: Sequence[Row]) -> None:
    """Ranks from 1; rows of one group share that of its first."""
    first_of_group: dict[int, int] = {}
    for number, row in enumerate(ranked, start=1):
        row.rank = number if row.group is None else first_of_group.setdefault(row.group, number)


def _compare(ranked: list[Entry], folder: StudyFolder, stage: str | None) -> Spread:
    """Fill in intervals, differences and ties of the rows; what was learnt about seeds."""
    levels = [
        list(entries) for _, entries in groupby(ranked, key=lambda entry: entry.row.positions_seen)
    ]
    seed = _seed_variance([entry.runs for entry in levels[0]] if levels else [])
    spread = Spread(seed.deviation, seed.measured)
    room = _EVIDENCE_LIMIT
    leader: Entry | None = None
    for level in levels if stage is None or stage in STAGES else []:
        compared, panel = evidence_panel(level, leader, folder, stage, room)
        if panel is None:
            continue
        room -= len(panel.variant)
        here = seed_variance(by_variant(panel, compared))
        if leader is None:
            ranking = rank(panel, np.random.default_rng(0), here)
            _fill_ranking(compared, ranking)
            seed, spread = here, _spread(panel, ranking)
            leader = compared[ranking.leader]
        else:
            _fill_differences(compared, versus(panel, here if here.measured else seed, 0))
    if stage is None:
        _fill_intervals([entry for entry in ranked if entry.row.value_loss_low is None], seed)
    return spread


def _seed_variance(groups: Sequence[Sequence[TrialHistory]]) -> SeedVariance:
    runs = [trial for trials in groups for trial in trials]
    return seed_variance_of_means(
        [trial.reports[-1]["value_loss"] for trial in runs],
        [trial.variant for trial in runs],
        [trial.replicate for trial in runs],
    )


def _fill_ranking(compared: Sequence[Entry], ranking: Ranking) -> None:
    """Write what holds where the leader stands into its rows."""
    _fill_differences(compared, ranking.to_leader)
    for index, entry in enumerate(compared):
        row, row.group = entry.row, int(ranking.group[index])
        row.tied_with_leader = row.group == 0
        row.value_loss_low = float(ranking.low[index])
        row.value_loss_high = float(ranking.high[index])
        if len(compared) > 1:  # alone, a row is the best of nothing
            row.expected_value_loss = float(ranking.expected_value_loss[index])
            row.probability_best = float(ranking.probability_best[index])


def _fill_differences(compared: Sequence[Entry], versus_leader: Versus) -> None:
    for index, entry in enumerate(compared):
        row = entry.row
        if row.difference is None:
            row.difference = float(versus_leader.difference[index])
            row.difference_low = float(versus_leader.low[index])
            row.difference_high = float(versus_leader.high[index])
            row.p_adjusted = float(versus_leader.p_adjusted[index])


def _fill_intervals(entries: Sequence[Entry], seed: SeedVariance) -> None:
    """The intervals of rows whose per-game losses were not read."""
    known = [
        (entry.row, entry.row.value_loss, error, len(entry.runs))
        for entry in entries
        if (error := entry.value_loss_se) is not None and entry.row.value_loss is not None
    ]
    means, errors, runs = (np.array([one[place] for one in known]) for place in (1, 2, 3))
    variance, freedom = combine(np.square(errors), math.inf, 1.0 / runs, seed, seed.shared)
    low, high = interval(means, variance, freedom)
    for (row, *_), lowest, highest in zip(known, low, high, strict=True):
        row.value_loss_low, row.value_loss_high = max(0.0, float(lowest)), float(highest)


def _spread(panel: Panel, ranking: Ranking) -> Spread:
    seed = ranking.seed
    for delta in _DIFFERENCES:
        more = seeds_to_separate(panel, seed, delta)
        if more is not None and more <= _MOST_SEEDS:
            return Spread(seed.deviation, seed.measured, delta, more)
    return Spread(seed.deviation, seed.measured)
