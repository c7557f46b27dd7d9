"""Checks of metrics: each figure of each slice is computed again from the answers.

A figure that differs is compared with the same figure of other slices, and of answers that are
changed or grouped in other ways. What gives exactly the reported numbers is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hexsearch.data.stages import STAGE_NAMES, TO_END_BANDS, to_end_names
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.strength import accuracy
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
Figures = dict[str, float]
_CLOSE = 1e-3  # accepted difference, relative where the figure is above 1
_TINY = 1e-5  # standard deviation of answers that are all alike
_MEANS, _ROUNDING = ("value_loss", "accuracy", "bias"), 2e-6
_BATCH_SIZES = (32, 64, 100, 128, 200, 256, 500, 512, 1000, 1024, 2048, 4096)
_BINS = 15  # of the calibration error
_WITHOUT_ORDER = frozenset({"positions", "games", "confident_share", "bias"})
_TOLD = 3  # slices and figures that a finding lists
_NAMES = {
    "value_loss": "value loss (Brier score)",
    "value_loss_se": "standard error of the value loss",
    "auc": "AUC",
}


@dataclass(frozen=True)
class Answers:
    """P answers with their results and games."""

    p: Floats
    won: Floats
    game: NDArray[np.int64]


_CHANGES: dict[str, Callable[[Answers], Answers]] = {
    "answers that are rounded to 0 and 1": lambda a: Answers(
        (a.p > 0.5).astype(np.float64), a.won, a.game
    ),
    "answers for the other side (1 - p)": lambda a: Answers(1 - a.p, a.won, a.game),
    "positions that count as games of their own, as if they were independent": lambda a: Answers(
        a.p, a.won, np.arange(len(a.game))
    ),
    "one mean answer for each game": lambda a: _by_game(a),
    "results that are inverted": lambda a: Answers(a.p, 1 - a.won, a.game),
    "answers in another order": lambda a: Answers(np.roll(a.p, 1), a.won, a.game),
}


def _by_game(answers: Answers) -> Answers:
    games, index = np.unique(answers.game, return_inverse=True)
    counts = np.bincount(index)
    means = np.bincount(index, answers.p) / counts, np.bincount(index, answers.won) / counts
    return Answers(*means, games)


def metric_findings(evaluation: Evaluation) -> Iterator[Finding]:
    """Report figures that are not those of the answers."""
    reported = _reported(evaluation)
    slices = {name: _of(evaluation, mask) for name, mask in own_slices(evaluation).items()}
    right = {name: figures(answers) for name, answers in slices.items()}
    wrong = [
        (name, figure)
        for name, own in right.items()
        if name in reported
        for figure, number in own.items()
        if figure in reported[name] and not _is_that(figure, reported[name][figure], number)
    ]
    missing = [n for n, own in right.items() if n not in reported and own["positions"] > 0]
    if missing:
        wrong = [*((name, "positions") for name in missing), *wrong]
        reported = {**reported, **{name: {"positions": 0.0} for name in missing}}
    if not wrong:
        return
    name, figure = wrong[0]
    told = ", ".join(
        f"{_words(f)} ({n}) {reported[n][f]:.4f} instead of {right[n][f]:.4f}"
        for n, f in wrong[:_TOLD]
    )
    yield Finding.error(
        "evaluation",
        f"recomputed from the same {len(evaluation.game):,} answers, {len(wrong)} figure(s) differ "
        f"from the reported ones: {told}",
        _explained(wrong, reported, right, slices, evaluation)
        or f"the {_words(figure)} ({name}) is computed by another formula, so trials are ranked or "
        "read by something else",
        "compute each figure from win_prob_red and red_won of the positions that it is named after",
        root="metrics",
    )


def _explained(
    wrong: list[tuple[str, str]],
    reported: dict[str, Figures],
    right: dict[str, Figures],
    slices: dict[str, Answers],
    evaluation: Evaluation,
) -> str:
    """In words, what the wrong figures are; empty if nothing gives all of them."""
    exchanged = {}
    for name in dict.fromkeys(n for n, _ in wrong):
        own = [figure for n, figure in wrong if n == name]
        fits = [
            o
            for o in right
            if all(_is_that(f, reported[name][f], right[o].get(f, math.nan)) for f in own)
        ]
        if fits and len(own) > 1:
            exchanged[name] = fits[0]
    if exchanged and set(exchanged) == {n for n, _ in wrong}:
        told = ", ".join(f"those of '{n}' are the figures of '{o}'" for n, o in exchanged.items())
        return f"the figures of slices are exchanged in the report: {told}"
    kinds = ", ".join(dict.fromkeys(_words(figure) for _, figure in wrong[:_TOLD]))
    for words, change in _CHANGES.items():
        other = {n: figures(change(slices[n])) for n in {n for n, _ in wrong}}
        if all(_is_that(f, reported[n][f], other[n][f]) for n, f in wrong):
            return f"the {kinds} is that of {words}"
    for words, columns in _other_columns(evaluation).items():
        changed = replace(evaluation, **columns)
        masks = own_slices(changed)
        other = {n: figures(_of(changed, masks[n])) for n in {n for n, _ in wrong}}
        if all(_is_that(f, reported[n][f], other[n].get(f, math.nan)) for n, f in wrong):
            return f"the figures of slices are those of other positions: {words}"
    for size in _BATCH_SIZES:
        made = _mean_of_batches(evaluation, size)
        if {n for n, _ in wrong} == {"overall"} and all(
            abs(reported[n][f] - made.get(f, math.nan)) < 1e-6 for n, f in wrong
        ):
            return (
                f"the {kinds} is the mean of the means of batches of {size}, although the last "
                "batch is shorter, so its positions weigh more"
            )
    ratios = [reported[n][f] / right[n][f] for n, f in wrong if abs(right[n][f]) > 1e-6]
    if len({f for _, f in wrong}) == 1 and len(ratios) > 1 and np.ptp(ratios) < 5e-3:
        return f"the {kinds} is multiplied by {np.mean(ratios):.4g} (another unit or reduction)"
    fits = [
        _words(other_figure)
        for other_figure in right[wrong[0][0]]
        if all(_is_that(f, reported[n][f], right[n][other_figure]) for n, f in wrong)
    ]
    if fits:
        return f"the {kinds} that is reported is the {' or the '.join(fits)}"
    overall = {figure for name, figure in wrong if name == "overall"}
    if "auc" in overall and not overall & _WITHOUT_ORDER:
        return (
            "answers are compared with results in another order, those of other positions: only "
            "what does not depend on the order is right"
        )
    return ""


def _mean_of_batches(evaluation: Evaluation, size: int) -> Figures:
    count = len(evaluation.game)
    parts = [
        figures(_of(evaluation, np.arange(start, min(start + size, count))))
        for start in range(0, count, size)
    ]
    return {f: float(np.mean([part.get(f, math.nan) for part in parts])) for f in parts[0]}


def _other_columns(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Columns by which positions may be sorted into slices by mistake, by what they are."""
    stage, last = evaluation.stage, len(STAGE_NAMES) - 1
    return {
        "plies are counted from the beginning, and not to the end": {"to_end": evaluation.ply},
        "each position counts in the stage after its own": {"stage": np.minimum(stage + 1, last)},
        "each position counts in the stage before its own": {"stage": np.maximum(stage - 1, 0)},
        "early and late are exchanged": {"stage": last - stage},
        "finished boards are not told from others": {"final": np.zeros_like(evaluation.final)},
        "the sides to move are exchanged": {"ply": evaluation.ply + 1},
        "plies to the end are one too many": {"to_end": evaluation.to_end + 1},
        "plies to the end are one too few": {"to_end": np.maximum(evaluation.to_end - 1, 0)},
    }


def _words(figure: str) -> str:
    return _NAMES.get(figure, figure.replace("_", " "))


def _is_that(figure: str, some: float, other: float) -> bool:
    """As `_equal`, but plain means must agree to rounding."""
    return _equal(some, other) and (figure not in _MEANS or not abs(some - other) > _ROUNDING)


def _equal(some: float, other: float) -> bool:
    if math.isnan(some) or math.isnan(other):
        return math.isnan(some) == math.isnan(other)
    return abs(some - other) <= _CLOSE * max(1.0, abs(other))


def _reported(evaluation: Evaluation) -> dict[str, Figures]:
    metrics = evaluation.metrics()
    cuts: list[dict[str, Any]] = [metrics.stages, metrics.to_end, metrics.to_move]
    found = {name: asdict(part) for cut in cuts for name, part in cut.items()}
    return {"overall": asdict(metrics.overall), **found}


def own_slices(evaluation: Evaluation) -> dict[str, NDArray[np.bool_]]:
    """Masks of all positions and of each slice, by the columns of the evaluation."""
    final, left, blue = evaluation.final, evaluation.to_end, evaluation.ply % 2 == 0
    slices = {"overall": np.ones(len(final), dtype=bool)}
    slices |= {name: evaluation.stage == number for number, name in enumerate(STAGE_NAMES)}
    slices |= {"penultimate": left == 1, "final": final}
    for (low, high), name in zip(TO_END_BANDS, to_end_names(), strict=True):
        slices[name] = (left >= low) & (left <= (np.inf if high is None else high))
    return slices | {"blue": blue & ~final, "red": ~blue & ~final, "nobody": final}


def _of(evaluation: Evaluation, mask: NDArray[np.bool_] | NDArray[np.int64]) -> Answers:
    return Answers(evaluation.win_prob_red[mask], evaluation.red_won[mask], evaluation.game[mask])


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
        **_others(errors, p - won),
        "confident_accuracy_divided_by_all_positions": float(
            (((p > 0.5) == (won == 1)) & sure).mean()
        ),
    }
    if 0 < p.std() < _TINY:  # what rounding leaves of a correlation tells nothing
        del found["correlation"]
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


def _others(errors: Floats, gaps: Floats) -> Figures:
    return {
        "mean_absolute_error": float(np.abs(gaps).mean()),
        "root_of_the_mean_squared_error": float(np.sqrt(errors.mean())),
        "sum_of_the_squared_errors": float(errors.sum()),
        "median_of_the_squared_errors": float(np.median(errors)),
    }
