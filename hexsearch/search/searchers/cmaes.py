"""CMA-ES. Source: Hansen, arXiv:1604.00772."""

from __future__ import annotations

from optuna.samplers import BaseSampler, CmaEsSampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class CmaEsSearcher(OptunaSearcher):
    """CMA-ES for numbers. Choices are drawn at random."""

    # The sampler has its own state, so a rebuild must repeat its proposals in the same order.
    can_redraw = False

    def sampler(self, seed: int) -> BaseSampler:
        """Learns from pruned trials too."""
        return CmaEsSampler(
            n_startup_trials=self.config.startup_trials,
            consider_pruned_trials=True,
            warn_independent_sampling=False,  # it is documented that choices are drawn at random
            seed=seed,
        )
