"""Curves that nobody here has made: drawn from the prior of FT-PFN.

FT-PFN (Rakotoarison et al., 2024, the model of ifBO) was trained on curves that its authors draw
at random: a random deep network maps the settings to the end, shape, saturation and noise of a
sum of four kinds of learning curves, some of which get worse again. Here the settings are those of
recorded configurations, each as a number in [0, 1] by the order of its choices. All trainings take
the same time. Draws differ by fifty times in how far apart their ends are, so each is scaled: its
final value losses, without noise, have the median 0.2 and the standard deviation 0.02. Needs the
package `ifBO` (`peers.txt`).
"""

from __future__ import annotations

import numpy as np
import torch
from learning_curves import LEVELS, Configuration, Curve, Errors, chosen_dimensions

_TRAITS = 23  # outputs of the random network, as in the package's own batches
_MEDIAN, _SPREAD = 0.2, 0.02  # of final value losses
_REPEATS = 256  # evaluations of an end, for its value without noise
_SECONDS = 20.0  # of a whole training


def prior_curves(
    configurations: list[Configuration], seed: int
) -> tuple[list[Curve], list[Errors], list[float]]:
    """One draw of the prior: curves, the errors of their reports, and their ends without noise."""
    from ifbo.priors.ftpfn_prior import DatasetPrior

    dimensions = chosen_dimensions(configurations)
    points = np.array(
        [
            [d.choices.index(values[d.name]) / (len(d.choices) - 1) for d in dimensions]
            for values in configurations
        ]
    )
    shares = np.array(LEVELS) / LEVELS[-1]
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:  # the package draws from the global generators
            np.random.seed(seed)
            torch.manual_seed(seed)
            prior = DatasetPrior(points.shape[1], _TRAITS)
            sample = prior.curves_for_configs(points)
            drawn = np.array([sample(shares, row) for row in range(len(points))])
            ends = np.array([sample(np.ones(_REPEATS), row) for row in range(len(points))])
        finally:
            np.random.set_state(before)
    finals = 1 - ends.mean(axis=1)
    scale = _SPREAD / finals.std()
    losses = _MEDIAN + (1 - drawn - np.median(finals)) * scale
    curves = [
        [(n, float(x), 1.0 + _SECONDS * n / LEVELS[-1]) for n, x in zip(LEVELS, row, strict=True)]
        for row in losses
    ]
    errors = [[float(error)] * len(LEVELS) for error in ends.std(axis=1) * scale]
    return curves, errors, list(_MEDIAN + (finals - np.median(finals)) * scale)
