"""Checks whether reported answers are cut off, and never come near 0 and 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_INSIDE = 0.01  # distance from 0 and 1 of an end that is no natural one
_AT, _FEW = 0.02, 10  # share of the answers at both ends, and different raw values behind them
_SAME = 1e-6


def check_cut_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Many different raw values must not be reported as the same smallest or largest answer."""
    observed = needed(pipeline.observed)
    answers = observed.answered
    if not np.isfinite(answers).all():
        return
    low, high = float(answers.min()), float(answers.max())
    at = [np.abs(answers - end) < _SAME for end in (low, high)]
    many = [len(np.unique(observed.value[each].round(5))) >= _FEW for each in at]
    shares = [float(each.mean()) for each in at]
    if low < _INSIDE or high > 1 - _INSIDE or min(shares) < _AT:
        return
    raw = observed.value
    if not all(many):
        yield from _cut_outputs(raw, low, high)
        return
    inside = ~(at[0] | at[1])
    ends = f"{raw[inside].min():.3g} to {raw[inside].max():.3g}" if inside.any() else "none"
    yield Finding.error(
        "answers",
        f"{shares[0]:.0%} of {len(answers):,} answers are exactly {low:.3g} and {shares[1]:.0%} "
        f"exactly {high:.3g}, though their raw values differ ({raw.min():.3g} to {raw.max():.3g}; "
        f"those of the other answers go from {ends})",
        f"answers are clamped (clipped) to {low:.3g}..{high:.3g}: no board is reported as surer, "
        "however sure the network is; a loss with the same clamp passes no gradient beyond it",
        "report the probability without cutting it off; if the loss clamps, too, take the clamp "
        "out there (a cross-entropy of logits needs none) and train again",
        root="reading",
    )


def _cut_outputs(raw: NDArray[np.float64], low: float, high: float) -> Iterator[Finding]:
    """Report raw outputs that are exactly at their ends on many positions."""
    least, most = float(raw.min()), float(raw.max())
    ends = [float((raw == end).mean()) for end in (least, most)]
    if min(ends) < _AT or len(np.unique(raw)) < 4 * _FEW:
        return  # few different values are rounded ones
    yield Finding.error(
        "answers",
        f"{ends[0]:.0%} of {len(raw):,} raw outputs are exactly {least:.3g} and {ends[1]:.0%} "
        f"exactly {most:.3g}, which are reported as {low:.3g} and {high:.3g}",
        f"the network clamps (clips) its value to {least:.3g}..{most:.3g}, or squashes it (a tanh "
        f"before another squashing function): no answer lies outside {low:.3g}..{high:.3g}, and "
        "at the ends no gradient passes",
        "end the value head in a plain linear layer; the read-out alone squashes its output",
        root="reading",
    )


def rounded_answers(observed: Observed) -> Iterator[Finding]:
    """Report answers that take few values although raw values take many."""
    answers, many = np.unique(observed.answered.round(6)), len(np.unique(observed.value.round(6)))
    if not 2 <= len(answers) <= 12 or many < 10 * len(answers):
        return
    examples = ", ".join(f"{answer:.3g}" for answer in answers[:4])
    yield Finding.error(
        "answers",
        f"{many:,} different raw values are reported as {len(answers)} different answers: "
        f"{examples}",
        "answers are rounded or cut to few values, such as 0 and 1: a decision is reported instead "
        "of a probability",
        "report the probability without rounding",
        root="reading",
    )
