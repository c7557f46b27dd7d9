"""Random draws, each independent of all results."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class RandomSearcher(OptunaSearcher):
    """Draws every dimension from its range."""

    learns = False

    def sampler(self, seed: int) -> BaseSampler:
        """A generator."""
        return RandomSampler(seed=seed)
