"""Variants of known true quality, with noise of the size that was measured on real runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.statistics.intervals import Floats, GameTable
from hexsearch.statistics.variance import PairedRuns


@dataclass(frozen=True)
class World:
    """A population of variants, seeds and games; standard deviations in units of value loss.

    Attributes:
        variants: of true quality; between: their spread.
        seeds: of each variant; where `unequal`, one to that many.
        own, shared: what a seed does to one variant, and to all variants alike.
        game, variant_game, seed_game: how a game differs for all, for one variant, for one run.
    """

    variants: int = 12
    seeds: int = 3
    games: int = 600
    between: float = 0.0015
    own: float = 0.0011
    shared: float = 0.0
    game: float = 0.13
    variant_game: float = 0.01
    seed_game: float = 0.03
    unequal: bool = False

    def draw(self, rng: np.random.Generator) -> tuple[Floats, PairedRuns]:
        """True value losses [V], and what a study would see of them."""
        truth = 0.165 + self.between * rng.standard_normal(self.variants)
        return truth, self.judge(truth, rng)

    def judge(self, truth: Floats, rng: np.random.Generator) -> PairedRuns:
        """What fresh seeds on fresh games would show of variants of true value losses [V]."""
        lengths = rng.integers(20, 90, self.games).astype(np.float64)
        seeds = [1 + int(rng.integers(self.seeds)) if self.unequal else self.seeds for _ in truth]
        variant = np.repeat(np.arange(len(truth)), seeds)
        replicate = np.concatenate([np.arange(count) for count in seeds])
        runs = len(variant)
        by_seed = self.own * rng.standard_normal(runs)
        by_seed += self.shared * rng.standard_normal(max(seeds))[replicate]
        by_game = self.game * rng.standard_normal(self.games)
        by_both = self.variant_game * rng.standard_normal((len(truth), self.games))
        rest = self.seed_game * rng.standard_normal((runs, self.games))
        losses = (truth[variant] + by_seed)[:, None] + by_game + by_both[variant] + rest
        table = GameTable(losses * lengths, lengths)
        return PairedRuns.of(table, list(variant), list(replicate))
