"""Estimates how often pruning stops a trial that would have won.

Some pruned trials are chosen at random and run to the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from hexsearch.statistics.intervals import LEVEL


@dataclass(frozen=True)
class PruningCheck:
    """Estimate for all pruned trials, from those that were checked.

    Attributes:
        pruned: number of pruned trials.
        checked: number of them that were chosen at random and run to the end.
        beat_the_winner: number of checked trials whose final value loss is below the winner's.
        best_gain: largest difference by which one of them is below the winner; 0 if none is.
        rate: estimated share of pruned trials that would have beaten the winner; nan while no
            trial was checked.
        low, high: its 95% interval; 0 and 1 while no trial was checked.
    """

    pruned: int
    checked: int
    beat_the_winner: int
    best_gain: float
    rate: float
    low: float
    high: float

    @property
    def most(self) -> int:
        """Number of pruned trials that would have beaten the winner, at the upper bound."""
        known_not_to = self.checked - self.beat_the_winner
        return min(math.ceil(self.high * self.pruned), self.pruned - known_not_to)


def check_pruning(final_losses: Sequence[float], winner: float, pruned: int) -> PruningCheck:
    """Estimate the rate of wrongly pruned winners.

    Single runs are compared. So, because of noise between seeds, a trial may beat the winner
    without being better. The interval covers the true rate in at least 95% of cases for any
    number of checked trials (Clopper & Pearson, Biometrika 26, 1934). It treats the checked trials
    as drawn from infinitely many pruned trials, which makes it wider than necessary.

    Args:
        final_losses: value losses at the full budget of pruned trials that were chosen at random,
            before their outcome was known, and run to the end; inf for a diverged trial.
        winner: value loss of the study's winner at the full budget, on the same games.
        pruned: number of all pruned trials, including the checked ones.
    Raises:
        ValueError: more trials were checked than pruned, or a loss is nan.
    """
    checked = len(final_losses)
    if checked > pruned:
        raise ValueError(f"{checked} trials checked, but only {pruned} pruned")
    if any(math.isnan(loss) for loss in (*final_losses, winner)):
        raise ValueError("a value loss is nan; give inf for a trial that diverged")
    beat = sum(loss < winner for loss in final_losses)
    low, high = binomial_interval(beat, checked)
    return PruningCheck(
        pruned=pruned,
        checked=checked,
        beat_the_winner=beat,
        best_gain=max((winner - loss for loss in final_losses if loss < winner), default=0.0),
        rate=beat / checked if checked else math.nan,
        low=low,
        high=high,
    )


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """Exact 95% interval of a probability (Clopper & Pearson, 1934); 0 to 1 without trials.

    >>> [round(bound, 3) for bound in binomial_interval(0, 20)]
    [0.0, 0.168]
    """
    tail = (1 - LEVEL) / 2
    failures = trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return low, high
