"""Why a returned value loss is not the read-out's: explanations, each computed from the outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batches import Batch
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.model.readout import Readout

_ONE_FORMULA = "let the trial's value loss be readout.loss(raw, outcome) for each position"


def explain_value_loss(
    found: Tensor, raw: Tensor, batch: Batch, readout: Readout
) -> Hypothesis | None:
    """The first explanation that gives the same numbers; None if no one does.

    Args:
        found: [B] the value loss as the trial returned it.
    """
    for hypothesis, expected in _candidates(raw, batch, readout):
        if expected.shape == found.shape and torch.allclose(found, expected, 1e-3, 1e-5):
            return hypothesis
    right = readout.loss(raw, batch.outcome)
    factor = float((found * right).sum() / (right * right).sum().clamp(min=1e-12))
    if torch.allclose(found, factor * right, 1e-3, 1e-5):
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
            _ONE_FORMULA,
        )
    zero = found == 0
    if zero.any() and torch.allclose(found[~zero], right[~zero], 1e-3, 1e-5):
        return Hypothesis(
            "masked",
            f"the value loss of {float(zero.float().mean()):.0%} of the positions is masked to 0",
            "let every position count in the value loss",
        )
    return _weighted(found, right, batch)


def _weighted(found: Tensor, right: Tensor, batch: Batch) -> Hypothesis | None:
    """A factor that is the same wherever some column of the batch is the same."""
    usable = right.abs() > 1e-6
    if usable.sum() < len(found) // 2:
        return None
    factor = (found / right)[usable]
    for name, column in (
        ("the outcome", batch.outcome),
        ("the stage of the game", batch.stage),
        ("the side to move", batch.ply % 2),
        ("the ply", batch.ply),
        ("the moves to the end", batch.to_end),
        ("the length of the game", batch.ply + batch.to_end),
        ("the game", batch.game),
    ):
        _, inverse = np.unique(column[usable].numpy(), return_inverse=True)
        group = torch.from_numpy(inverse)
        size = torch.bincount(group)
        if len(size) < 2 or len(size) > len(group) // 4:
            continue
        mean = torch.bincount(group, factor) / size
        if (factor - mean[group]).abs().max() < 1e-3 * factor.abs().max():
            return Hypothesis(
                "weighted",
                f"positions are weighted unequally in the value loss, by {name}: from "
                f"{float(factor.min()):.3g} to {float(factor.max()):.3g}",
                "let every position count alike; weights belong into curriculum.stage_weights",
            )
    return None


def _candidates(raw: Tensor, batch: Batch, readout: Readout) -> Iterator[tuple[Hypothesis, Tensor]]:
    outcome = batch.outcome
    loss = readout.loss
    right = loss(raw, outcome)
    for name, cause, expected in (
        ("negative", "the value loss has the wrong sign: training makes it larger", -right),
        (
            "inverted target",
            "the value loss is taken against 1 - outcome: the network learns the loser",
            loss(raw, 1.0 - outcome),
        ),
        (
            "inverted output",
            "the raw output changes its sign before the loss, and not where it is reported",
            loss(-raw, outcome),
        ),
        (
            "other perspective",
            "the value loss is taken against red_won instead of the outcome as shown",
            loss(raw, batch.red_won),
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
            "broadcast",
            "every output is compared with every label: [B, 1] against [B] is broadcast to [B, B]",
            loss(raw[:, None].expand(-1, len(raw)), outcome.expand(len(raw), -1)).mean(dim=0),
        ),
        (
            "broadcast over rows",
            "every output is compared with every label: [B, 1] against [B] is broadcast to [B, B]",
            loss(raw[:, None].expand(-1, len(raw)), outcome.expand(len(raw), -1)).mean(dim=1),
        ),
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
    ):
        yield Hypothesis(name, cause, _ONE_FORMULA), expected
    for shift in (1, -1):
        cause = "outputs are compared with the labels of the neighbouring rows of the batch"
        yield Hypothesis("rolled", cause, _ONE_FORMULA), loss(raw, outcome.roll(shift))
    cause = "outputs are compared with the labels in the opposite order"
    yield Hypothesis("reversed", cause, _ONE_FORMULA), loss(raw, outcome.flip(0))
    cause = "outputs are compared with the labels in ascending order"
    yield Hypothesis("sorted", cause, _ONE_FORMULA), loss(raw, outcome.sort().values)


def explain_policy_loss(
    found: float, logits: Tensor, target: Tensor, has_move: Tensor
) -> Hypothesis | None:
    """The same for the mean policy loss of a batch."""
    picked = has_move.nonzero().reshape(-1)
    if not len(picked):
        return None
    chances = logits.float().log_softmax(dim=1)
    each = -chances[torch.arange(len(logits)), target]
    right = float(each[picked].mean())
    size = round(logits.shape[1] ** 0.5)
    transposed = target % size * size + target // size
    rolled = -chances[torch.arange(len(logits)), target.roll(1)]
    over_batch = -logits.float().log_softmax(dim=0)[torch.arange(len(logits)), target]
    reread = logits.float().softmax(dim=1).log_softmax(dim=1)
    twice = -reread[torch.arange(len(logits)), target]
    one = "let the policy loss be the mean of -log p(next move) over positions that have one"
    column = -chances[torch.arange(len(logits)), transposed]
    for cause, expected in (
        ("positions without a next move count in the policy loss", float(each.mean())),
        (
            "the policy loss is divided by the whole batch, not by the positions with a next move",
            float(each[picked].sum()) / len(logits),
        ),
        ("the policy loss is a sum instead of a mean", float(each[picked].sum())),
        ("the policy loss has the wrong sign: training makes it larger", -right),
        ("the policy loss compares with the targets of neighbouring rows", _mean(rolled, picked)),
        (
            "the policy's softmax goes over the batch instead of the cells",
            _mean(over_batch, picked),
        ),
        ("a softmax is applied before the loss, which applies one itself", _mean(twice, picked)),
        ("the policy target is read column-major, the planes by rows", _mean(column, picked)),
        (
            "the policy target is mirrored to the opposite cell",
            _mean(-chances[torch.arange(len(logits)), size * size - 1 - target], picked),
        ),
        ("the policy loss is always 0", 0.0),
    ):
        if abs(found - expected) < 1e-4 * max(abs(expected), 1.0):
            return Hypothesis(cause, cause, one)
    return Hypothesis("scaled", f"the policy loss is {found / right:.4g} times as large", one)


def _mean(each: Tensor, picked: Tensor) -> float:
    return float(each[picked].mean())
