"""A Gaussian process that predicts the final value from the value at a rung and the settings.

The mean is a constant plus a slope times the value at the rung. The settings add a smooth
function, so that the relation of early and final values may differ between curricula or batch
sizes. The rest is noise, whose variance is chosen by the likelihood of the trials that continued.
It is large at a rung that predicts nothing. Source: Rasmussen & Williams, "Gaussian Processes for
Machine Learning", 2006, algorithm 2.1 and section 2.7 (with a linear mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from hexsearch.search.forecasting.draws import Floats

_CONSTANT = 4.0  # prior variance of the constant, in units of the spread of final values


@dataclass(frozen=True)
class Prior:
    """Prior before a trial has passed the rung, in standardised units.

    Attributes:
        slope, slope_variance: mean and variance of the slope; 0 for a model without a rung.
        settings: variance that the settings explain.
        decays: decay rates of the kernel by distance that are tried.
        noises: noise variances that are tried.
        usual_noise: noise that is expected; 0 if all are equally likely.
    """

    slope: float
    slope_variance: float
    settings: float
    decays: tuple[float, ...]
    noises: tuple[float, ...]
    usual_noise: float


FROM_SETTINGS = Prior(0.0, 0.0, 1.0, (0.3, 1.0), (0.05, 0.4), 0.0)
FROM_RUNG = Prior(0.6, 0.3, 0.15, (0.5,), (0.02, 0.1, 0.4, 1.0), 0.4)


class RungModel:
    """Model of one rung, fitted to trials whose final value is known or predicted.

    Args:
        values: [n] standardised values at the rung.
        apart: [n, n] distances between their settings.
        targets: [n] standardised final values.
        variances: [n] variances of the targets that are predicted.
    """

    def __init__(
        self, prior: Prior, values: Floats, apart: Floats, targets: Floats, variances: Floats
    ) -> None:
        self.prior, self._values = prior, values
        linear = _CONSTANT + prior.slope_variance * np.outer(values, values)
        residuals = targets - prior.slope * values
        best = -np.inf
        for decay in prior.decays:
            smooth = linear + prior.settings * np.exp(-decay * apart)
            for noise in prior.noises:
                factor = np.linalg.cholesky(smooth + np.diag(variances + noise + 1e-6))
                weights = solve_triangular(factor, residuals, lower=True, check_finite=False)
                likelihood = -0.5 * float(weights @ weights)
                likelihood -= float(np.log(np.diag(factor)).sum())
                if prior.usual_noise:
                    likelihood -= abs(float(np.log(noise / prior.usual_noise)))
                if likelihood > best:
                    best, self.noise, self._decay = likelihood, noise, decay
                    self._factor, self._weights = factor, weights

    def predict(self, values: Floats, apart: Floats) -> tuple[Floats, Floats]:
        """[m] means and variances of final values.

        Args:
            values: [m] values at the rung.
            apart: [m, n] distances to the trials of the fit.
        """
        prior = self.prior
        with_fit = _CONSTANT + prior.slope_variance * np.outer(values, self._values)
        with_fit = with_fit + prior.settings * np.exp(-self._decay * apart)
        own = _CONSTANT + prior.settings + prior.slope_variance * values**2
        solved = solve_triangular(self._factor, with_fit.T, lower=True, check_finite=False)
        means = solved.T @ self._weights + prior.slope * values
        return means, np.maximum(own - (solved**2).sum(0), 1e-6) + self.noise
