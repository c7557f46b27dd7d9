"""How often pruning cuts a trial that would have won, from a random few run to the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from hexsearch.statistics.intervals import LEVEL


@dataclass(frozen=True)
class PruningCheck:
    """What the checked trials say of all that were pruned.

    Attributes:
        pruned: all trials that were pruned. checked: of them, those run to the end at random.
        beat_the_winner: of the checked, those whose final value loss is below the winner's.
        best_gain: by how much the best of these is; 0 if there is none.
        rate: estimated share of pruned trials that would have beaten the winner; low, high: its
            95% interval. nan, 0 and 1 while none was checked.
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
        """Pruned trials that would have beaten the winner, at the upper end of the interval."""
        known_not_to = self.checked - self.beat_the_winner
        return min(math.ceil(self.high * self.pruned), self.pruned - known_not_to)


def check_pruning(final_losses: Sequence[float], winner: float, pruned: int) -> PruningCheck:
    """Estimate the rate of wrongly pruned winners.

    Single runs are compared, so noise between seeds lets some trial beat the winner that is not
    better. The interval holds the true rate in at least 95% of checks, however few there were:
    Clopper & Pearson, Biometrika 26, 1934. It takes the checked as drawn from endlessly many
    pruned trials, which errs on the careful side.

    Args:
        final_losses: value losses at the full budget of the pruned trials that were chosen at
            random, before their outcome was known, and run to the end; inf for one that diverged.
        winner: value loss of the study's winner at the full budget, on the same games.
        pruned: how many trials were pruned in all, the checked included.
    Raises:
        ValueError: more were checked than pruned, or a loss is nan.
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
