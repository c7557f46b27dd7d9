"""Policy losses with one unknown number, which must be the same in every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import WatchedStep

_HALVINGS = 60
_SAME = 0.02  # largest relative difference of the number among the steps
_FEW = 2  # steps that are needed
_LIKELIHOOD = "compute the policy loss as the mean of -log p(next move) over positions with one"
Loss = Callable[[Tensor, Tensor, float], Tensor]  # logits, moves, number: loss of each


def _chosen(logits: Tensor, moves: Tensor) -> Tensor:
    return logits.softmax(dim=1).gather(1, moves[:, None])[:, 0]


# The range of the number on a logarithmic scale, the loss, and the cause.
_FAMILIES: tuple[tuple[float, float, Loss, str], ...] = (
    (
        1e-5,
        1.0,
        lambda logits, moves, e: -(_chosen(logits, moves) + e).log(),
        "{:.3g} is added inside the logarithm of the policy loss (an epsilon that is too large), "
        "so that unlikely moves cost little",
    ),
    (
        1e-3,
        30.0,
        lambda logits, moves, c: (
            -logits.clamp(-c, c).log_softmax(1).gather(1, moves[:, None])[:, 0]
        ),
        "the policy's logits are clamped (clipped) to -{0:.3g}..{0:.3g} before the loss: beyond it "
        "no gradient passes",
    ),
    (
        1e-4,
        1.0,
        lambda logits, moves, e: -_chosen(logits, moves).clamp(min=e).log(),
        "the probability of the move is clamped (clipped) from below at {:.3g} before its "
        "logarithm: unlikely moves get no gradient",
    ),
    (
        1e-2,
        8.0,
        lambda logits, moves, g: (
            -(1 - _chosen(logits, moves)).pow(g) * _chosen(logits, moves).log()
        ),
        "the policy loss is a focal loss of power {:.3g}, which is least at another distribution "
        "than that of the moves",
    ),
)


def explain_curves(steps: Sequence[WatchedStep]) -> Hypothesis | None:
    """The family whose number is the same in all steps; None if there is none."""
    usable = [step for step in steps if bool(step.batch.has_move.any())]
    if len(usable) < _FEW:
        return None
    for low, high, loss, cause in _FAMILIES:
        numbers = [_solved(step, loss, low, high) for step in usable]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            continue
        if max(known) - min(known) < _SAME * max(known):
            return Hypothesis("curve", cause.format(sum(known) / len(known)), _LIKELIHOOD)
    return None


def _solved(step: WatchedStep, loss: Loss, low: float, high: float) -> float | None:
    """The number that gives the loss of a step; None if there is none in the range."""
    index = step.batch.has_move
    logits = step.policy_logits.double()[index]
    moves = step.batch.policy_target[index]

    def at(number: float) -> float:
        return float(loss(logits, moves, number).mean()) - step.policy

    first, last = at(low), at(high)
    if not first * last < 0:
        return None
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if at(middle) * first > 0:
            low = middle
        else:
            high = middle
    return float((low * high) ** 0.5)
