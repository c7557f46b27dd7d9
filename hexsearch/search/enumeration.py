"""Every configuration of a finite space once before any comes up again."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hexsearch.search.space import SearchSpace, Values


class Enumeration:
    """Hands out variants in an order drawn from a seed; a fold over what was suggested.

    Args:
        variants: canonical key -> values.
        endless: go round again once every variant was suggested, instead of ending.
    """

    def __init__(self, variants: dict[str, Values], seed: int, endless: bool = False) -> None:
        keys = list(variants)
        order = np.random.default_rng(seed).permutation(len(keys))
        self._variants = [(keys[place], variants[keys[place]]) for place in order]
        self._suggested: Counter[str] = Counter()
        self._endless, self._round, self._place = endless, 0, 0

    @classmethod
    def of(cls, space: SearchSpace, seed: int, endless: bool = False) -> Enumeration:
        """Over the distinct configurations of a finite space."""
        return cls(space.variants(), seed, endless)

    def count(self, variant: str) -> None:
        """A configuration was suggested, by whomever."""
        self._suggested[variant] += 1

    def next(self) -> Values | None:
        """The first variant that was not suggested in this round; None once all were."""
        while True:
            while self._place < len(self._variants):
                key, values = self._variants[self._place]
                if self._suggested[key] <= self._round:
                    return dict(values)
                self._place += 1
            if not self._endless:
                return None
            self._round, self._place = self._round + 1, 0
