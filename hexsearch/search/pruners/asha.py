"""ASHA, stopping form: a trial continues if it reaches the quantile 1/k of earlier trials.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided, Event
from hexsearch.search.pruners.base import Decision, Pruner


class AshaPruner(Pruner):
    """Compares a trial with a quantile of the value losses of earlier trials at the rung."""

    least = 1  # trials that a rung needs before a trial is pruned there

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        super().__init__(config, rungs, max_positions)
        self.recorded: dict[tuple[int, int], list[float]] = {}  # (bracket, rung) -> ascending

    @property
    def share(self) -> float:
        """Share of the trials at a rung that continue."""
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
        """Update the rungs with a decision."""
        if isinstance(event, Decided) and event.rung is not None:
            insort(self.recorded.setdefault((event.bracket, event.rung), []), event.value_loss)

    def cutoff(self, before: Sequence[float]) -> float | None:
        """Value loss that the next trial at a rung must reach; None if every trial continues.

        It is the quantile of earlier trials, interpolated as in Ray Tune. Ranks that are rounded
        down let too few trials pass the upper rungs, where there are never many trials
        (docs/lab-log.md, 2026-11-24).

        Args:
            before: value losses of earlier trials at the rung, in ascending order.
        """
        if len(before) < self.least:
            return None
        place = (len(before) - 1) * self.share
        low = int(place)
        high = min(low + 1, len(before) - 1)
        return before[low] + (before[high] - before[low]) * (place - low)

    def chance(self, before: int) -> float:
        """Probability that a trial passes a rung after `before` others of the same distribution.

        >>> pruner = AshaPruner(SchedulerConfig(reduction_factor=3), (1, 3), 9)
        >>> [round(pruner.chance(count), 2) for count in (0, 1, 2, 100)]
        [1.0, 0.5, 0.44, 0.34]
        """
        # The new trial has the same probability for each of the before + 1 gaps between others.
        limit = self.cutoff([float(place) for place in range(before)])
        return 1.0 if limit is None else (limit + 1.0) / (before + 1)
