"""What a forecast knows of one trial."""

from __future__ import annotations

from dataclasses import dataclass, field

from hexsearch.search.forecasting.draws import Floats
from hexsearch.search.space import Values


@dataclass
class Entry:
    """A trial of the search.

    Attributes:
        at: coordinates of its configuration.
        losses: value losses at the rungs so far, and at the end.
        broken: whether it has failed or was stopped.
    """

    number: int
    name: str
    values: Values
    at: Floats
    losses: list[float] = field(default_factory=list)
    broken: bool = False
