"""NSGA-II, for several objectives. Source: Deb et al., IEEE TEC 6(2), 2002."""

from __future__ import annotations

from optuna.samplers import BaseSampler, NSGAIISampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class Nsga2Searcher(OptunaSearcher):
    """Evolves a Pareto front."""

    # The sampler has its own state, so a rebuild must repeat its proposals in the same order.
    can_redraw = False

    def sampler(self, seed: int) -> BaseSampler:
        """The sampler, whose generations are as large as the number of start-up trials."""
        return NSGAIISampler(population_size=max(2, self.config.startup_trials), seed=seed)
