"""The model of one rung, fitted to values that follow a known formula."""

from __future__ import annotations

import numpy as np

from hexsearch.search.forecasting.rung_model import FROM_RUNG, RungModel


def fitted(features: np.ndarray, targets: np.ndarray, far: float = 3.0) -> RungModel:
    apart = far * (1 - np.eye(len(targets)))  # settings that have nothing in common
    return RungModel(FROM_RUNG, features, apart, targets, np.full(len(targets), 1e-4))


def test_where_curves_cross_the_change_since_the_rung_before_predicts_the_end() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 2))
    targets = features[:, 1] + 0.1 * rng.normal(size=30)  # the value itself says nothing
    model = fitted(features[:20], targets[:20], far=0.0)  # of one configuration
    means, variances = model.predict(features[20:], np.zeros((10, 20)))
    assert np.corrcoef(means, targets[20:])[0, 1] > 0.9
    alone = fitted(features[:20, :1], targets[:20], far=0.0)
    _, without = alone.predict(features[20:, :1], np.zeros((10, 20)))
    assert variances.mean() < 0.5 * without.mean()


def test_the_first_rung_has_no_change_and_needs_none() -> None:
    values = np.linspace(-1.5, 1.5, 12)[:, None]
    model = fitted(values, 0.8 * values[:, 0])
    means, _ = model.predict(np.array([[-1.0], [1.0]]), np.full((2, 12), 3.0))
    assert means[0] < -0.4 and means[1] > 0.4


def test_the_trial_furthest_behind_is_not_the_least_certain() -> None:
    leaders = np.array([[-1.6], [-1.5], [-1.4]])
    model = fitted(leaders, np.array([-1.6, -1.5, -1.7]))
    values = np.array([[0.5], [1.5], [2.5]])
    means, variances = model.predict(values, np.full((3, 3), 3.0))
    assert means[0] < means[1] < means[2]
    np.testing.assert_allclose(variances, variances[0])
