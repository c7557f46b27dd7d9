"""A place in the ranking of a search, as the record of a confirmation holds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One variant in the ranking of a search.

    Attributes:
        value_loss: mean over its runs at the full budget.
        expected_value_loss: expected value loss with fresh seeds, with an allowance for selection.
    """

    variant: str
    name: str
    value_loss: float
    expected_value_loss: float
    seeds: int
