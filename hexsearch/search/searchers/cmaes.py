"""CMA-ES. Source: Hansen, arXiv:1604.00772."""

from __future__ import annotations

from optuna.samplers import BaseSampler, CmaEsSampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class CmaEsSearcher(OptunaSearcher):
    """Evolves what is a number; choices are drawn at random."""

    # It keeps its own state beside the trials, so a rebuild asks it again in the same order.
    can_redraw = False

    def sampler(self, seed: int) -> BaseSampler:
        """Learns from pruned trials too."""
        return CmaEsSampler(
            n_startup_trials=self.config.startup_trials,
            consider_pruned_trials=True,
            warn_independent_sampling=False,  # choices are drawn at random, and documented
            seed=seed,
        )
