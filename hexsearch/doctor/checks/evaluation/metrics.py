"""Checks of metrics: each figure of each slice is computed again from the answers.

A figure that differs is compared with the same figure of other slices, and of answers that are
changed or grouped in other ways. What gives exactly the reported numbers is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.stages import STAGE_NAMES, TO_END_BANDS, to_end_names
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.formulas.figures import Answers, Figures, figures
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
_CLOSE = 1e-3  # accepted difference, relative where the figure is above 1
_MEANS, _ROUNDING = ("value_loss", "accuracy", "bias"), 2e-6
_FEW = 12  # different answers that tell how they are rounded
_BATCH_SIZES = (32, 64, 100, 128, 200, 256, 500, 512, 1000, 1024, 2048, 4096)
_WITHOUT_ORDER = frozenset({"positions", "games", "confident_share", "bias"})
_TOLD = 3  # slices and figures that a finding lists
_NAMES = {
    "value_loss": "value loss (Brier score)",
    "value_loss_se": "standard error of the value loss",
    "auc": "AUC",
}


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
        yield from _of_games(evaluation)
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


def _of_games(evaluation: Evaluation) -> Iterator[Finding]:
    """Report losses of single games, by which trials are compared, that are not those of answers.

    Answers that have few digits only are told, too.
    """
    told = evaluation.game_losses()
    p, won = evaluation.win_prob_red, evaluation.red_won
    errors = np.square(p - won)
    games, row = np.unique(evaluation.game, return_inverse=True)
    sums, counts = (np.zeros((len(games), len(STAGE_NAMES))) for _ in range(2))
    np.add.at(sums, (row, evaluation.stage), errors)
    np.add.at(counts, (row, evaluation.stage), 1.0)
    roots, gaps = (np.zeros_like(sums) for _ in range(2))
    np.add.at(gaps, (row, evaluation.stage), np.abs(p - won))
    roots = np.sqrt(sums)
    forms = {
        "": sums,
        "their means, and not sums, so a comparison weighs each game and stage wrongly": sums
        / np.maximum(counts, 1),
        "roots of the sums": roots,
        "sums of absolute errors": gaps,
        "those of other games (another order)": np.roll(sums, 1, axis=0),
        "those of other stages": sums[:, ::-1],
        "sums over the whole game in each stage": np.repeat(
            sums.sum(axis=1, keepdims=True), sums.shape[1], axis=1
        ),
    }
    if np.array_equal(told.games, games):
        fits = [w for w, f in forms.items() if np.allclose(told.sums, f, rtol=1e-3, atol=1e-5)]
        same = np.array_equal(told.counts, counts)
        if "" in fits and same:
            yield from _few_digits(p)
            return
        cause = "counts of positions by game are wrong" if "" in fits else next(iter(fits), "")
    else:
        cause = "they are given for other games than those that are evaluated"
    yield Finding.error(
        "evaluation",
        f"the losses by game of {len(games)} games have a sum of {told.sums.sum():.4f} over "
        f"{told.counts.sum():,} positions; the squared errors of the same answers have "
        f"{sums.sum():.4f} over {int(counts.sum()):,}",
        "the losses of single games (game_losses), by which trials are compared, are not the sums "
        "of their squared errors" + (f": {cause}" if cause else ""),
        "sum the squared errors of each game and stage, and count their positions",
        root="metrics",
    )


def _few_digits(p: Floats) -> Iterator[Finding]:
    some = np.unique(p.astype(np.float32))
    if len(some) < _FEW:
        return
    kinds = {
        "half precision (float16)": some.astype(np.float16).astype(np.float32),
        "bfloat16": (some.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32),
        **{f"{digits} decimals": np.round(some, digits) for digits in (1, 2, 3)},
    }
    for words, rounded in kinds.items():
        if np.abs(rounded - some).max() < 1e-7:
            yield Finding.warning(
                "evaluation",
                f"each of {len(some)} different answers has no more digits than {words}",
                f"answers are rounded to {words} before the figures of a report: answers that "
                "differ a little become alike, and small differences between trials are lost",
                "keep answers in float32",
                root="metrics",
            )
            return


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
    first = [(n, f) for n, f in wrong if f == wrong[0][1]]
    fits = [
        _words(other_figure)
        for other_figure in right[wrong[0][0]]
        if all(_is_that(f, reported[n][f], right[n].get(other_figure, math.nan)) for n, f in first)
    ]
    kinds = _words(wrong[0][1])
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
