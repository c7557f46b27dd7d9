"""ASHA, stopping form: a trial goes on if it reaches the quantile 1/k of those before it.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided, Event
from hexsearch.search.pruners.base import Decision, Pruner


class AshaPruner(Pruner):
    """Compares with a quantile of the value losses that the rung holds already."""

    least = 1  # trials at a rung before one is cut there

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        super().__init__(config, rungs, max_positions)
        self.recorded: dict[tuple[int, int], list[float]] = {}  # (bracket, rung) -> ascending

    @property
    def share(self) -> float:
        """Of the trials at a rung, those that go on."""
        return 1.0 / self.config.reduction_factor

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Continue at or below the cut-off."""
        bracket = self.bracket(number)
        before = self.recorded.get((bracket, rung), [])
        limit = self.cutoff(before)
        return Decision(
            action="continue" if limit is None or value_loss <= limit else "prune",
            rung=rung,
            rank=bisect_right(before, value_loss) + 1,
            of=len(before) + 1,
            cutoff=limit,
            bracket=bracket,
        )

    def apply(self, event: Event) -> None:
        """Take a decision into account."""
        if isinstance(event, Decided) and event.rung is not None:
            insort(self.recorded.setdefault((event.bracket, event.rung), []), event.value_loss)

    def cutoff(self, before: Sequence[float]) -> float | None:
        """Value loss that the next trial at a rung has to reach; None where every one goes on.

        The quantile of those that came before, interpolated as Ray Tune does it. Counting places
        instead, the best third of two or four trials rounded down, lets too few through the upper
        rungs, where there are never many (docs/lab-log.md, 2026-11-24).

        Args:
            before: value losses at the rung so far, ascending.
        """
        if len(before) < self.least:
            return None
        place = (len(before) - 1) * self.share
        low = int(place)
        high = min(low + 1, len(before) - 1)
        return before[low] + (before[high] - before[low]) * (place - low)

    def chance(self, before: int) -> float:
        """That a trial goes on past a rung after `before` others of the same distribution.

        >>> pruner = AshaPruner(SchedulerConfig(reduction_factor=3), (1, 3), 9)
        >>> [round(pruner.chance(count), 2) for count in (0, 1, 2, 100)]
        [1.0, 0.5, 0.44, 0.34]
        """
        # The new one is as likely to fall into any of the before + 1 gaps between the others.
        limit = self.cutoff([float(place) for place in range(before)])
        return 1.0 if limit is None else (limit + 1.0) / (before + 1)
