"""Describes steps that have the right direction and another length: by step, and by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.findings import in_words
from hexsearch.doctor.hypotheses.table import Hypothesis

_PARALLEL = 0.05  # relative residual up to which two steps have the same direction
_SAME = 0.02  # relative difference up to which a factor is 1, or two factors are equal
_AS_CONFIGURED = "build the optimiser as configured, and do not change its state between steps"
_STEPS_AHEAD = np.unique(np.geomspace(1, 1e6, 200).round()).tolist()
Factors = dict[str, list[float]]


def explain_lengths(
    right: Sequence[Tensor],
    real: Sequence[Tensor],
    parts: Mapping[str, slice],
    betas: tuple[float, float] | None,
) -> Hypothesis | None:
    """Which steps of which parts have another length; None if directions differ.

    Args:
        right, real: for each step, [W] the change of the weights by the formula, and as recorded.
        parts: where the weights of each part are among all W weights.
        betas: decay rates of Adam's moments; None for another optimiser.
    """
    whole = _factors(right, real)
    if whole is not None:
        if _steady(whole):
            cause = (
                f"the optimiser's steps are {whole[0]:.3g} times as long as its rate says (scaled)"
            )
            return Hypothesis("scaled", cause, "build the optimiser with the configured rate")
        return _by_step(whole, betas)
    single: Factors = {}
    for part, place in parts.items():
        factors = _factors([each[place] for each in right], [each[place] for each in real])
        if factors is not None:
            single[part] = factors
    return _by_part(single, list(parts))


def _factors(right: Sequence[Tensor], real: Sequence[Tensor]) -> list[float] | None:
    """The factor of each step; None if a step has another direction."""
    factors = []
    for own, found in zip(right, real, strict=True):
        size = float(own.square().sum())
        if size < 1e-24:
            continue
        factor = float((found * own).sum()) / size
        if float((found - factor * own).norm()) > _PARALLEL * float(own.norm()) * max(
            abs(factor), _SAME
        ):
            return None
        factors.append(factor)
    return factors or None


def _steady(factors: Sequence[float]) -> bool:
    return max(factors) - min(factors) < 0.05 * max(abs(factors[0]), 1e-9)


def _by_step(factors: list[float], betas: tuple[float, float] | None) -> Hypothesis:
    told = ", ".join(f"{each:.3g}" for each in factors)
    wrong = [n + 1 for n, factor in enumerate(factors) if abs(factor - 1) > _SAME]
    why = ""
    if betas is not None:
        ahead = _steps_ahead(factors, *betas)
        if ahead:
            why = (
                f"; this is the correction of the bias of the moments for about {ahead:,} steps "
                "more than were taken: the bias is not corrected (the count of steps is wrong)"
            )
    elif len(wrong) < len(factors):
        why = f"; only the steps {', '.join(map(str, wrong))} depart"
    return Hypothesis(
        "lengths",
        "the optimiser's steps have the right direction and another length: step by step they are "
        f"{told} times those of its formula{why}",
        _AS_CONFIGURED,
    )


def _steps_ahead(factors: Sequence[float], first: float, second: float) -> int:
    """By how many steps the count in Adam's correction is too high; 0 if that explains nothing."""
    counts = np.arange(1, len(factors) + 1)

    def correction(count: NDArray[Any]) -> NDArray[Any]:
        corrected: NDArray[Any] = np.sqrt(1 - second**count) / (1 - first**count)
        return corrected

    own = correction(counts.astype(float))
    best, smallest = 0, 2 * _SAME
    for ahead in _STEPS_AHEAD:
        gap = np.abs(correction(counts + float(ahead)) / own / np.array(factors) - 1).max()
        if gap < smallest:
            best, smallest = int(ahead), float(gap)
    return best


def _by_part(single: Factors, parts: list[str]) -> Hypothesis | None:
    """The parts whose steps have another length, or another direction."""
    right = [part for part, f in single.items() if all(abs(each - 1) < _SAME for each in f)]
    scaled = {part: f for part, f in single.items() if part not in right}
    other = [part for part in parts if part not in single]
    if not right and not scaled:
        return None
    if len(parts) < 2 or (not right and other):
        return None
    told = [
        f"those of the {in_words(part)} are {', '.join(f'{each:.3g}' for each in f)} times as long"
        + (" (the wrong sign: they go up the gradient)" if max(f) < 0 else "")
        for part, f in scaled.items()
    ]
    told += [f"those of the {in_words(part)} have another direction" for part in other]
    kept = f"; those of the {', '.join(map(in_words, right))} are right" if right else ""
    return Hypothesis(
        "by part",
        f"the optimiser's steps depart from its formula in some parts: {'; '.join(told)}{kept}",
        _AS_CONFIGURED,
    )


def slices(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Where each part is, if parts of these sizes follow one another."""
    ends = np.cumsum(list(sizes.values())).tolist()
    starts = [0, *ends[:-1]]
    return {part: slice(a, b) for part, a, b in zip(sizes, starts, ends, strict=True)}


def moved(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
    """The change of the weights in each step."""
    return [new - old for old, new in zip(before, after, strict=True)]
