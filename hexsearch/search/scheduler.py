"""ASHA on positions seen, with rungs that are a fold over the ledger.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934;
the stopping form, in which a trial goes on unless it is outside the best 1/k seen so far.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from typing import Literal

from hexsearch.config.study import SchedulerConfig
from hexsearch.search.ledger import Record
from hexsearch.training.milestones import round_up


def rung_levels(grace_period: int, max_t: int, reduction_factor: int) -> tuple[int, ...]:
    """Positions seen at which ASHA compares trials, lowest first.

    A trial that reaches `max_t` is finished, so `max_t` itself is no rung.

    >>> rung_levels(grace_period=1, max_t=27, reduction_factor=3)
    (1, 3, 9)
    """
    levels = []
    level = grace_period
    # Multiply rather than take logs: log(243) / log(3) is 4.999... and drops a rung.
    while level < max_t:
        levels.append(level)
        level *= reduction_factor
    return tuple(levels)


@dataclass(frozen=True)
class Ladder:
    """Where the trials of a study report, in whole batches."""

    rungs: tuple[int, ...]
    budget: int  # max_t in whole batches
    report_every: int | None

    @classmethod
    def of(cls, config: SchedulerConfig, unit: int) -> Ladder:
        """Rungs rounded up to a multiple of `unit`, which every batch size divides."""
        budget = round_up(config.max_t, unit)
        rungs: tuple[int, ...] = ()
        if config.name == "asha":
            levels = rung_levels(config.grace_period, config.max_t, config.reduction_factor)
            rungs = tuple(
                sorted(
                    {round_up(level, unit) for level in levels if round_up(level, unit) < budget}
                )
            )
        every = round_up(config.report_every, unit) if config.report_every else None
        return cls(rungs, budget, every)


@dataclass(frozen=True)
class Decision:
    """What becomes of a trial after a report, and why.

    Attributes:
        rung: level at which it was compared, if it was. rank: 1 is best, of `of` at this rung.
        cutoff: value loss that a trial had to reach to go on, at that moment.
    """

    action: Literal["continue", "prune", "complete"]
    rung: int | None = None
    rank: int | None = None
    of: int | None = None
    cutoff: float | None = None


@dataclass
class AshaRungs:
    """Value losses recorded at each rung; equal records give equal decisions."""

    ladder: Ladder
    reduction_factor: int
    recorded: dict[int, list[float]] = field(default_factory=dict)  # ascending

    def decide(self, positions_seen: int, value_loss: float) -> Decision:
        """Judge a report, without recording it.

        Raises:
            ValueError: the value loss is not finite; such a trial must be failed, not compared.
        """
        if not math.isfinite(value_loss):
            raise ValueError(f"value_loss is {value_loss} at {positions_seen:,} positions")
        if positions_seen >= self.ladder.budget:
            return Decision("complete")
        if positions_seen not in self.ladder.rungs:
            return Decision("continue")
        before = self.recorded.get(positions_seen, [])
        rank = bisect_right(before, value_loss) + 1
        count = len(before) + 1
        kept = max(1, count // self.reduction_factor)
        return Decision(
            action="continue" if rank <= kept else "prune",
            rung=positions_seen,
            rank=rank,
            of=count,
            cutoff=before[kept - 1] if len(before) >= kept else None,
        )

    def apply(self, record: Record) -> None:
        """Take a `decided` record into account."""
        if record["event"] == "decided" and record["rung"] is not None:
            insort(self.recorded.setdefault(record["rung"], []), record["value_loss"])
