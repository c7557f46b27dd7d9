"""Fits the policy loss of single positions by numbers of their logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.loss_formulas import subsets_of
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.watching import WatchedTrial

_ROWS = 64
_EXACT = 0.01  # largest residual of a sum, in standard deviations of the losses
_RIGHT = (
    "compute the policy loss of a position as the log-sum-exp of all logits minus the logit of the "
    "move that was played"
)


def explain_rows(trial: WatchedTrial, batch: Batch) -> Hypothesis | None:
    """What the loss of each position is, and for which positions it is wrong.

    Args:
        batch: a training batch; its positions are given to the trial's own losses one by one.
    """
    rows = batch.has_move.nonzero().flatten()[:_ROWS]
    if len(rows) < _ROWS // 4:
        return None
    some = batch.rows(rows)
    with torch.no_grad(), in_eval_mode(trial.network.modules()):
        found = torch.stack([trial.losses(some.piece(row, 1)).policy for row in range(len(rows))])
        output = trial.network(trial.execution.show(some.planes))
    logits, found = output.policy_logits.double(), found.double().flatten()
    terms = _terms(logits, some)
    right = terms["the log-sum-exp of all logits"] - terms["the logit of the played move"]
    wrong = ((found - right).abs() > 1e-3 * right.abs().clamp(min=1.0)).numpy()
    if not wrong.any():
        return None
    place = region(wrong, subsets_of(some))
    index = torch.from_numpy(wrong) if place.startswith("exactly") else torch.ones(len(rows)) > 0
    fit = short_sum(found[index].numpy(), {n: t[index].numpy() for n, t in terms.items()})
    if fit.left > _EXACT or not fit.terms:
        return None
    return Hypothesis(
        "rows",
        f"the policy loss of a position is {fit}"
        + (f", {place}" if place else "")
        + "; it should be the log-sum-exp of all logits minus the logit of the played move",
        _RIGHT,
    )


def _terms(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    target = batch.policy_target[:, None]
    size = round(logits.shape[1] ** 0.5)
    margin = (batch.planes.shape[-1] - size) // 2
    board = batch.planes[:, :2, margin : margin + size, margin : margin + size]
    taken = board.sum(dim=1).flatten(1) > 0.5
    played = torch.zeros_like(taken).scatter(1, target, value=True)
    log_p = logits.log_softmax(dim=1)

    def over(hidden: Tensor) -> Tensor:
        return logits.masked_fill(hidden, -np.inf).logsumexp(dim=1)

    others = "the log-sum-exp of the other cells' logits (the played move is masked)"
    return {
        others: over(played),
        "the logit of the played move": logits.gather(1, target)[:, 0],
        "the log-sum-exp of all logits": logits.logsumexp(dim=1),
        "the log-sum-exp of the logits of free cells": over(taken),
        "the log-sum-exp of all logits with those of occupied cells set to 0": logits.masked_fill(
            taken, 0.0
        ).logsumexp(dim=1),
        "1": torch.ones(len(logits), dtype=logits.dtype),
        "the probability of the played move": log_p.gather(1, target)[:, 0].exp(),
        "the entropy of the policy": -(log_p.exp() * log_p).sum(dim=1),
        "the largest logit": logits.amax(dim=1),
        "the mean logit": logits.mean(dim=1),
        "the mean squared logit": logits.square().mean(dim=1),
        "the number of stones": taken.sum(dim=1).to(logits.dtype),
    }
