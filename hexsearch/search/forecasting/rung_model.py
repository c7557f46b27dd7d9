"""What a value at a rung, and the settings, say about the value at the end: a Gaussian process.

The mean is a constant plus a slope times the value at the rung; the settings add a smooth
function, so that the relation between early and final values may differ between curricula or
batch sizes; the rest is noise. How much noise there is is chosen by the likelihood of the trials
that went on: it is large where a rung predicts nothing. Source: Rasmussen & Williams, "Gaussian
Processes for Machine Learning", 2006, algorithm 2.1 and section 2.7 (with a linear mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from hexsearch.search.forecasting.draws import Floats

_CONSTANT = 4.0  # prior variance of the constant, in units of the spread of final values


@dataclass(frozen=True)
class Prior:
    """What is believed before any trial went on, in standardised units.

    Attributes:
        slope, slope_variance: of the value at the rung; 0 where there is none.
        settings: variance that the settings explain. decays: of the kernel, by distance.
        noises: variances that are tried.
        usual_noise: about which they are expected; 0 if all are as likely.
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
    """Fitted to trials whose later value is known or predicted.

    Args:
        values: [n] standardised, at the rung. apart: [n, n] distances between their settings.
        targets: [n] standardised final values. variances: [n] of what is only predicted of them.
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
            values: [m] at the rung. apart: [m, n] distances to the trials of the fit.
        """
        prior = self.prior
        with_fit = _CONSTANT + prior.slope_variance * np.outer(values, self._values)
        with_fit = with_fit + prior.settings * np.exp(-self._decay * apart)
        own = _CONSTANT + prior.settings + prior.slope_variance * values**2
        solved = solve_triangular(self._factor, with_fit.T, lower=True, check_finite=False)
        means = solved.T @ self._weights + prior.slope * values
        return means, np.maximum(own - (solved**2).sum(0), 1e-6) + self.noise
