"""What a forecast knows of one trial."""

from __future__ import annotations

from dataclasses import dataclass, field

from hexsearch.ledger.report import ReportSummary
from hexsearch.search.forecasting.draws import Floats
from hexsearch.search.space import Values

_HALF = 0.25  # value loss of answers of 50%


@dataclass
class Entry:
    """A trial of the search.

    Attributes:
        at: coordinates of its configuration.
        losses: value losses at the rungs so far, and at the end.
        at_chance: how many of the last ones differ from that of answers of 50% by at most their
            standard errors.
        broken: whether it has failed or was stopped.
    """

    number: int
    name: str
    values: Values
    at: Floats
    losses: list[float] = field(default_factory=list)
    at_chance: int = 0
    broken: bool = False

    def add(self, report: ReportSummary) -> None:
        """Record a report at the next rung, or at the end."""
        self.losses.append(report.value_loss)
        error = report.metrics.overall.value_loss_se
        # An unknown error is nan, and the comparison false.
        near = abs(report.value_loss - _HALF) <= error
        self.at_chance = self.at_chance + 1 if near else 0
