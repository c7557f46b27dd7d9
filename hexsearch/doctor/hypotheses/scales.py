"""Answers that are ordered well and scaled wrongly, or carried to the wrong side by each mover."""

from __future__ import annotations

import numpy as np

from hexsearch.doctor.hypotheses.values import Reading, compression
from hexsearch.doctor.networks import Observed

_BEYOND = 1.2  # raw values of a network that was trained on 0 and 1, or -1 and 1, stay below
_SAME = 1e-3


def scaled_answers(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Cause and remedy if a factor on the log odds explains the gain of another decoding.

    Only for raw values that are too large for that decoding.
    """
    raw = observed.raw
    if raw.ndim > 1 or np.quantile(np.abs(raw), 0.98) < _BEYOND:
        return None
    found = compression(observed)
    if found.temperature_gain < 0.5 * best.gain or 0.8 < found.temperature < 1.25:
        return None
    return (
        f"the output lacks a factor of about {found.temperature:.2g}: a factor (a temperature, or "
        "a scale) that training applies is left out at inference, or labels were smoothed or "
        "discounted",
        f"multiply the log odds by {found.temperature:.2g}, or use the formula of training at "
        "inference",
    )


def carried_by_the_mover(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Whether a value of one colour is inverted at inference where one side is to move."""
    reported, plain = observed.answered, best.answers
    same, inverted = np.abs(reported - plain) < _SAME, np.abs(reported - 1 + plain) < _SAME
    odd = observed.evaluation.ply % 2 == 1
    if not (same | inverted).all():
        return None
    for side, there in (("Red", odd), ("Blue", ~odd)):
        if inverted[there].all() and same[~there].all():
            return (
                "the value belongs to one colour (Red) and is carried back at inference as if it "
                f"belonged to the side to move: the answer is inverted where {side} is to move",
                "report the decoded value as it is, without to_move: win_prob_red(raw)",
            )
    return None
