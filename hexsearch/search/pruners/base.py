"""The base of all pruning rules: one class with one method that compares a trial at a rung."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Event
from hexsearch.search.forecasting.outlook import Outlook

Action = Literal["continue", "pause", "prune", "complete"]
# A function of two trials and a number of positions seen: the difference of their value losses and
# its standard error, from per-game losses; None if these are missing.
Paired = Callable[[str, str, int], tuple[float, float] | None]


@dataclass(frozen=True)
class Decision:
    """The decision on a trial after a report, and its reason.

    Attributes:
        rung: level at which the trial was compared; None if it was not.
        rank: rank among the `of` trials at this rung; 1 is best.
        cutoff: value loss that the trial needed to continue.
        bracket: bracket with whose trials it was compared.
        reason: reason in words, if the rank does not explain the decision.
    """

    action: Action
    rung: int | None = None
    rank: int | None = None
    of: int | None = None
    cutoff: float | None = None
    bracket: int = 0
    reason: str = ""


class Pruner(ABC):
    """Decides which trials continue past a rung. Equal events give equal decisions.

    A new rule is a subclass with `compare` that is named in `PRUNERS`.

    Args:
        rungs: positions seen at which trials are compared, in ascending order.
        max_positions: positions seen at which a trial is finished.

    Attributes:
        pauses: whether trials that do not continue keep their checkpoints and may continue later.
        outlook, paired: forecasts and paired differences, for rules that use them.
    """

    pauses = False
    outlook: Outlook | None = None
    paired: Paired | None = None

    def __init__(self, config: SchedulerConfig, rungs: tuple[int, ...], max_positions: int) -> None:
        self.config, self.rungs, self.max_positions = config, rungs, max_positions

    @classmethod
    def levels(cls, config: SchedulerConfig) -> Iterable[int]:
        """Positions seen at which this rule compares trials."""
        return rung_levels(config.first_rung, config.max_t, config.reduction_factor)

    @property
    def brackets(self) -> tuple[int, ...]:
        """Brackets of consecutive trials. At its end the sequence is repeated."""
        return (0,)

    def bracket(self, number: int) -> int:
        """Bracket of trial `number`. The trial is compared from the rung with this index on."""
        return self.brackets[number % len(self.brackets)]

    def is_rung(self, number: int, positions_seen: int) -> bool:
        """Whether trial `number` is compared after this many positions."""
        return positions_seen in self.rungs[self.bracket(number) :]

    def decide(
        self, number: int, positions_seen: int, value_loss: float, left: float = math.inf
    ) -> Decision:
        """Decide on a report of trial `number`, without recording it.

        Args:
            left: number of whole trainings for which each worker has time.
        Raises:
            ValueError: the value loss is not finite; such a trial has failed and is not compared.
        """
        if not math.isfinite(value_loss):
            raise ValueError(f"value_loss is {value_loss} at {positions_seen:,} positions")
        if positions_seen >= self.max_positions:
            return Decision("complete")
        if not self.is_rung(number, positions_seen):
            return Decision("continue")
        return self.compare(number, positions_seen, value_loss, left)

    @abstractmethod
    def compare(self, number: int, rung: int, value_loss: float, left: float) -> Decision:
        """Decide on trial `number` at a rung of its bracket, without recording it."""

    def choose_paused(self, may_propose: bool, left: float) -> int | None:
        """Number of the paused trial that continues now; None if there is none.

        Args:
            may_propose: whether a new trial could be started instead.
        """
        return None

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Update the rule with one event."""

    @abstractmethod
    def chance(self, before: int) -> float:
        """Probability that a trial passes a rung after `before` others of the same distribution."""


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
