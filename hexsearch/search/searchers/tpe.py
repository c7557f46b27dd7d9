"""Tree-structured Parzen estimators. Source: Bergstra et al., NIPS 2011."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from hexsearch.search.searchers.optuna_model import OptunaSearcher


class TpeSearcher(OptunaSearcher):
    """TPE, which models the good trials and the other trials separately."""

    def sampler(self, seed: int) -> BaseSampler:
        """The sampler, joint over dimensions that occur together."""
        return TPESampler(
            n_startup_trials=self.config.startup_trials,
            multivariate=True,
            group=True,  # models each branch of a conditional space jointly
            constant_liar=True,
            seed=seed,
        )
