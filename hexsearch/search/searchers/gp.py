"""A Gaussian process with expected improvement."""

from __future__ import annotations

from optuna.samplers import BaseSampler, GPSampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class GpSearcher(OptunaSearcher):
    """Optuna's Gaussian process."""

    def sampler(self, seed: int) -> BaseSampler:
        """Random until there is something to model."""
        return GPSampler(
            n_startup_trials=self.config.startup_trials,
            warn_independent_sampling=False,
            seed=seed,
        )
