"""Who goes on past a rung, with rungs that are a fold over the ledger.

ASHA: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934; the
stopping form, in which a trial goes on if it reaches the quantile 1/k of those before it.
Hyperband: Li et al., arXiv:1603.06560; its brackets, each an ASHA of its own that begins to
compare at a higher rung. Median stopping: Golovin et al., "Google Vizier", KDD 2017, with the
value at the same positions in place of running averages.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.ledger import Record
from hexsearch.training.report_points import round_up

_MEDIAN_FROM = 5  # of fewer trials a median says little


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
class RungSchedule:
    """Where the trials of a study report, in whole batches."""

    rungs: tuple[int, ...]
    budget: int  # max_t in whole batches
    report_every: int | None

    @classmethod
    def of(cls, config: SchedulerConfig, unit: int) -> RungSchedule:
        """Rungs rounded up to a multiple of `unit`, which every batch size divides."""
        budget = round_up(config.max_t, unit)
        levels: Iterable[int] = ()
        if config.name == "median":
            every = config.report_every or config.grace_period
            levels = range(config.grace_period, config.max_t, every)
        elif config.name != "none":
            levels = rung_levels(config.grace_period, config.max_t, config.reduction_factor)
        rungs = tuple(sorted({round_up(level, unit) for level in levels} - {budget}))
        apart = round_up(config.report_every, unit) if config.report_every else None
        return cls(rungs, budget, apart)


@dataclass(frozen=True)
class Decision:
    """What becomes of a trial after a report, and why.

    Attributes:
        rung: level at which it was compared, if it was. rank: 1 is best, of `of` at this rung.
        cutoff: value loss that a trial had to reach to go on, at that moment.
        bracket: among whose trials it was compared.
    """

    action: Literal["continue", "prune", "complete"]
    rung: int | None = None
    rank: int | None = None
    of: int | None = None
    cutoff: float | None = None
    bracket: int = 0


@dataclass
class Rungs:
    """Value losses recorded at each rung; equal records give equal decisions."""

    schedule: RungSchedule
    config: SchedulerConfig
    recorded: dict[tuple[int, int], list[float]] = field(default_factory=dict)  # ascending

    def __post_init__(self) -> None:
        self._cycle = bracket_cycle(len(self.schedule.rungs), self.config)

    def bracket(self, number: int) -> int:
        """Bracket of trial `number`; it is compared from the rung of that place on."""
        return self._cycle[number % len(self._cycle)]

    def is_rung(self, number: int, positions_seen: int) -> bool:
        """Whether trial `number` is compared at these positions."""
        return positions_seen in self.schedule.rungs[self.bracket(number) :]

    def decide(self, number: int, positions_seen: int, value_loss: float) -> Decision:
        """Judge a report of trial `number`, without recording it.

        Raises:
            ValueError: the value loss is not finite; such a trial must be failed, not compared.
        """
        if not math.isfinite(value_loss):
            raise ValueError(f"value_loss is {value_loss} at {positions_seen:,} positions")
        if positions_seen >= self.schedule.budget:
            return Decision("complete")
        if not self.is_rung(number, positions_seen):
            return Decision("continue")
        bracket = self.bracket(number)
        before = self.recorded.get((bracket, positions_seen), [])
        limit = cutoff(self.config, before)
        return Decision(
            action="continue" if limit is None or value_loss <= limit else "prune",
            rung=positions_seen,
            rank=bisect_right(before, value_loss) + 1,
            of=len(before) + 1,
            cutoff=limit,
            bracket=bracket,
        )

    def apply(self, record: Record) -> None:
        """Take a `decided` record into account."""
        if record["event"] == "decided" and record["rung"] is not None:
            key = (record.get("bracket", 0), record["rung"])
            insort(self.recorded.setdefault(key, []), record["value_loss"])


def cutoff(config: SchedulerConfig, before: Sequence[float]) -> float | None:
    """Value loss that the next trial at a rung has to reach; None where every one goes on.

    The quantile of those that came before, interpolated as Ray Tune does it. Counting places
    instead, the best third of two or four trials rounded down, let too few through the upper
    rungs, where there are never many (LOG.md, "a third of four").

    Args:
        before: value losses at the rung so far, ascending.
    """
    if len(before) < (_MEDIAN_FROM if config.name == "median" else 1):
        return None
    share = 0.5 if config.name == "median" else 1.0 / config.reduction_factor
    place = (len(before) - 1) * share
    low = int(place)
    high = min(low + 1, len(before) - 1)
    return before[low] + (before[high] - before[low]) * (place - low)


def chance(config: SchedulerConfig, before: int) -> float:
    """That a trial goes on past a rung after `before` others of the same distribution.

    >>> [round(chance(SchedulerConfig(reduction_factor=3), n), 2) for n in (0, 1, 2, 100)]
    [1.0, 0.5, 0.44, 0.34]
    """
    # The new one is as likely to fall into any of the before + 1 gaps between the others.
    places = [float(place) for place in range(before)]
    limit = cutoff(config, places)
    return 1.0 if limit is None else (limit + 1.0) / (before + 1)


def bracket_cycle(rungs: int, config: SchedulerConfig) -> tuple[int, ...]:
    """Brackets of consecutive trials, which begin again at its end.

    Each bracket's share is that of Hyperband: equal budgets, so that the bracket that begins to
    cut at the first rung has the most trials, and one that never cuts has the fewest.

    >>> bracket_cycle(2, SchedulerConfig(name="hyperband", reduction_factor=3))
    (0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2, 0, 1, 0)
    """
    if config.name != "hyperband":
        return (0,)
    sizes = [
        math.ceil((rungs + 1) * config.reduction_factor**cuts / (cuts + 1))
        for cuts in range(rungs, -1, -1)
    ]
    given = [0] * len(sizes)
    cycle = []
    for place in range(1, sum(sizes) + 1):
        behind = [size * place / sum(sizes) - had for size, had in zip(sizes, given, strict=True)]
        bracket = behind.index(max(behind))
        given[bracket] += 1
        cycle.append(bracket)
    return tuple(cycle)
