"""Bootstrap intervals of every metric, by resampling whole games.

Positions of one game share its result, so games are drawn with replacement, not positions
(Davison and Hinkley, Bootstrap Methods, 1997, section 3.8). A draw is a row of weights, one for
each game. Every metric is a function of weighted sums, so one matrix product computes all draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_DRAWS = 400
_CLIP = 1e-6  # as in training.metrics
_CALIBRATION_BINS = 15  # as in training.metrics
_RANKS = 512  # groups of similar answers for AUC and slope, which are exact up to this many values
_NEWTON_STEPS = 12
_LEAST_GAMES = 10
_UNDEFINED = 0.05  # with a larger share of undefined draws, the interval is undefined


def metric_intervals(
    evaluation: Evaluation, rng: np.random.Generator
) -> dict[str, dict[str, dict[str, Interval]]]:
    """95% intervals of every metric, by cut, slice and metric. The cut `overall` has slice `all`.

    Args:
        rng: generator for the draws, which are the same for all slices.
    """
    games, index = np.unique(evaluation.game, return_inverse=True)
    weights = games_drawn(len(games), rng)
    return {
        cut: {
            name: _slice_intervals(
                evaluation.win_prob_red[mask], evaluation.red_won[mask], index[mask], weights
            )
            for name, mask in parts.items()
            if mask.any()
        }
        for cut, parts in slices(evaluation).items()
    }


def slices(evaluation: Evaluation) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """[P] masks of the positions of each slice, by cut, with the cut `overall`."""
    return {"overall": {"all": np.ones(len(evaluation.ply), dtype=bool)}, **evaluation.masks()}


def games_drawn(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Weights [D, G] of `count` games: how often each is drawn in each resampling."""
    return rng.multinomial(count, np.full(count, 1.0 / count), size=_DRAWS).astype(np.float32)


def _slice_intervals(
    p: Floats, won: Floats, game: NDArray[np.int64], weights: NDArray[np.float32]
) -> dict[str, Interval]:
    """Intervals for [P] answers with [P] results; `weights` [D, G] are the draws of games."""
    present, index = np.unique(game, return_inverse=True)
    if len(present) < _LEAST_GAMES:
        return {}
    drawn = weights[:, present]
    sample = np.ones((1, len(present)), dtype=np.float32)
    whole, draws = (_metrics(p, won, index, part) for part in (sample, drawn))
    return {name: _interval(name, float(whole[name][0]), values) for name, values in draws.items()}


def _interval(name: str, estimate: float, values: Floats) -> Interval:
    defined = values[np.isfinite(values)]
    if np.isnan(estimate) or len(defined) < (1 - _UNDEFINED) * len(values):
        return float("nan"), float("nan")
    low, high = (float(bound) for bound in np.quantile(defined, (0.025, 0.975)))
    if name == "calibration_error":
        # Noise increases the calibration error, and each draw adds further noise. The basic
        # interval subtracts the draws' deviations from the estimate, so that both cancel.
        low, high = max(0.0, 2 * estimate - high), max(estimate, 2 * estimate - low)
    return low, high


def _metrics(
    p: Floats, won: Floats, game: NDArray[np.int64], weights: NDArray[np.float32]
) -> dict[str, Floats]:
    """Every metric of SliceMetrics, [D], for the rows of `weights` [D, G]."""
    games = weights.shape[1]
    gap = p - won
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    called = np.where(p == 0.5, 0.5, (p > 0.5) == (won == 1))
    confident = (p < 0.3) | (p > 0.7)
    columns = [
        np.ones_like(p),
        gap * gap,
        -(won * np.log(clipped) + (1 - won) * np.log1p(-clipped)),
        called,
        np.abs(gap) < 0.3,
        confident,
        confident & (called > 0.5),
        gap,
        p,
        p * p,
        p * won,
        won,
    ]
    by_game = np.stack([np.bincount(game, column, games) for column in columns], axis=1)
    bins = np.minimum((p * _CALIBRATION_BINS).astype(np.int64), _CALIBRATION_BINS - 1)
    by_bin = np.bincount(game * _CALIBRATION_BINS + bins, gap, games * _CALIBRATION_BINS)
    heavy = weights.astype(np.float64)
    sums = heavy @ by_game
    gaps = heavy @ by_bin.reshape(games, _CALIBRATION_BINS)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums / sums[:, :1]
        mean_p, mean_won = means[:, 8], means[:, 11]
        variance = (means[:, 9] - mean_p**2) * (mean_won - mean_won**2)
        metrics = {
            "value_loss": means[:, 1],
            "log_loss": means[:, 2],
            "accuracy": means[:, 3],
            "strict_accuracy": means[:, 4],
            "confident_share": means[:, 5],
            "confident_accuracy": sums[:, 6] / sums[:, 5],
            "bias": means[:, 7],
            "calibration_error": np.abs(gaps).sum(axis=1) / sums[:, 0],
            "correlation": (means[:, 10] - mean_p * mean_won) / np.sqrt(variance),
        }
    return metrics | _rank_metrics(clipped, won, game, weights)


def _rank_metrics(
    clipped: Floats, won: Floats, game: NDArray[np.int64], weights: NDArray[np.float32]
) -> dict[str, Floats]:
    """AUC and calibration slope, from the results in each of _RANKS groups of similar answers."""
    edges = np.unique(np.quantile(clipped, np.linspace(0, 1, _RANKS + 1)[1:-1]))
    if len(distinct := np.unique(clipped)) <= _RANKS:
        edges = distinct[1:]
    rank = np.searchsorted(edges, clipped, side="right")
    ranks, games = len(edges) + 1, weights.shape[1]
    counts = np.bincount(rank, minlength=ranks)
    odds = np.bincount(rank, np.log(clipped) - np.log1p(-clipped), ranks)
    log_odds = odds.astype(np.float64) / np.maximum(counts, 1)
    outcome = {}
    for result in (0, 1):
        with_result = won == result
        cells = np.bincount(game[with_result] * ranks + rank[with_result], minlength=games * ranks)
        outcome[result] = (weights @ cells.reshape(games, ranks).astype(np.float32)).astype(float)
    lost, wins = outcome[0], outcome[1]
    below = np.cumsum(lost, axis=1) - lost / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (wins * below).sum(axis=1) / (wins.sum(axis=1) * lost.sum(axis=1))
    return {"auc": auc, "calibration_slope": _slopes(log_odds, wins, wins + lost)}


def _slopes(log_odds: Floats, wins: Floats, total: Floats) -> Floats:
    """Slope of a logistic regression for each row of [D, K] counts, by Newton's method."""
    offset, slope = np.zeros(len(wins)), np.zeros(len(wins))
    step = np.full(len(wins), np.inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_NEWTON_STEPS):
            fitted = 0.5 * (1 + np.tanh(0.5 * (offset[:, None] + slope[:, None] * log_odds)))
            residual, curvature = wins - total * fitted, total * fitted * (1 - fitted)
            flat, tilted = residual.sum(axis=1), residual @ log_odds
            a, b, c = curvature.sum(axis=1), curvature @ log_odds, curvature @ log_odds**2
            determinant = a * c - b * b
            step = (a * tilted - b * flat) / determinant
            offset = offset + (c * flat - b * tilted) / determinant
            slope = slope + step
    slopes: Floats = np.where(np.abs(step) < 1e-4 * np.maximum(1.0, np.abs(slope)), slope, np.nan)
    return slopes
