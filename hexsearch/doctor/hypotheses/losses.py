"""Why a returned value loss is not the read-out's: explanations, each computed from the outputs."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from hexsearch.data.batches import Batch
from hexsearch.doctor.hypotheses.loss_formulas import (
    ONE_FORMULA,
    SAME_LABELS,
    close,
    of_changed_arguments,
    other_formula,
    other_labels,
    subsets_of,
    weighted,
    with_penalty,
)
from hexsearch.doctor.hypotheses.table import Hypothesis, where
from hexsearch.model.readout import Readout

_BROADCAST = "every output is compared with every label: [B, 1] against [B] is broadcast to [B, B]"


def explain_value_loss(
    found: Tensor, raw: Tensor, batch: Batch, readout: Readout
) -> Hypothesis | None:
    """The first explanation that gives the same numbers; None if no one does.

    Args:
        found: [B] the value loss as the trial returned it.
    """
    right = readout.loss(raw, batch.outcome)
    for hypothesis, expected in _candidates(raw, batch, readout):
        if expected.shape == found.shape and close(found, expected):
            return hypothesis
    for explain in (_scaled, _masked):
        hypothesis_or_none = explain(found, right, batch)
        if hypothesis_or_none is not None:
            return hypothesis_or_none
    return (
        of_changed_arguments(found, raw, batch, readout)
        or weighted(found, right, batch)
        or other_labels(found, raw, batch, readout)
        or other_formula(found, right, raw, batch)
        or with_penalty(found, right, raw)
    )


def _candidates(raw: Tensor, batch: Batch, readout: Readout) -> Iterator[tuple[Hypothesis, Tensor]]:
    yield from _of_signs(raw, batch, readout)
    yield from _of_outputs(raw, batch, readout)
    yield from _of_rows(raw, batch, readout)


def _of_signs(raw: Tensor, batch: Batch, readout: Readout) -> Iterator[tuple[Hypothesis, Tensor]]:
    outcome, loss = batch.outcome, readout.loss
    for name, cause, expected in (
        (
            "negative",
            "the value loss has the wrong sign: training makes it larger",
            -loss(raw, outcome),
        ),
        (
            "inverted target",
            "the value loss is taken against 1 - outcome (inverted labels): the network learns "
            "the loser",
            loss(raw, 1.0 - outcome),
        ),
        (
            "inverted output",
            "the raw output changes its sign before the loss, and not where it is reported",
            loss(-raw, outcome),
        ),
        (
            "other perspective",
            "the value loss is taken against red_won instead of the outcome as shown: labels are "
            "of one colour, outputs of the side that is shown (perspective)",
            loss(raw, batch.red_won),
        ),
    ):
        yield Hypothesis(name, cause, ONE_FORMULA), expected


def _of_outputs(raw: Tensor, batch: Batch, readout: Readout) -> Iterator[tuple[Hypothesis, Tensor]]:
    outcome, loss = batch.outcome, readout.loss
    for name, cause, expected in (
        (
            "own answer",
            "the value loss compares every output with the network's own answer, not with the "
            "outcome: it teaches nothing",
            loss(raw, readout.win_prob(raw).clamp(0.0, 1.0)),
        ),
        (
            "sigmoid twice",
            "a sigmoid is applied before the loss, which applies one itself",
            loss(raw.sigmoid(), outcome),
        ),
        (
            "tanh before",
            "a tanh is applied before the loss, and not where it is reported",
            loss(raw.tanh(), outcome),
        ),
        (
            "raw squared error",
            "the loss compares the raw output with 0 and 1, and a sigmoid is applied afterwards: "
            "a perfect network is reported as 0.50 and 0.73",
            (raw - outcome).square(),
        ),
        (
            "raw squared error of -1 and 1",
            "the loss compares the raw output with -1 and 1, and a sigmoid is applied afterwards",
            (raw - (2.0 * outcome - 1.0)).square(),
        ),
        (
            "clamped",
            "the raw output is clamped to [-1, 1] before the loss: beyond that no gradient is left",
            loss(raw.clamp(-1.0, 1.0), outcome),
        ),
        (
            "rounded",
            "the raw output is rounded before the loss: no gradient passes",
            loss(raw.round(), outcome),
        ),
        (
            "centred",
            "the mean over the batch is taken from the outputs before the loss",
            loss(raw - raw.mean(), outcome),
        ),
    ):
        yield Hypothesis(name, cause, ONE_FORMULA), expected


def _of_rows(raw: Tensor, batch: Batch, readout: Readout) -> Iterator[tuple[Hypothesis, Tensor]]:
    outcome, loss = batch.outcome, readout.loss
    right = loss(raw, outcome)
    every = loss(raw[:, None].expand(-1, len(raw)), outcome.expand(len(raw), -1))
    for name, cause, expected in (
        ("broadcast", _BROADCAST, every.mean(dim=0)),
        ("broadcast over rows", _BROADCAST, every.mean(dim=1)),
        (
            "mean",
            "the value loss of each position is the mean of all",
            right.mean().expand_as(right),
        ),
        (
            "mean label",
            "every position is compared with the mean label",
            loss(raw, outcome.mean().expand_as(outcome)),
        ),
        (
            "mean output",
            "the mean output of the batch is compared with every label",
            loss(raw.mean().expand_as(raw), outcome),
        ),
    ):
        yield Hypothesis(name, cause, ONE_FORMULA), expected
    for shift in (1, -1):
        cause = "outputs are compared with the labels of the neighbouring rows of the batch"
        yield Hypothesis("rolled", cause, SAME_LABELS), loss(raw, outcome.roll(shift))
    cause = "outputs are compared with the labels in the opposite order"
    yield Hypothesis("reversed", cause, SAME_LABELS), loss(raw, outcome.flip(0))
    cause = "outputs are compared with the labels in ascending order"
    yield Hypothesis("sorted", cause, SAME_LABELS), loss(raw, outcome.sort().values)


def _scaled(found: Tensor, right: Tensor, batch: Batch) -> Hypothesis | None:
    factor = float((found * right).sum() / (right * right).sum().clamp(min=1e-12))
    if close(found, factor * right):
        return Hypothesis(
            "scaled",
            f"the value loss is multiplied by {factor:.4g} (a batch holds {len(batch)} positions)",
            "the weight of the value loss is trial.value_weight; take out the other factor",
        )
    residual = found - right
    if float(residual.std()) < 1e-4 * max(float(right.std()), 1e-6):
        return Hypothesis(
            "offset",
            f"{float(residual.mean()):.4g} is added to the value loss of every position",
            ONE_FORMULA,
        )
    return None


def _masked(found: Tensor, right: Tensor, batch: Batch) -> Hypothesis | None:
    """Positions whose loss is 0; the others may be larger by one factor for that."""
    zero = (found.abs() < 1e-9) & (right.abs() > 1e-6)
    kept = ~zero
    if not zero.any() or not kept.any():
        return None
    factor = float((found * right)[kept].sum() / right[kept].square().sum().clamp(min=1e-12))
    if not close(found[kept], factor * right[kept]):
        return None
    told = "" if abs(factor - 1.0) < 1e-3 else f", and the others count {factor:.3g} times"
    return Hypothesis(
        "masked",
        f"the value loss of {float(zero.float().mean()):.0%} of the positions is masked to 0, "
        f"{where(zero.numpy(), subsets_of(batch))}{told}: only a part of the batch counts",
        "let every position count in the value loss",
    )
