"""Sequential halving: the order and the number of visits of the moves at the root.

Source: Karnin, Koren & Somekh, 2013; at the root of a tree search: Danihelka et al., Policy
improvement by planning with Gumbel, ICLR 2022, with the schedule of its published code (mctx).
"""

from __future__ import annotations

from functools import cache
from math import ceil, log2


@cache
def visit_schedule(considered: int, simulations: int) -> tuple[int, ...]:
    """For each simulation, the number of earlier visits of the move that is visited next.

    Half of the moves are dropped after each round. The others share the visits evenly.

    >>> visit_schedule(considered=4, simulations=8)
    (0, 0, 0, 0, 1, 1, 2, 2)
    """
    if considered <= 1:
        return tuple(range(simulations))
    rounds = ceil(log2(considered))
    visits = [0] * considered
    schedule: list[int] = []
    left = considered
    while len(schedule) < simulations:
        for _ in range(max(1, simulations // (rounds * left))):
            schedule += visits[:left]
            visits[:left] = [count + 1 for count in visits[:left]]
        left = max(2, left // 2)
    return tuple(schedule[:simulations])
