"""Which logits a policy loss depends on, measured by its gradient, and which it should.

The gradient of a mean of -log p at a logit is the probability of its cell, less 1 for the cell that
was played. Where the measured one is exactly 0, the loss does not see that logit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.general.regions import Columns, region
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.model.network import NetworkOutput

_ROWS = 64
_NOTHING = 1e-12  # a gradient that is exactly 0, up to underflow
_RIGHT = (
    "compute the policy loss by a softmax over all cells of the same position, from logits that "
    "nothing has changed"
)


def explain_by_slopes(trial: WatchedTrial, batch: Batch) -> Hypothesis | None:
    """Which logits the policy loss does not depend on, though it should; None if on all."""
    rows = batch.has_move.nonzero().flatten()[:_ROWS]
    if len(rows) < _ROWS // 4:
        return None
    some = batch.rows(rows)
    slopes = logit_slopes(trial, some)
    if slopes is None:
        return None
    unseen = (slopes.abs() < _NOTHING).numpy()
    if not unseen.any() or unseen.all():
        return None
    place = region(unseen.reshape(-1), cell_columns(some, unseen.shape[1]))
    if not place.startswith("exactly"):
        return None
    return Hypothesis(
        "slopes",
        "the policy loss does not depend on all logits: its gradient is exactly 0 "
        f"{place.removeprefix('exactly ')}, so these logits are masked or overwritten before the "
        "loss",
        _RIGHT,
    )


def logit_slopes(trial: WatchedTrial, batch: Batch) -> Tensor | None:
    """[B, N*N] gradient of the trial's policy loss at its logits; None if there is none.

    If the network is called several times for one loss, the gradients of the calls are added.
    """
    outputs: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: NetworkOutput) -> None:
        outputs.append(output.policy_logits)

    handle = trial.network.register_forward_hook(look)
    try:
        with torch.enable_grad(), in_eval_mode(trial.network.modules()):
            loss = trial.losses(batch).policy
    finally:
        handle.remove()
    usable = [each for each in outputs if each.requires_grad and len(each) == len(batch)]
    if not usable or not loss.requires_grad:
        return None
    gradients = torch.autograd.grad(loss, usable, allow_unused=True)
    known = [each for each in gradients if each is not None]
    return torch.stack(known).sum(dim=0).float() if known else None


def cell_columns(batch: Batch, cells: int) -> Columns:
    """[B * N*N] what is known of each cell of each position, by its words."""
    size = round(cells**0.5)
    margin = (batch.planes.shape[-1] - size) // 2
    board = batch.planes[:, :2, margin : margin + size, margin : margin + size]
    stones = (board.flatten(2) > 0.5).numpy()
    count = len(batch)
    cell = np.tile(np.arange(cells), count)
    played = np.repeat(batch.policy_target.numpy(), cells) == cell
    taken = stones.any(axis=1).reshape(-1)
    return {
        "where the cell is occupied": taken,
        "where the cell is free": ~taken,
        "where the cell holds a stone of plane 0": stones[:, 0].reshape(-1),
        "where the cell holds a stone of plane 1": stones[:, 1].reshape(-1),
        "where the cell is the one that was played": played,
        "where the cell is not the one that was played": ~played,
        "row": cell // size,
        "column": cell % size,
        "number of the cell": cell,
        "number of the position": np.repeat(np.arange(count), cells),
        "number of stones": np.repeat(stones.sum(axis=(1, 2)), cells),
    }
