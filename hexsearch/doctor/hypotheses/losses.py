"""Explains why the value loss is not that of the read-out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.formulas.loss_inversion import explain_by_inversion
from hexsearch.doctor.hypotheses.loss_formulas import (
    ONE_FORMULA,
    SAME_LABELS,
    by_region,
    close,
    of_changed_arguments,
    other_formula,
    other_labels,
    place_in,
    weighted,
)
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.model.readout import Readout

Candidates = Iterator[tuple[str, Tensor]]  # causes, each with the value loss [B] that it gives
_LEVEL = 0.02  # spread of losses that are the same, in the spread of the right ones
_FEW = 4  # different losses of rounded answers
_ROWS, _UNRELATED = 32, 0.4  # rows, and largest correlation of numbers that are not related
_BROADCAST = "every output is compared with every label: [B, 1] against [B] is broadcast to [B, B]"


def explain_value_loss(
    found: Tensor, raw: Tensor, batch: Batch, readout: Readout
) -> Hypothesis | None:
    """The first explanation that gives the value loss of every position; None if there is none.

    Args:
        found: [B] value loss as the trial returned it.
        raw: [B] raw values.
        readout: the read-out whose loss is expected.
    """
    right = readout.loss(raw, batch.outcome)
    for remedy, candidates in (
        (ONE_FORMULA, [*_of_signs(raw, batch, readout), *_of_outputs(raw, batch, readout)]),
        (ONE_FORMULA, _of_reductions(raw, batch, readout)),
        (SAME_LABELS, _of_rows(raw, batch, readout)),
    ):
        for cause, expected in candidates:
            if expected.shape == found.shape and close(found, expected):
                return Hypothesis(cause, cause, remedy)
    return (
        _scaled(found, right, batch)
        or _masked(found, right, raw, batch)
        or weighted(found, right, raw, batch)
        or other_labels(found, raw, batch, readout)
        or explain_by_inversion(found, raw, batch, readout)
        or of_changed_arguments(found, raw, batch, readout)
        or by_region(found, right, raw, batch)
        or other_formula(found, right, raw, batch)
        or _levelled(found, right)
        or _of_decisions(found, raw, batch)
        or _by_other_numbers(found, right, raw, batch)
    )


def _of_decisions(found: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """Losses that take few numbers although outputs and right losses take many."""
    count = len(set(found.round(decimals=5).tolist()))
    if count > _FEW or len(set(raw.round(decimals=5).tolist())) < 2 * _FEW:
        return None
    each = [sorted({round(float(x), 3) for x in found[batch.outcome == label]}) for label in (0, 1)]
    told = " and ".join(f"{numbers} for label {label}" for label, numbers in enumerate(each))
    return Hypothesis(
        "decisions",
        f"the value loss takes {count} different numbers only ({told}): the answer is rounded (to "
        "0 or 1, a decision) before the loss, so it has no gradient and the value learns nothing",
        "compare the output itself with the label; round answers only to show them",
    )


def _by_other_numbers(found: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """The right losses times numbers that depend neither on the output nor on the label."""
    if not bool((right > 1e-6).all()) or not bool((found >= 0).all()):
        return None
    factor = found / right
    others = torch.stack([factor, raw, batch.outcome, right, raw.abs()])
    apart = torch.corrcoef(others)[0, 1:].nan_to_num(0.0).abs()
    if len(found) < _ROWS or float(apart.max()) > _UNRELATED:
        return None
    return Hypothesis(
        "other numbers",
        "the value loss of each position is multiplied by a number of its own (from "
        f"{float(factor.min()):.2g} to {float(factor.max()):.2g}), which depends neither on its "
        "output nor on its label: random numbers, or weights of other rows",
        "give every position the same weight; to weight stages set curriculum.stage_weights",
    )


def _levelled(found: Tensor, right: Tensor) -> Hypothesis | None:
    """Losses that are about the same number for all positions, where the right ones differ."""
    mean, spread = float(found.mean()), float(found.std())
    if mean < _LEVEL * float(right.mean()) or spread > _LEVEL * min(float(right.std()), mean):
        return None
    cause = (
        f"the value loss of every position is about {mean:.3g}, however wrong the answer: each "
        "loss is divided by its own size (loss / loss.detach(), to balance several losses), or "
        "replaced by a constant; positions that are nearly right pull as hard as wrong ones, and "
        "answers are driven to 0 and 1"
    )
    return Hypothesis("levelled", cause, ONE_FORMULA)


def _of_signs(raw: Tensor, batch: Batch, readout: Readout) -> Candidates:
    outcome, loss = batch.outcome, readout.loss
    yield "the value loss has the wrong sign: training makes it larger", -loss(raw, outcome)
    cause = (
        "the value loss is computed with 1 - outcome (inverted labels): the network learns to "
        "predict the loser"
    )
    yield cause, loss(raw, 1.0 - outcome)
    cause = "the raw output changes its sign before the loss, but not where it is reported"
    yield cause, loss(-raw, outcome)
    cause = (
        "the value loss is computed with red_won instead of the outcome: labels belong to one "
        "colour, outputs to the side that is encoded (perspective)"
    )
    yield cause, loss(raw, batch.red_won)


def _of_outputs(raw: Tensor, batch: Batch, readout: Readout) -> Candidates:
    outcome, loss = batch.outcome, readout.loss
    cause = (
        "the value loss compares every output with the network's own answer, not with the "
        "outcome: the network learns nothing"
    )
    yield cause, loss(raw, readout.win_prob(raw).clamp(0.0, 1.0))
    cause = "a sigmoid is applied before the loss, which applies one itself"
    yield cause, loss(raw.sigmoid(), outcome)
    cause = "a tanh is applied before the loss, but not where the output is reported"
    yield cause, loss(raw.tanh(), outcome)
    cause = (
        "the loss compares the raw output with 0 and 1, and a sigmoid is applied afterwards: a "
        "perfect network is reported as 0.50 and 0.73"
    )
    yield cause, (raw - outcome).square()
    cause = "the loss compares the raw output with -1 and 1, and a sigmoid is applied afterwards"
    yield cause, (raw - (2.0 * outcome - 1.0)).square()
    cause = "the raw output is clamped to [-1, 1] before the loss: outside it has no gradient"
    yield cause, loss(raw.clamp(-1.0, 1.0), outcome)
    cause = "the raw output is rounded before the loss: no gradient passes"
    yield cause, loss(raw.round(), outcome)
    cause = "the mean over the batch is subtracted from the outputs before the loss"
    yield cause, loss(raw - raw.mean(), outcome)


def _of_reductions(raw: Tensor, batch: Batch, readout: Readout) -> Candidates:
    outcome, loss = batch.outcome, readout.loss
    right = loss(raw, outcome)
    yield (
        "the batch's mean value loss is subtracted from that of each position: the sum is always 0 "
        "and has no gradient",
        right - right.mean(),
    )
    yield (
        "the value loss of each position is the largest of the batch: only one position counts",
        right.max().expand_as(right),
    )
    yield (
        "the value loss of each position is the smallest of the batch: only one position counts",
        right.min().expand_as(right),
    )
    every = loss(raw[:, None].expand(-1, len(raw)), outcome.expand(len(raw), -1))
    yield _BROADCAST, every.mean(dim=0)
    yield _BROADCAST, every.mean(dim=1)
    yield "the value loss of each position is the mean of all", right.mean().expand_as(right)
    cause = "every position is compared with the mean label"
    yield cause, loss(raw, outcome.mean().expand_as(outcome))
    cause = "the mean output of the batch is compared with every label"
    yield cause, loss(raw.mean().expand_as(raw), outcome)


def _of_rows(raw: Tensor, batch: Batch, readout: Readout) -> Candidates:
    outcome, loss = batch.outcome, readout.loss
    cause = "outputs are compared with the labels of the neighbouring rows of the batch"
    yield cause, loss(raw, outcome.roll(1))
    yield cause, loss(raw, outcome.roll(-1))
    cause = "outputs are compared with the labels in the opposite order"
    yield cause, loss(raw, outcome.flip(0))
    cause = "outputs are compared with the labels in ascending order"
    yield cause, loss(raw, outcome.sort().values)


def _scaled(found: Tensor, right: Tensor, batch: Batch) -> Hypothesis | None:
    factor = float((found * right).sum() / (right * right).sum().clamp(min=1e-12))
    if close(found, factor * right):
        return Hypothesis(
            "scaled",
            f"the value loss is multiplied by {factor:.4g} (a batch holds {len(batch)} positions)",
            "remove the factor; the weight of the value loss is trial.value_weight",
        )
    residual = found - right
    if float(residual.std()) < 1e-4 * max(float(right.std()), 1e-6):
        return Hypothesis(
            "offset",
            f"{float(residual.mean()):.4g} is added to the value loss of every position",
            ONE_FORMULA,
        )
    return None


def _masked(found: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """The loss of some positions is 0; that of the others may have one factor for that."""
    zero = (found.abs() < 1e-9) & (right.abs() > 1e-6)
    kept = ~zero
    if not zero.any() or not kept.any():
        return None
    factor = float((found * right)[kept].sum() / right[kept].square().sum().clamp(min=1e-12))
    if not close(found[kept], factor * right[kept]):
        return None
    others = "" if abs(factor - 1.0) < 1e-3 else f", and the others count {factor:.3g} times"
    return Hypothesis(
        "masked",
        f"the value loss of {float(zero.float().mean()):.0%} of the positions is masked to 0, "
        f"{place_in(zero, right, raw, batch)}{others}: only part of the batch counts",
        "let every position count in the value loss",
    )
