"""How often pruning cuts a trial that would have won, from a random few run to the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import betaincinv

from hexsearch.reporting.statistics import LEVEL


@dataclass(frozen=True)
class PruningAudit:
    """What the audited trials say of all that were pruned.

    Attributes:
        pruned: all trials that were pruned. audited: of them, those run to the end at random.
        beat_the_winner: of the audited, those whose final value loss is below the winner's.
        best_gain: by how much the best of these is; 0 if there is none.
        rate: estimated share of pruned trials that would have beaten the winner; low, high: its
            95% interval. nan, 0 and 1 while none was audited.
    """

    pruned: int
    audited: int
    beat_the_winner: int
    best_gain: float
    rate: float
    low: float
    high: float

    @property
    def most(self) -> int:
        """Pruned trials that would have beaten the winner, at the upper end of the interval."""
        known_not_to = self.audited - self.beat_the_winner
        return min(math.ceil(self.high * self.pruned), self.pruned - known_not_to)

    def to_json(self) -> dict[str, Any]:
        """Plain values; a rate that is not known yet is None."""
        return {**asdict(self), "rate": self.rate if self.audited else None, "most": self.most}


def audit_pruning(final_losses: Sequence[float], winner: float, pruned: int) -> PruningAudit:
    """Estimate the rate of wrongly pruned winners.

    Single runs are compared, so noise between seeds lets some trial beat the winner that is not
    better. The interval holds the true rate in at least 95% of audits, however few there were:
    Clopper & Pearson, Biometrika 26, 1934. It takes the audited as drawn from endlessly many
    pruned trials, which errs on the careful side.

    Args:
        final_losses: value losses at the full budget of the pruned trials that were chosen at
            random, before their outcome was known, and run to the end; inf for one that diverged.
        winner: value loss of the study's winner at the full budget, on the same games.
        pruned: how many trials were pruned in all, the audited included.
    Raises:
        ValueError: more were audited than pruned, or a loss is nan.
    """
    audited = len(final_losses)
    if audited > pruned:
        raise ValueError(f"{audited} trials audited, but only {pruned} pruned")
    if any(math.isnan(loss) for loss in (*final_losses, winner)):
        raise ValueError("a value loss is nan; give inf for a trial that diverged")
    beat = sum(loss < winner for loss in final_losses)
    low, high = binomial_interval(beat, audited)
    return PruningAudit(
        pruned=pruned,
        audited=audited,
        beat_the_winner=beat,
        best_gain=max((winner - loss for loss in final_losses if loss < winner), default=0.0),
        rate=beat / audited if audited else math.nan,
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


def sentence(audit: PruningAudit) -> str:
    """What stands under the leaderboard."""
    if not audit.pruned:
        return "pruning audit: no trial was pruned"
    if not audit.audited:
        return f"pruning audit: none of {audit.pruned} pruned trials has been run to the end yet"
    ran = "1 pruned trial" if audit.audited == 1 else f"{audit.audited} pruned trials"
    gain = f", the best by {audit.best_gain:.4f}" if audit.beat_the_winner else ""
    return (
        f"pruning audit: of {ran} run to the end {audit.beat_the_winner} beat the winner{gain}; "
        f"of all {audit.pruned} pruned {audit.rate:.0%} would have ({audit.low:.0%} to "
        f"{audit.high:.0%}, at most {audit.most})"
    )
