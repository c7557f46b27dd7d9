"""Enumerates a finite space: every configuration once before one is repeated."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hexsearch.search.space import SearchSpace, Values


class Enumeration:
    """Gives variants in an order drawn from a seed. Its state is a fold over suggestions.

    Args:
        variants: canonical key -> values.
        endless: begin again after every variant was suggested, instead of ending.
    """

    def __init__(self, variants: dict[str, Values], seed: int, endless: bool = False) -> None:
        keys = list(variants)
        order = np.random.default_rng(seed).permutation(len(keys))
        self._variants = [(keys[place], variants[keys[place]]) for place in order]
        self._suggested: Counter[str] = Counter()
        self._endless, self._round, self._place = endless, 0, 0

    @classmethod
    def of(cls, space: SearchSpace, seed: int, endless: bool = False) -> Enumeration:
        """Enumeration of the distinct configurations of a finite space."""
        return cls(space.variants(), seed, endless)

    def count(self, variant: str) -> None:
        """Count a suggested configuration, from whatever source."""
        self._suggested[variant] += 1

    def next(self) -> Values | None:
        """The first variant that was not suggested in this round; None if all were."""
        while True:
            while self._place < len(self._variants):
                key, values = self._variants[self._place]
                if self._suggested[key] <= self._round:
                    return dict(values)
                self._place += 1
            if not self._endless:
                return None
            self._round, self._place = self._round + 1, 0
