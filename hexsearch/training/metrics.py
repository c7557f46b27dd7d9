"""Metrics of answers, overall and by stage. Every metric is computed from `win_prob_red`.

No loss weight and no smoothed label of the search enters, so trials may be ranked by them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.positions import STAGE_NAMES, to_end_band, to_end_names

Floats = NDArray[np.float64]
_CLIP = 1e-6  # keeps the log loss of a confident error finite
_BINS = 15  # equal-width bins of the calibration error
_NEWTON_STEPS = 30  # limit for the calibration slope, which usually needs six


@dataclass(frozen=True)
class SliceMetrics:
    """Metrics of the answers on a part of the positions.

    Attributes:
        positions, games: number of positions, and of the games that they come from.
        value_loss: Brier score, the mean squared difference of answer and result (Brier, 1950);
            0.25 if all answers are 50%.
        value_loss_se: its standard error, clustered by game: positions of one game share a label.
        log_loss: mean negative log likelihood, in nats.
        accuracy: share of right answers at the threshold 0.5; an answer of exactly 0.5 counts half.
        strict_accuracy: share with |p - result| < 0.3.
        confident_share: share of answers below 0.3 or above 0.7.
        confident_accuracy: share of these that are right.
        auc: probability that a Red win is rated above a Blue win; ties count half. nan if all
            results are equal.
        calibration_error: mean difference of confidence and frequency over 15 bins (Guo et al.,
            2017).
        calibration_slope: factor on the answers' log odds that fits the results best (Cox, 1958);
            1 is ideal, below 1 is over-confident. nan if answers or results do not vary.
        correlation: Pearson's correlation of answers and results; nan as above.
        bias: mean answer minus share of Red wins.
    """

    positions: int
    games: int
    value_loss: float
    value_loss_se: float
    log_loss: float
    accuracy: float
    strict_accuracy: float
    confident_share: float
    confident_accuracy: float
    auc: float
    calibration_error: float
    calibration_slope: float
    correlation: float
    bias: float


@dataclass(frozen=True)
class StageMetrics:
    """The same metrics overall, by stage, by plies to the end, and by side to move."""

    overall: SliceMetrics
    stages: dict[str, SliceMetrics]  # early, middle, late, penultimate, final
    to_end: dict[str, SliceMetrics]  # 0-5, 6-15, 16-30, >30
    to_move: dict[str, SliceMetrics]  # blue, red, nobody (finished games)

    def to_json(self) -> dict[str, Any]:
        """Plain mappings. A slice without positions is left out, and nan becomes None."""
        return {
            "overall": _plain(self.overall),
            "stages": {name: _plain(part) for name, part in self.stages.items()},
            "to_end": {name: _plain(part) for name, part in self.to_end.items()},
            "to_move": {name: _plain(part) for name, part in self.to_move.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """Answers on a validation set: arrays of length P, with one entry for each position."""

    win_prob_red: Floats
    red_won: Floats
    stage: NDArray[np.int8]
    to_end: NDArray[np.int64]
    final: NDArray[np.bool_]
    game: NDArray[np.int64]
    ply: NDArray[np.int64]

    def masks(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Masks of the positions in each slice, by cut: `stages`, `to_end` and `to_move`."""
        stages = {name: self.stage == number for number, name in enumerate(STAGE_NAMES)}
        bands = to_end_band(self.to_end)
        blue_moves = self.ply % 2 == 0
        return {
            "stages": {**stages, "penultimate": self.to_end == 1, "final": self.final},
            "to_end": {name: bands == number for number, name in enumerate(to_end_names())},
            "to_move": {
                "blue": blue_moves & ~self.final,
                "red": ~blue_moves & ~self.final,
                "nobody": self.final,
            },
        }

    def metrics(self) -> StageMetrics:
        """StageMetrics of the whole set."""
        cuts = {
            cut: {name: self._slice(mask) for name, mask in parts.items() if mask.any()}
            for cut, parts in self.masks().items()
        }
        return StageMetrics(
            overall=slice_metrics(self.win_prob_red, self.red_won, self.game), **cuts
        )

    def _slice(self, mask: NDArray[np.bool_]) -> SliceMetrics:
        return slice_metrics(self.win_prob_red[mask], self.red_won[mask], self.game[mask])

    def game_losses(self) -> GameLosses:
        """Sums of squared errors by game, the unit of paired comparisons."""
        games, index = np.unique(self.game, return_inverse=True)
        errors = np.square(self.win_prob_red - self.red_won)
        width = len(STAGE_NAMES)
        cell = index * width + self.stage
        total = len(games) * width
        return GameLosses(
            games=games,
            sums=np.bincount(cell, errors, total).reshape(-1, width).astype(np.float32),
            counts=np.bincount(cell, minlength=total).reshape(-1, width).astype(np.int32),
        )


@dataclass(frozen=True)
class GameLosses:
    """Squared errors of one evaluation, summed by game and stage.

    Attributes:
        games: [G] archive index of each game.
        sums, counts: [G, 3] sum of squared errors and number of positions, for early, middle, late.
    """

    games: NDArray[np.int64]
    sums: NDArray[np.float32]
    counts: NDArray[np.int32]


def slice_metrics(win_prob_red: Floats, red_won: Floats, game: NDArray[np.int64]) -> SliceMetrics:
    """Metrics of [P] answers for [P] results (1.0 Red won, 0.0 Blue won) of [P] games.

    Raises:
        ValueError: shapes differ. [P, 1] against [P] would broadcast to [P, P].
    """
    if not win_prob_red.shape == red_won.shape == game.shape:
        raise ValueError(f"shapes differ: {win_prob_red.shape}, {red_won.shape} and {game.shape}")
    count = len(win_prob_red)
    if not count:
        return SliceMetrics(0, 0, *(float("nan"),) * 12)
    p, won = win_prob_red.astype(np.float64), red_won.astype(np.float64)
    gap = p - won
    errors = gap * gap
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    called = (p > 0.5) == (won == 1)
    confident = (p < 0.3) | (p > 0.7)
    confident_count = int(confident.sum())
    value_loss = float(errors.mean())
    games, standard_error = _clustered(errors - value_loss, game)
    return SliceMetrics(
        positions=count,
        games=games,
        value_loss=value_loss,
        value_loss_se=standard_error,
        log_loss=float(-(won * np.log(clipped) + (1 - won) * np.log(1 - clipped)).mean()),
        accuracy=float(np.where(p == 0.5, 0.5, called).mean()),
        strict_accuracy=float((np.abs(gap) < 0.3).mean()),
        confident_share=confident_count / count,
        confident_accuracy=float(called[confident].mean()) if confident_count else float("nan"),
        auc=_auc(p, won),
        calibration_error=_calibration_error(p, won),
        calibration_slope=_calibration_slope(clipped, won),
        correlation=_correlation(p, won),
        bias=float(gap.mean()),
    )


def _clustered(residuals: Floats, game: NDArray[np.int64]) -> tuple[int, float]:
    """Number of games, and the standard error of a mean of residuals, clustered by game."""
    _, index = np.unique(game, return_inverse=True)
    sums = np.bincount(index, residuals)
    games = len(sums)
    if games < 2:
        return games, float("nan")
    return games, float(np.sqrt(games / (games - 1) * np.square(sums).sum()) / len(residuals))


def _auc(p: Floats, won: Floats) -> float:
    """Mann-Whitney U over the pairs of a Red win and a Blue win."""
    ones = int(won.sum())
    zeros = len(won) - ones
    if not ones or not zeros:
        return float("nan")
    _, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct answer, from 1
    return float((ranks[index][won == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _calibration_error(p: Floats, won: Floats) -> float:
    bins = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
    return float(np.abs(np.bincount(bins, p - won, _BINS)).sum() / len(p))


def _calibration_slope(clipped: Floats, won: Floats) -> float:
    """Slope of a logistic regression of results on log odds, by Newton's method.

    If the answers separate the results, the likelihood has no maximum and the slope is nan.
    """
    log_odds = np.log(clipped) - np.log1p(-clipped)
    if np.ptp(log_odds) == 0.0 or np.ptp(won) == 0.0:
        return float("nan")
    columns = np.stack([np.ones_like(log_odds), log_odds])
    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        fitted = 0.5 * (1.0 + np.tanh(0.5 * (weights @ columns)))
        curvature = (columns * (fitted * (1.0 - fitted))) @ columns.T
        if np.linalg.det(curvature) <= 1e-12 * len(won) ** 2:
            return float("nan")
        step = np.linalg.solve(curvature, columns @ (won - fitted))
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            return float(weights[1])
    return float("nan")


def _correlation(p: Floats, won: Floats) -> float:
    if np.ptp(p) == 0.0 or np.ptp(won) == 0.0:
        return float("nan")
    return float(np.corrcoef(p, won)[0, 1])


def _plain(part: SliceMetrics) -> dict[str, float | int | None]:
    return {
        name: None if value != value else (round(value, 7) if isinstance(value, float) else value)
        for name, value in asdict(part).items()
    }
