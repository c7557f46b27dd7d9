"""Compares rows at equal positions, and adds intervals, differences and groups to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from hexsearch.leaderboard.paired_losses import by_variant, paired_losses
from hexsearch.leaderboard.rows import Entry, Row
from hexsearch.ledger.folder import StudyFolder
from hexsearch.statistics.intervals import STAGES, interval
from hexsearch.statistics.ranking import Ranking, Versus, rank, seeds_to_separate, versus
from hexsearch.statistics.variance import (
    PairedRuns,
    SeedVariance,
    combine,
    seed_variance,
    seed_variance_of_means,
)

# Largest number of runs whose per-game losses are compared, best first.
_MOST_RUNS = 300
_DIFFERENCES = (0.001, 0.002, 0.005, 0.01, 0.02)  # of value loss, for which seeds are advised
FEWEST_GAMES = 30  # with fewer, no probability of being the best is stated
_MOST_SEEDS = 10  # largest number of further seeds that is advised


@dataclass(frozen=True)
class Spread:
    """The spread between seeds, and the differences that more seeds could show.

    Attributes:
        seed_deviation: standard deviation of the value loss between seeds of one variant.
        measured: it was measured in this study; otherwise it is a default.
        separable: smallest difference that more seeds can separate on these games; None if there
            is none.
        more_seeds: number of further seeds for each variant to do so.
        games: validation games by which the first rows are compared; None if none are.
    """

    seed_deviation: float
    measured: bool
    separable: float | None = None
    more_seeds: int | None = None
    games: int | None = None


def compare(
    ranked: Sequence[Entry], folder: StudyFolder, stage: str | None
) -> tuple[list[Row], Spread]:
    """The rows with intervals, differences and groups, and the spread between seeds.

    Rows are compared with the leader at equal positions seen. Rows that were trained on fewer
    positions are compared with the leader's earlier report.

    Args:
        ranked: entries, best first.
    """
    levels = [
        list(entries) for _, entries in groupby(ranked, key=lambda entry: entry.row.positions_seen)
    ]
    seed = _seed_variance(levels[0] if levels else [])
    spread = Spread(seed.deviation, seed.measured)
    rows = {_key(entry): entry.row for entry in ranked}
    runs_left = _MOST_RUNS
    leader: Entry | None = None
    for level in levels if stage is None or stage in STAGES else []:
        compared, paired = paired_losses(level, leader, folder, stage, runs_left)
        if paired is None:
            continue
        runs_left -= len(paired.variant)
        level_seed = seed_variance(by_variant(paired, compared))
        if leader is None:
            ranking = rank(paired, np.random.default_rng(0), level_seed)
            games = paired.table.counts.size
            rows |= _with_ranking(compared, ranking, games)
            seed, spread = level_seed, _spread(paired, ranking)
            spread = replace(spread, games=games)
            leader = compared[ranking.leader]
        else:
            against = versus(paired, level_seed if level_seed.measured else seed, 0)
            for index, entry in enumerate(compared):
                if entry is not leader:
                    rows[_key(entry)] = _with_difference(entry.row, against, index)
    if stage is None:
        rows |= _with_intervals(
            [e for e in ranked if rows[_key(e)].value_loss_low is None], rows, seed
        )
    return [rows[_key(entry)] for entry in ranked], spread


def _key(entry: Entry) -> str:
    return entry.row.trial_ids[0]


def _seed_variance(entries: Sequence[Entry]) -> SeedVariance:
    runs = [trial for entry in entries for trial in entry.runs]
    return seed_variance_of_means(
        [trial.curve[-1].value_loss for trial in runs],
        [trial.variant for trial in runs],
        [trial.replicate for trial in runs],
    )


def _with_ranking(compared: Sequence[Entry], ranking: Ranking, games: int) -> dict[str, Row]:
    """The rows that were trained on as many positions as the leader."""
    rows = {}
    for index, entry in enumerate(compared):
        row = replace(
            _with_difference(entry.row, ranking.to_leader, index),
            group=int(ranking.group[index]),
            value_loss_low=float(ranking.low[index]),
            value_loss_high=float(ranking.high[index]),
        )
        # For a single row these figures have no meaning, and over a few games they are too sure.
        if len(compared) > 1 and games >= FEWEST_GAMES:
            row = replace(
                row,
                expected_value_loss=float(ranking.expected_value_loss[index]),
                probability_best=float(ranking.probability_best[index]),
            )
        rows[_key(entry)] = row
    return rows


def _with_difference(row: Row, against: Versus, index: int) -> Row:
    return replace(
        row,
        difference=float(against.difference[index]),
        difference_low=float(against.low[index]),
        difference_high=float(against.high[index]),
        p_adjusted=float(against.p_adjusted[index]),
    )


def _with_intervals(
    entries: Sequence[Entry], rows: dict[str, Row], seed: SeedVariance
) -> dict[str, Row]:
    """Rows whose per-game losses were not read, with intervals from their reports."""
    figures = [
        (_key(entry), entry.row.value_loss, error, len(entry.runs))
        for entry in entries
        if (error := entry.value_loss_se) is not None and entry.row.value_loss is not None
    ]
    means, errors, runs = (np.array([one[place] for one in figures]) for place in (1, 2, 3))
    variance, freedom = combine(np.square(errors), math.inf, 1.0 / runs, seed, seed.shared)
    low, high = interval(means, variance, freedom)
    return {
        key: replace(
            rows[key], value_loss_low=max(0.0, float(lowest)), value_loss_high=float(highest)
        )
        for (key, *_), lowest, highest in zip(figures, low, high, strict=True)
    }


def _spread(paired: PairedRuns, ranking: Ranking) -> Spread:
    seed = ranking.seed
    for delta in _DIFFERENCES:
        more = seeds_to_separate(paired, seed, delta)
        if more is not None and more <= _MOST_SEEDS:
            return Spread(seed.deviation, seed.measured, delta, more)
    return Spread(seed.deviation, seed.measured)
