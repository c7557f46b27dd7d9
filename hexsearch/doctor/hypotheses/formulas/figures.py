"""The figures of some answers by their definitions, and figures that may stand in their place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hexsearch.doctor.strength import accuracy

Floats = NDArray[np.float64]
Figures = dict[str, float]
_TINY = 1e-5  # standard deviation of answers that are all alike
_BINS = 15  # of the calibration error
_NEWTON, _STEEP = 50, 30.0  # steps of a logistic regression, and its largest log odds


@dataclass(frozen=True)
class Answers:
    """P answers with their results and games."""

    p: Floats
    won: Floats
    game: NDArray[np.int64]


def figures(answers: Answers) -> Figures:
    """The figures of some answers that have a short definition, by their names in SliceMetrics.

    A few other ones follow, which may be reported in their place.
    """
    p, won = answers.p, answers.won
    if not len(p):
        return {"positions": 0.0}
    errors = np.square(p - won)
    sums = [(errors - errors.mean())[answers.game == g].sum() for g in np.unique(answers.game)]
    games, clipped = len(sums), np.clip(p, 1e-6, 1 - 1e-6)
    sure = (p < 0.3) | (p > 0.7)
    spread = np.ptp(p) > 0 and np.ptp(won) > 0
    found = {
        "positions": float(len(p)),
        "games": float(games),
        "value_loss": float(errors.mean()),
        "value_loss_se": float(np.sqrt(games / (games - 1) * np.square(sums).sum()) / len(p))
        if games > 1
        else math.nan,
        "log_loss": float(-(won * np.log(clipped) + (1 - won) * np.log(1 - clipped)).mean()),
        "accuracy": accuracy(p, won == 1),
        "strict_accuracy": float((np.abs(p - won) < 0.3).mean()),
        "confident_share": float(sure.mean()),
        "confident_accuracy": accuracy(p[sure], won[sure] == 1) if sure.any() else math.nan,
        "auc": _auc(p, won),
        "correlation": float(np.corrcoef(p, won)[0, 1]) if spread else math.nan,
        "bias": float((p - won).mean()),
        "calibration_error": float(np.abs(np.bincount(_bin(p), p - won)).sum() / len(p)),
        **_slopes(p, won),
        **_others(p, won, errors - errors.mean(), games),
        **_other_ties(p, won == 1),
        "confident_accuracy_divided_by_all_positions": float(
            (((p > 0.5) == (won == 1)) & sure).mean()
        ),
    }
    if 0 < p.std() < _TINY:  # what rounding leaves of a correlation tells nothing
        del found["correlation"]
    return found


def _other_ties(p: Floats, won: NDArray[np.bool_]) -> Figures:
    """Accuracies that treat answers of 50%, or answers rounded to 50%, in another way."""
    found = {}
    for words, shown in (
        ("", p),
        (",_after_rounding_to_two_digits", p.round(2)),
        (",_after_rounding_to_one_digit", p.round(1)),
    ):
        right, tied = (shown > 0.5) == won, shown == 0.5
        for tie, value in (("right", 1.0), ("wrong", 0.0), ("half_right", 0.5)):
            name = f"accuracy_that_counts_answers_of_50%_as_{tie}{words}"
            found[name] = float(np.where(tied, value, right).mean())
    return found


def _auc(p: Floats, won: Floats) -> float:
    """Probability that a Red win is rated above a Blue win, by ranks; ties count half."""
    wins, losses = int((won == 1).sum()), int((won == 0).sum())
    if not wins or not losses:
        return math.nan
    above = float(rankdata(p)[won == 1].sum()) - wins * (wins + 1) / 2
    return above / (wins * losses)


def _bin(p: Floats) -> NDArray[np.int64]:
    """Bins of equal width, which weigh as much as the answers in them."""
    return np.clip(p * _BINS, 0, _BINS - 1).astype(np.int64)


def _slopes(p: Floats, won: Floats) -> Figures:
    """Slope of a logistic regression of results on log odds, if it is far from having none."""
    x = np.log(np.clip(p, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(p, 1e-6, 1 - 1e-6))
    if x.std() < _TINY or won.std() == 0:
        return {}
    design, at = np.stack([np.ones_like(x), x], axis=1), np.zeros(2)
    for _ in range(_NEWTON):
        fitted = 1 / (1 + np.exp(-np.clip(design @ at, -_STEEP, _STEEP)))
        weights = fitted * (1 - fitted)
        matrix = design.T @ (design * weights[:, None])
        if np.linalg.cond(matrix) > 1e12:
            return {}
        step = np.linalg.solve(matrix, design.T @ (won - fitted))
        at = at + step
        if np.abs(step).max() < 1e-9:
            slope = float(at[1])
            return {
                "calibration_slope": slope,
                "inverse_of_the_calibration_slope": 1 / slope if slope else math.nan,
                "level_of_the_calibration": float(at[0]),
                "slope_of_a_straight_line_of_results_on_answers": float(np.polyfit(p, won, 1)[0]),
            }
    return {}


def _other_confidence(p: Floats, won: Floats) -> Figures:
    """Shares and accuracies of answers that others may call confident."""
    kinds = {"above 0.7 alone": p > 0.7, "below 0.3 alone": p < 0.3}
    for low in (0.1, 0.2, 0.25, 0.4):
        kinds[f"below {low:g} or above {1 - low:g}"] = (p < low) | (p > 1 - low)
    found = {}
    for words, sure in kinds.items():
        found[f"share of answers {words}"] = float(sure.mean())
        found[f"accuracy of answers {words}"] = (
            accuracy(p[sure], won[sure] == 1) if sure.any() else math.nan
        )
    return found


def _others(p: Floats, won: Floats, residuals: Floats, games: int) -> Figures:
    """Figures that may be reported in place of the right ones."""
    gaps, errors, count = p - won, np.square(p - won), len(p)
    inside = np.bincount(_bin(p))
    by_bin = np.abs(np.bincount(_bin(p), gaps)[inside > 0] / inside[inside > 0])
    alone = float(np.sqrt(np.square(residuals).sum())) / count
    apart = "standard_error_of_positions_as_if_they_were_independent_(not_clustered_by_game)"
    return {
        "mean_absolute_error": float(np.abs(gaps).mean()),
        "root_of_the_mean_squared_error": float(np.sqrt(errors.mean())),
        "sum_of_the_squared_errors": float(errors.sum()),
        "median_of_the_squared_errors": float(np.median(errors)),
        apart: alone,
        f"{apart},_with_a_factor_for_games": alone * (games / (games - 1)) ** 0.5
        if games > 1
        else math.nan,
        "standard_deviation_of_the_squared_errors": float(errors.std()),
        "plain_mean_over_the_bins,_whatever_their_numbers_of_answers": float(by_bin.mean()),
        "mean_over_all_bins,_empty_ones_too": float(by_bin.sum() / _BINS),
        "largest_gap_of_a_bin": float(by_bin.max()),
        **_other_confidence(p, won),
        "covariance_of_answers_and_results": float(((p - p.mean()) * (won - won.mean())).mean()),
    }
