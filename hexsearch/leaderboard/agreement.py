"""Agreement of a comparison's ranking with that of heads that were trained on separate trunks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.phases import PhaseName
from hexsearch.errors import LedgerError
from hexsearch.leaderboard.paired_losses import common_table
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.ledger.history import SEARCHED, StudyHistory
from hexsearch.statistics.intervals import LEVEL, Floats, GameTable, holm, p_values
from hexsearch.statistics.variance import (
    PairedRuns,
    SeedVariance,
    difference_variance,
    seed_variance,
)
from hexsearch.training.metrics import GameLosses


@dataclass(frozen=True)
class HeadRuns:
    """Finished runs of some heads, all after the same number of positions.

    Attributes:
        where: name of the study that they come from.
        heads: variant of each mean of the paired runs, in the same order.
    """

    where: str
    heads: tuple[str, ...]
    paired: PairedRuns
    positions: int

    @property
    def seeds(self) -> int:
        """The smallest number of runs of a head."""
        return int(self.paired.seeds.min())

    def only(self, heads: Sequence[str]) -> HeadRuns:
        """The runs of the given heads, in the given order."""
        runs = np.concatenate(
            [np.flatnonzero(self.paired.variant == self.heads.index(head)) for head in heads]
        )
        names = [self.heads[number] for number in self.paired.variant[runs]]
        table = GameTable(self.paired.table.sums[runs], self.paired.table.counts)
        paired = PairedRuns.of(table, names, self.paired.replicate[runs].tolist())
        return HeadRuns(self.where, tuple(heads), paired, self.positions)


@dataclass(frozen=True)
class Agreement:
    """Agreement of two rankings of the same heads: a comparison, and independent training.

    Attributes:
        where: name of the study with independent training.
        seeds, positions: seeds and positions of its runs.
        tau: Kendall's tau, from -1 for the reverse order to 1 for the same order.
        by_chance: probability of a tau at least as far from 0 for independent rankings.
        pairs, same_order: number of pairs of heads, and of those with the same order in both.
        real: number of pairs that differ significantly in independent training (paired, 5%, Holm
            over all pairs).
        real_same_order: number of these that have the same order in the comparison.
        real_found: number of these whose difference is significant there as well.
    """

    where: str
    heads: int
    seeds: int
    positions: int
    tau: float
    by_chance: float
    pairs: int
    same_order: int
    real: int
    real_same_order: int
    real_found: int


def finished_runs(
    folder: StudyFolder, heads: Sequence[str], phases: Collection[PhaseName] = SEARCHED
) -> HeadRuns:
    """The completed runs of a study that belong to the given heads.

    Args:
        heads: variants; each stands for a head and all other settings of its trial.
        phases: phases of the study whose runs are taken.
    Raises:
        LedgerError: there is no study, or fewer than two of the heads have finished runs.
    """
    history = StudyHistory.read(folder.ledger).only(phases)
    finished = [
        trial
        for trial in history.trials.values()
        if trial.variant in heads and trial.status == "completed" and not trial.is_control
    ]
    positions = max((trial.positions_seen for trial in finished), default=0)
    losses: list[GameLosses] = []
    names: list[str] = []
    replicates: list[int] = []
    for trial in finished:
        game_losses = read_game_losses(folder.trial(trial.trial), positions)
        if game_losses is not None:
            losses.append(game_losses)
            names.append(trial.variant)
            replicates.append(trial.replicate)
    table = common_table(losses, folder)
    if table is None or len(set(names)) < 2:
        raise LedgerError(
            f"{folder.path}: has finished runs of {len(set(names))} of the comparison's heads, but "
            "two are needed; launch a study of the same space with the same settings, and let it "
            "finish"
        )
    paired = PairedRuns.of(table, names, replicates)
    return HeadRuns(folder.name, tuple(dict.fromkeys(names)), paired, positions)


def agreement(comparison: HeadRuns, independent: HeadRuns) -> Agreement:
    """Compare the rankings of the common heads.

    Raises:
        ValueError: there are fewer than two common heads.
    """
    heads = [head for head in comparison.heads if head in independent.heads]
    if len(heads) < 2:
        raise ValueError("fewer than two heads in common")
    from scipy.stats import kendalltau  # importing it takes half a second

    shared, apart = comparison.only(heads).paired, independent.only(heads).paired
    gaps, real = _pairs(apart)
    gaps_shared, real_shared = _pairs(shared)
    same = gaps * gaps_shared > 0
    level = np.ptp(shared.means) == 0.0 or np.ptp(apart.means) == 0.0  # all heads have equal means
    rank = kendalltau(shared.means, apart.means)
    return Agreement(
        where=independent.where,
        heads=len(heads),
        seeds=independent.seeds,
        positions=independent.positions,
        tau=0.0 if level else float(rank.statistic),
        by_chance=1.0 if level else float(rank.pvalue),
        pairs=len(gaps),
        same_order=int(same.sum()),
        real=int(real.sum()),
        real_same_order=int((real & same).sum()),
        real_found=int((real & same & real_shared).sum()),
    )


def _pairs(paired: PairedRuns) -> tuple[Floats, NDArray[np.bool_]]:
    """Difference of each pair of variants, and whether it is significant after Holm."""
    seed = seed_variance(paired)
    first, second = np.triu_indices(len(paired.means), k=1)
    gaps, p = _all_differences(paired, seed)
    adjusted = holm(p[first, second])
    return gaps[first, second], adjusted < 1 - LEVEL


def _all_differences(paired: PairedRuns, seed: SeedVariance) -> tuple[Floats, Floats]:
    """[V, V] differences of each variant (column) to each other one (row), and p-values."""
    gaps = paired.means[None, :] - paired.means[:, None]
    p = np.ones_like(gaps)
    for leader in range(len(paired.means)):
        variance, freedom = difference_variance(paired, seed, leader)
        p[leader] = p_values(gaps[leader], variance, freedom)
    return gaps, p
