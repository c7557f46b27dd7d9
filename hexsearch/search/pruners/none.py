"""No pruning: every trial runs to its end."""

from __future__ import annotations

from collections.abc import Iterable

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Event
from hexsearch.search.pruners.base import Decision, Pruner


class NoPruner(Pruner):
    """A pruning rule without rungs."""

    @classmethod
    def levels(cls, config: SchedulerConfig) -> Iterable[int]:
        """None."""
        return ()

    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Continue every trial."""
        return Decision("continue")

    def apply(self, event: Event) -> None:
        """Do nothing: there is no state."""

    def chance(self, before: int) -> float:
        """1.0, since every trial continues."""
        return 1.0
