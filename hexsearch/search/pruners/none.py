"""No pruning: every trial runs to its end."""

from __future__ import annotations

from collections.abc import Iterable

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Event
from hexsearch.search.pruners.base import Decision, Pruner


class NoPruner(Pruner):
    """Has no rung."""

    @classmethod
    def levels(cls, config: SchedulerConfig) -> Iterable[int]:
        """None."""
        return ()

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Let it go on."""
        return Decision("continue")

    def apply(self, event: Event) -> None:
        """Learn nothing."""

    def chance(self, before: int) -> float:
        """Every trial goes on."""
        return 1.0
