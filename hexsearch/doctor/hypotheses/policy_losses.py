"""Explains why the policy loss is not the mean of -log p(next move)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import WatchedStep

WITHOUT_MOVE = "positions without a next move count in the policy loss"
ALWAYS_0 = "the policy loss is always 0"
LIKELIHOOD = "compute the policy loss as the mean of -log p(next move) over positions that have one"
_ROUNDING = 2e-6  # of a loss
_FAR = (20.0, 1e4, 1e9)  # numbers that a mask may subtract from logits


@dataclass(frozen=True)
class PolicyStep:
    """A policy loss and the numbers that it was computed from.

    Attributes:
        found: mean policy loss as the trial returned it.
        logits: [B, N*N] policy logits.
        target: [B] policy targets.
        picked: [M] rows that have a next move.
        taken: [B, N*N] whether a cell is occupied on the board as encoded.
        value: mean value loss.
        won: [B] outcome in the network's perspective.
        weight: [B] weights of the positions in the value loss.
    """

    found: float
    logits: Tensor
    target: Tensor
    picked: Tensor
    taken: Tensor
    value: float
    won: Tensor
    weight: Tensor

    @property
    def log_p(self) -> Tensor:
        """[B, N*N] log probabilities."""
        return self.logits.log_softmax(dim=1)

    @property
    def size(self) -> int:
        """Side of the board."""
        return math.isqrt(self.logits.shape[1])

    def mean(self, table: Tensor, target: Tensor | None = None) -> float:
        """Minus the mean of a table [B, N*N] at the targets [B], over rows with a next move."""
        cells = self.target if target is None else target
        return float(-table[torch.arange(len(table)), cells][self.picked].mean())


def policy_step(step: WatchedStep) -> PolicyStep | None:
    """The PolicyStep of a recorded step; None if its batch has no next move."""
    logits, batch = step.policy_logits.float(), step.batch
    picked = batch.has_move.nonzero().reshape(-1)
    if not len(picked) or len(logits) != len(batch):
        return None
    size = round(logits.shape[1] ** 0.5)
    margin = (step.planes.shape[-1] - size) // 2
    board = step.planes[:, :2, margin : margin + size, margin : margin + size]
    taken = board.abs().sum(dim=1).flatten(1) > 0.5
    value = float(step.value.mean()) if step.value.numel() else 0.0
    return PolicyStep(
        *(step.policy, logits, batch.policy_target, picked, taken, value),
        *(batch.outcome, batch.weight),
    )


def explain_policy_loss(steps: Sequence[WatchedStep]) -> Hypothesis | None:
    """The first explanation that gives the policy loss of every step; None if there is none."""
    known = [each for each in map(policy_step, steps) if each is not None]
    if not known:
        return None
    for cause, expected in _candidates():
        if all(_equal(step.found, expected(step)) for step in known):
            return Hypothesis(cause, cause, LIKELIHOOD)
    return _with_amount(known)


def _equal(found: float, expected: float) -> bool:
    return abs(found - expected) < 1e-4 * max(abs(expected), 1.0)


def _candidates() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    """Causes, each with the policy loss that it gives."""
    yield (WITHOUT_MOVE, lambda s: float(-s.log_p[torch.arange(len(s.logits)), s.target].mean()))
    cause = "the policy loss is divided by the whole batch, not by the positions with a next move"
    yield cause, lambda s: s.mean(s.log_p) * len(s.picked) / len(s.logits)
    cause = "the policy loss is a sum over the batch instead of a mean"
    yield cause, lambda s: s.mean(s.log_p) * len(s.picked)
    cause = "the policy loss has the wrong sign: training makes it larger"
    yield cause, lambda s: -s.mean(s.log_p)
    yield ALWAYS_0, lambda s: 0.0
    cause = (
        "the policy loss of each move is multiplied by the weight of its position (stage_weights), "
        "which is for the value loss"
    )
    yield cause, lambda s: _by_weight(s, s.weight)
    yield cause, lambda s: _by_weight(s, s.weight) / float(s.weight[s.picked].mean())
    yield from _of_targets()
    yield from _of_logits()
    yield from _of_results()


def _by_weight(step: PolicyStep, weight: Tensor) -> float:
    """Mean of the weighted losses of the moves."""
    each = -step.log_p[torch.arange(len(step.logits)), step.target]
    return float((weight * each)[step.picked].mean())


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
        each = -step.log_p[torch.arange(len(step.logits)), step.target][step.picked]
        weights = weight(step.won)[step.picked]
        total = weights.sum() if normalised else torch.tensor(float(len(each)))
        return float((weights * each).sum() / total.clamp(min=1e-6))

    return loss


def _of_targets() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    neighbours = "the policy loss compares with the targets of neighbouring rows"
    yield neighbours, lambda s: s.mean(s.log_p, s.target.roll(1))
    yield neighbours, lambda s: s.mean(s.log_p, s.target.roll(-1))
    cause = "the policy loss compares with the targets in the opposite order"
    yield cause, lambda s: s.mean(s.log_p, s.target.flip(0))
    for name, cause in (
        ("transposed", "is transposed: it is numbered by columns (column-major)"),
        ("turned by 180 degrees", "is turned by 180 degrees, to the opposite cell"),
        ("upside down", "is turned upside down"),
        ("mirrored left to right", "is mirrored left to right"),
    ):
        yield f"the policy target {cause}", _with_moved_target(name)
    for step, cause in ((1, "cells are counted from 1"), (-1, "it is one cell too low")):
        yield f"the policy target is shifted: {cause}", _with_shifted_target(step)


def _with_moved_target(name: str) -> Callable[[PolicyStep], float]:
    return lambda s: s.mean(s.log_p, moved_cells(s.target, s.size)[name])


def _with_shifted_target(step: int) -> Callable[[PolicyStep], float]:
    return lambda s: s.mean(s.log_p, (s.target + step) % s.size**2)


def _of_logits() -> Iterator[tuple[str, Callable[[PolicyStep], float]]]:
    cause = "the policy's softmax goes over the batch instead of the cells"
    yield cause, lambda s: s.mean(s.logits.log_softmax(dim=0))
    cause = "a softmax is applied before the loss, which applies one itself"
    yield cause, lambda s: s.mean(s.logits.softmax(dim=1).log_softmax(dim=1))
    cause = "the policy loss is minus the probability of the move, without its logarithm"
    yield cause, lambda s: s.mean(s.logits.softmax(dim=1))
    cause = "the policy loss is minus the logit of the move, without a softmax"
    yield cause, lambda s: s.mean(s.logits)
    cause = "the policy's logits change their sign before the loss"
    yield cause, lambda s: s.mean((-s.logits).log_softmax(dim=1))
    for name, masked in (
        ("occupied cells are masked: the softmax goes over free cells only", True),
        ("free cells are masked: the softmax goes over occupied cells only", False),
    ):
        for far in _FAR:
            yield f"{name} (a legal-move mask)", _masked(masked, far)
    for how in ("transposed", "turned by 180 degrees", "upside down", "mirrored left to right"):
        cause = f"the mask of legal moves is {how}: cells are masked that are not the occupied ones"
        for far in _FAR:
            yield cause, _masked(True, far, how)
    cause = "the move that was played is masked (its logit gets a large negative number)"
    for far in _FAR:
        yield cause, _without_played(far, kept=1.0)
        yield cause, _without_played(far, kept=0.0)
    cause = "each cell has a loss of its own (sigmoid), instead of a softmax over the cells"
    yield cause, lambda s: float(_by_cell(s).mean())
    cause = "each cell has a loss of its own (sigmoid), summed over the cells"
    yield cause, lambda s: float(_by_cell(s).sum(dim=1).mean())
    cause = "the policy loss is the squared error of the probabilities, not a log likelihood"
    yield cause, lambda s: float(_squared(s).mean())
    cause = "the policy loss is the squared error of the probabilities, summed over the cells"
    yield cause, lambda s: float(_squared(s).sum(dim=1).mean())


def _masked(occupied: bool, far: float, how: str = "") -> Callable[[PolicyStep], float]:
    def loss(step: PolicyStep) -> float:
        hidden = step.taken if occupied else ~step.taken
        if how:
            hidden = hidden[:, moved_cells(torch.arange(hidden.shape[1]), step.size)[how]]
        return step.mean(torch.where(hidden, step.logits - far, step.logits).log_softmax(dim=1))

    return loss


def _without_played(far: float, kept: float) -> Callable[[PolicyStep], float]:
    """The played move's logit is lowered by a number, or replaced by it."""

    def loss(step: PolicyStep) -> float:
        own = functional.one_hot(step.target, step.logits.shape[1]) > 0
        return step.mean(torch.where(own, kept * step.logits - far, step.logits).log_softmax(dim=1))

    return loss


def _one_hot(step: PolicyStep) -> Tensor:
    return functional.one_hot(step.target, step.logits.shape[1]).float()[step.picked]


def _by_cell(step: PolicyStep) -> Tensor:
    logits = step.logits[step.picked]
    return functional.binary_cross_entropy_with_logits(logits, _one_hot(step), reduction="none")


def _squared(step: PolicyStep) -> Tensor:
    return (step.logits[step.picked].softmax(dim=1) - _one_hot(step)).square()


def _with_amount(steps: Sequence[PolicyStep]) -> Hypothesis | None:
    """The right loss times a factor, or plus the same multiple of something else in every step."""
    rights = [step.mean(step.log_p) for step in steps]
    ratios = [step.found / right for step, right in zip(steps, rights, strict=True) if right]
    fits: list[tuple[float, Hypothesis]] = []  # each with the largest error of a loss
    if ratios and max(ratios) - min(ratios) < 1e-3 * abs(ratios[0]):
        cause = f"the policy loss is {ratios[0]:.4g} times as large"
        error = (max(ratios) - min(ratios)) * max(map(abs, rights))
        fits.append((error, Hypothesis("scaled", cause, LIKELIHOOD)))
    for cause, term in (
        (
            "targets are smoothed in the policy loss (label smoothing): {0:.3g} of each is spread "
            "over all cells",
            lambda s, right: float(-s.log_p[s.picked].mean()) - right,
        ),
        (
            "{0:.3g} times the entropy of the policy is added to its loss (a bonus with the wrong "
            "sign: a positive number makes the policy surer than its moves are)",
            lambda s, right: float(-(s.log_p.exp() * s.log_p).sum(dim=1)[s.picked].mean()),
        ),
        ("{0:.3g} times the value loss is added to the policy loss", lambda s, right: s.value),
        (
            "{0:.3g} times the mean squared logit is added to the policy loss (a penalty)",
            lambda s, right: float(s.logits.square().mean()),
        ),
        ("{0:.3g} is added to the policy loss of every batch", lambda s, right: 1.0),
    ):
        terms = [term(step, right) or 1e-9 for step, right in zip(steps, rights, strict=True)]
        given = zip(steps, rights, terms, strict=True)
        amounts = [(step.found - right) / each for step, right, each in given]
        spread = max(amounts) - min(amounts)
        if len(steps) > 1 and spread < 0.01 * abs(amounts[0]):
            text = cause.format(sum(amounts) / len(amounts))
            error = spread * max(map(abs, terms))
            fits.append((error, Hypothesis("amount", text, LIKELIHOOD)))
    # The first of those that fit as exactly as the best one, but for rounding.
    least = min((error for error, _ in fits), default=0.0)
    return next((told for error, told in fits if error <= 2 * least + _ROUNDING), None)


def explain_temperature(watched: Sequence[WatchedStep]) -> Hypothesis | None:
    """The right loss of scaled logits, which gives nearly the loss of every step."""
    steps = [each for each in map(policy_step, watched) if each is not None]
    if len(steps) < 2:
        return None
    scales = [float(s) for s in torch.linspace(-3.0, 3.0, 121).exp()]
    step = steps[0]
    gaps = [abs(step.mean((k * step.logits).log_softmax(dim=1)) - step.found) for k in scales]
    scale = scales[min(range(len(gaps)), key=lambda n: gaps[n])]
    fits = [abs(s.mean((scale * s.logits).log_softmax(dim=1)) - s.found) < 0.02 for s in steps]
    if not all(fits):
        return None
    return Hypothesis(
        "temperature",
        f"the policy's logits are multiplied by about {scale:.3g} before the loss (a temperature)",
        LIKELIHOOD,
    )
