"""Hyperband: several brackets, each of which is an ASHA with another first rung.

Source: Li et al., arXiv:1603.06560.
"""

from __future__ import annotations

import math
from functools import cached_property

from hexsearch.search.pruners.asha import AshaPruner


class HyperbandPruner(AshaPruner):
    """Each bracket has Hyperband's share of the trials."""

    @cached_property
    def brackets(self) -> tuple[int, ...]:
        """Brackets of consecutive trials."""
        return bracket_cycle(len(self.rungs), self.config.reduction_factor)


def bracket_cycle(rungs: int, reduction_factor: int) -> tuple[int, ...]:
    """Brackets of consecutive trials. At its end the cycle is repeated.

    The brackets have equal budgets, as in Hyperband. So the bracket that prunes from the first
    rung on has the most trials, and the bracket that never prunes has the fewest.

    >>> bracket_cycle(2, reduction_factor=3)
    (0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2, 0, 1, 0)
    """
    sizes = [
        math.ceil((rungs + 1) * reduction_factor**cuts / (cuts + 1))
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
