"""The loss and the probability of a user's own network as one read-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.formulas.readout_forms import cut_off, ends_of_answers
from hexsearch.doctor.networks import Observed
from hexsearch.model.readout import Readout

_ROUNDING, _WHOLE = 1e-6, 0.999  # of a raw value; range of answers up to both ends


class ForeignReadout(Readout):
    """What a user's `loss` and `win_prob_red` make of one raw value.

    A raw value may well be Blue's, so that `win_prob_red` falls as it rises. It is negated then,
    for both functions, as all that is known of read-outs is known of those that rise.

    Args:
        for_mover: whether `decode` gets the side to move as well. Where Red is to move, the
            mover's probability is Red's.
    """

    def __init__(
        self, loss: Callable[..., Tensor], decode: Callable[..., Tensor], for_mover: bool
    ) -> None:
        self._loss, self._decode, self._for_mover = loss, decode, for_mover
        self.sign = 1.0
        told = self.win_prob(torch.linspace(-8.0, 8.0, 33))
        if bool((told.diff() <= 0).all()) and float(told[0]) > float(told[-1]):
            self.sign = -1.0

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = of_values(self._loss, self._signed(raw), target)
        return loss

    def win_prob(self, raw: Tensor) -> Tensor:
        # The model may never put out such raw values. Its real answers are checked elsewhere.
        side = [torch.ones(len(raw), dtype=torch.int64)] if self._for_mover else []
        probability: Tensor = of_values(self._decode, self._signed(raw), *side)
        return probability.clamp(0.0, 1.0)

    def _signed(self, raw: Tensor) -> Tensor:
        # The same tensor where nothing is negated: whoever writes into it is found by that.
        return raw if self.sign > 0 else -raw


def of_values(function: Callable[..., Any], raw: Tensor, *given: Tensor) -> Any:
    """What a user's function makes of raw values [P], or of [P, 1] if it can read only these."""
    try:
        return function(raw, *given)
    except (IndexError, RuntimeError):
        if raw.ndim != 1:
            raise
    return function(raw[:, None], *given).reshape(len(raw))


def stays_within(readout: Readout, observed: Observed | None) -> bool:
    """Whether a user's network puts out nothing beyond the ends of its loss, as by a sigmoid.

    What is cut off is then an epsilon before a logarithm. It must leave nearly all answers.
    """
    if observed is None or not isinstance(readout, ForeignReadout):
        return False
    ends, answers = cut_off(readout), ends_of_answers(readout)
    if ends is None or answers[1] - answers[0] < _WHOLE:
        return False
    raw = readout.sign * observed.raw
    return bool(raw.min() >= ends[0] - _ROUNDING and raw.max() <= ends[1] + _ROUNDING)
