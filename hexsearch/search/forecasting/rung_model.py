"""A Gaussian process that predicts the final value from the value at a rung and the settings.

The mean is a constant, plus a slope times the value at the rung, plus a slope times its change
since the rung before: where curves cross, trials that still improve end lower. The settings add a
smooth function, so that the relation of early and final values may differ between curricula or
batch sizes. The rest is noise, whose variance is chosen by the likelihood of the trials that
continued. It is large at a rung that predicts nothing. Source: Rasmussen & Williams, "Gaussian
Processes for Machine Learning", 2006, algorithm 2.1 and section 2.7 (with a linear mean).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from hexsearch.search.forecasting.draws import Floats

_CONSTANT = 4.0  # prior variance of the constant, in units of the spread of final values
_OFFSET = 1.0  # prior variance of the difference between another study's scale and this one's
# A trial that is further behind than this is not less certain for it. The unknown slope would
# otherwise make the worst trials the most promising ones while few have ended.
_BEHIND = 0.5


@dataclass(frozen=True)
class Prior:
    """Prior before a trial has passed the rung, in standardised units.

    Attributes:
        slopes, slope_variances: means and variances of the slopes of the features; none for a
            model without a rung.
        settings: variance that the settings explain.
        decays: decay rates of the kernel by distance that are tried.
        noises: noise variances that are tried.
        usual_noise: noise that is expected; 0 if all are equally likely.
        deviations: variances that are tried for how the effect of settings in another study
            differs from that in this one.
    """

    slopes: tuple[float, ...]
    slope_variances: tuple[float, ...]
    settings: float
    decays: tuple[float, ...]
    noises: tuple[float, ...]
    usual_noise: float
    deviations: tuple[float, ...] = (0.0,)


FROM_SETTINGS = Prior((), (), 1.0, (0.3, 1.0), (0.05, 0.4), 0.0, (0.1, 0.5, 2.0))
FROM_RUNG = Prior((0.6, 0.1), (0.3, 0.3), 0.6, (0.5,), (0.02, 0.1, 0.4, 1.0), 0.4)


class RungModel:
    """Model of one rung, fitted to trials whose final value is known or predicted.

    Args:
        features: [n, F] standardised values at the rung, and from the second rung on their changes
            since the rung before.
        apart: [n, n] distances between their settings.
        targets: [n] standardised final values.
        variances: [n] variances of the targets that are predicted.
        studies: [n] which study a trial belongs to, 0 for the one that is predicted; all 0 if left
            out. Each other study has an offset and a smooth deviation of its own, so that however
            many trials it has, they say only so much.
    """

    def __init__(
        self,
        prior: Prior,
        features: Floats,
        apart: Floats,
        targets: Floats,
        variances: Floats,
        studies: NDArray[np.int64] | None = None,
    ) -> None:
        count = features.shape[1]
        self.prior, self._features = prior, features
        self._slopes = np.array(prior.slopes[:count])
        self._slope_variances = np.array(prior.slope_variances[:count])
        linear = _CONSTANT + (features * self._slope_variances) @ features.T
        residuals = targets - features @ self._slopes
        best = -np.inf
        deviations: tuple[float, ...] = (0.0,)
        other = np.zeros_like(linear)  # 1 for two trials of the same other study
        if studies is not None and studies.any():
            other[(studies[:, None] == studies) & (studies > 0)] = 1.0
            deviations = prior.deviations
            linear = linear + _OFFSET * other
        for decay, deviation in product(prior.decays, deviations):
            alike = np.exp(-decay * apart)
            smooth = linear + (prior.settings + deviation * other) * alike
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

    def predict(self, features: Floats, apart: Floats) -> tuple[Floats, Floats]:
        """[m] means and variances of final values.

        Args:
            features: [m, F] as in the fit.
            apart: [m, n] distances to the trials of the fit.
        """
        means = self._solved(features, apart).T @ self._weights + features @ self._slopes
        near = np.minimum(features, _BEHIND)
        own = _CONSTANT + self.prior.settings + near**2 @ self._slope_variances
        explained = (self._solved(near, apart) ** 2).sum(0)
        return means, np.maximum(own - explained, 1e-6) + self.noise

    def _solved(self, features: Floats, apart: Floats) -> Floats:
        """[n, m] covariances of trials with those of the fit, in units of their spread."""
        with_fit = _CONSTANT + (features * self._slope_variances) @ self._features.T
        with_fit = with_fit + self.prior.settings * np.exp(-self._decay * apart)
        return np.asarray(
            solve_triangular(self._factor, with_fit.T, lower=True, check_finite=False)
        )
