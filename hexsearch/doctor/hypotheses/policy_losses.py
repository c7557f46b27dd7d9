"""Why a returned policy loss is not the mean of -log p(next move): explanations, each computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.watching import WatchedStep

_ONE = "let the policy loss be the mean of -log p(next move) over positions that have one"
_FAR = 20.0  # taken from the logits of masked cells


@dataclass(frozen=True)
class PolicyStep:
    """What a policy loss was computed from, and what it was.

    Attributes:
        found: the mean loss as the trial returned it. logits: [B, N*N].
        target: [B]. picked: rows that have a next move. taken: [B, N*N] occupied cells as shown.
        won: [B] outcome in the perspective that is shown.
    """

    found: float
    logits: Tensor
    target: Tensor
    picked: Tensor
    taken: Tensor
    value: float
    won: Tensor

    @property
    def chances(self) -> Tensor:
        """[B, N*N] log probabilities."""
        return self.logits.log_softmax(dim=1)

    def mean(self, table: Tensor, target: Tensor | None = None) -> float:
        """Mean of minus the entries of [B, N*N] at the targets, over rows with a next move."""
        cells = self.target if target is None else target
        return float(-table[torch.arange(len(table)), cells][self.picked].mean())


def policy_step(step: WatchedStep) -> PolicyStep | None:
    """The columns of a watched step; None where there is no next move at all."""
    logits, batch = step.policy_logits.float(), step.batch
    picked = batch.has_move.nonzero().reshape(-1)
    if not len(picked) or len(logits) != len(batch):
        return None
    size = round(logits.shape[1] ** 0.5)
    margin = (step.planes.shape[-1] - size) // 2
    board = step.planes[:, :2, margin : margin + size, margin : margin + size]
    taken = board.abs().sum(dim=1).flatten(1) > 0.5
    value = float(step.value.mean()) if step.value.numel() else 0.0
    return PolicyStep(step.policy, logits, batch.policy_target, picked, taken, value, batch.outcome)


def explain_policy_loss(steps: Sequence[WatchedStep]) -> Hypothesis | None:
    """The first explanation that gives the loss of every step; None if no one does."""
    known = [each for each in map(policy_step, steps) if each is not None]
    if not known:
        return None
    for cause, expected in _candidates():
        if all(_equal(step.found, expected(step)) for step in known):
            return Hypothesis(cause, cause, _ONE)
    return _with_amount(known)


def _equal(found: float, expected: float) -> bool:
    return abs(found - expected) < 1e-4 * max(abs(expected), 1.0)


def _candidates() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    """Causes and the loss that each would give."""
    yield (
        "positions without a next move count in the policy loss",
        lambda s: float(-s.chances[torch.arange(len(s.logits)), s.target].mean()),
    )
    yield (
        "the policy loss is divided by the whole batch, not by the positions with a next move",
        lambda s: s.mean(s.chances) * len(s.picked) / len(s.logits),
    )
    yield (
        "the policy loss is a sum over the batch instead of a mean",
        lambda s: s.mean(s.chances) * len(s.picked),
    )
    yield (
        "the policy loss has the wrong sign: training makes it larger",
        lambda s: -s.mean(s.chances),
    )
    yield "the policy loss is always 0", lambda s: 0.0
    yield from _of_targets()
    yield from _of_logits()
    yield from _of_results()


def _of_results() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    """The loss of each move multiplied by something that the game's result decides."""
    for name, weight in (
        ("2 * outcome - 1: moves of the games that are lost enter with a negative sign", _signed),
        ("the outcome: moves of the games that are lost do not count", lambda won: won),
        ("1 - outcome: moves of the games that are won do not count", lambda won: 1 - won),
    ):
        cause = f"the policy loss of each move is multiplied by its result, {name}"
        yield cause, _weighted(weight, False)
        yield cause, _weighted(weight, True)


def _signed(won: Tensor) -> Tensor:
    return 2 * won - 1


def _weighted(
    weight: Callable[[Tensor], Tensor], normalised: bool
) -> Callable[[PolicyStep], float]:
    def loss(step: PolicyStep) -> float:
        each = -step.chances[torch.arange(len(step.logits)), step.target][step.picked]
        weights = weight(step.won)[step.picked]
        total = weights.sum() if normalised else torch.tensor(float(len(each)))
        return float((weights * each).sum() / total.clamp(min=1e-6))

    return loss


def _of_targets() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    neighbours = "the policy loss compares with the targets of neighbouring rows"
    yield neighbours, lambda s: s.mean(s.chances, s.target.roll(1))
    yield neighbours, lambda s: s.mean(s.chances, s.target.roll(-1))
    yield (
        "the policy loss compares with the targets in the opposite order",
        lambda s: s.mean(s.chances, s.target.flip(0)),
    )
    for cause, change in (
        (
            "the policy target is read column-major (transposed), the planes by rows",
            lambda t, n: t % n * n + t // n,
        ),
        (
            "the policy target is mirrored to the opposite cell",
            lambda t, n: n * n - 1 - t,
        ),
        (
            "the policy target is turned upside down",
            lambda t, n: (n - 1 - t // n) * n + t % n,
        ),
        (
            "the policy target is mirrored left to right",
            lambda t, n: t // n * n + n - 1 - t % n,
        ),
        (
            "the policy target is shifted: cells are counted from 1",
            lambda t, n: (t + 1) % (n * n),
        ),
        (
            "the policy target is shifted by one cell",
            lambda t, n: (t - 1) % (n * n),
        ),
    ):
        yield cause, _with_target(change)


def _with_target(change: Callable[[Tensor, int], Tensor]) -> Callable[[PolicyStep], float]:
    return lambda s: s.mean(s.chances, change(s.target, round(s.logits.shape[1] ** 0.5)))


def _of_logits() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    yield (
        "the policy's softmax goes over the batch instead of the cells",
        lambda s: s.mean(s.logits.log_softmax(dim=0)),
    )
    yield (
        "a softmax is applied before the loss, which applies one itself",
        lambda s: s.mean(s.logits.softmax(dim=1).log_softmax(dim=1)),
    )
    yield (
        "the policy loss is minus the probability of the move, without its logarithm",
        lambda s: s.mean(s.logits.softmax(dim=1)),
    )
    yield (
        "the policy loss is minus the logit of the move, without a softmax",
        lambda s: s.mean(s.logits),
    )
    yield (
        "the policy's logits change their sign before the loss",
        lambda s: s.mean((-s.logits).log_softmax(dim=1)),
    )
    for name, masked in (
        ("occupied cells are masked: the softmax goes over free cells alone", True),
        ("free cells are masked: the softmax goes over occupied cells alone", False),
    ):
        for far in (_FAR, 1e4, 1e9):
            yield f"{name} (a legal-move mask)", _masked(masked, far)
    yield (
        "each cell has a loss of its own (sigmoid), instead of a softmax over the cells",
        lambda s: float(_by_cell(s).mean()),
    )
    yield (
        "each cell has a loss of its own (sigmoid), summed over the cells",
        lambda s: float(_by_cell(s).sum(dim=1).mean()),
    )
    yield (
        "the policy loss is the squared error of the probabilities, not a log likelihood",
        lambda s: float(_squared(s).mean()),
    )
    yield (
        "the policy loss is the squared error of the probabilities, summed over the cells",
        lambda s: float(_squared(s).sum(dim=1).mean()),
    )


def _masked(occupied: bool, far: float) -> Callable[[PolicyStep], float]:
    def loss(step: PolicyStep) -> float:
        hidden = step.taken if occupied else ~step.taken
        return step.mean(torch.where(hidden, step.logits - far, step.logits).log_softmax(dim=1))

    return loss


def _one_hot(step: PolicyStep) -> Tensor:
    return functional.one_hot(step.target, step.logits.shape[1]).float()[step.picked]


def _by_cell(step: PolicyStep) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        step.logits[step.picked], _one_hot(step), reduction="none"
    )


def _squared(step: PolicyStep) -> Tensor:
    return (step.logits[step.picked].softmax(dim=1) - _one_hot(step)).square()


def _with_amount(steps: Sequence[PolicyStep]) -> Hypothesis | None:
    """The right loss with an amount of something else, the same amount in every step."""
    rights = [step.mean(step.chances) for step in steps]
    ratios = [step.found / right for step, right in zip(steps, rights, strict=True) if right]
    if ratios and max(ratios) - min(ratios) < 1e-3 * abs(ratios[0]):
        return Hypothesis("scaled", f"the policy loss is {ratios[0]:.4g} times as large", _ONE)
    for cause, term in (
        (
            "targets are smoothed in the policy loss (label smoothing): {0:.3g} of each goes to "
            "all cells alike",
            lambda s, right: float(-s.chances[s.picked].mean()) - right,
        ),
        (
            "{0:.3g} times the entropy of the policy is added to its loss",
            lambda s, right: float(-(s.chances.exp() * s.chances).sum(dim=1)[s.picked].mean()),
        ),
        (
            "{0:.3g} times the value loss is added to the policy loss",
            lambda s, right: s.value,
        ),
        (
            "{0:.3g} times the mean squared logit is added to the policy loss (a penalty)",
            lambda s, right: float(s.logits.square().mean()),
        ),
        ("{0:.3g} is added to the policy loss of every batch", lambda s, right: 1.0),
    ):
        amounts = [
            (step.found - right) / (term(step, right) or 1e-9)
            for step, right in zip(steps, rights, strict=True)
        ]
        if len(steps) > 1 and max(amounts) - min(amounts) < 0.01 * abs(amounts[0]):
            text = cause.format(sum(amounts) / len(amounts))
            return Hypothesis("amount", text, "let each loss be its own; weigh them in the step")
    return _of_temperature(steps)


def _of_temperature(steps: Sequence[PolicyStep]) -> Hypothesis | None:
    scales = [float(s) for s in torch.linspace(-3.0, 3.0, 121).exp()]
    step = steps[0]
    gaps = [abs(step.mean((k * step.logits).log_softmax(dim=1)) - step.found) for k in scales]
    scale = scales[min(range(len(gaps)), key=lambda n: gaps[n])]
    fits = [abs(s.mean((scale * s.logits).log_softmax(dim=1)) - s.found) < 0.02 for s in steps]
    if len(steps) < 2 or not all(fits):
        return None
    return Hypothesis(
        "temperature",
        f"the policy's logits are multiplied by about {scale:.3g} before the loss (a temperature)",
        _ONE,
    )
