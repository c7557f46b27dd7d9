"""Factors before the losses of a user: of each move, and of both losses batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hexsearch.doctor.own_training.losses.formulas import EXACT, ValueLoss, forms, value_losses
from hexsearch.doctor.own_training.outputs import Output
from hexsearch.doctor.own_training.watched import OwnTraining

Floats = NDArray[np.float64]
_BATCHES = 6  # batches that are needed
_CLOSE = 0.02  # the same of factors that a formula gives
_NEGLIGIBLE = 1e-6  # of the largest gradient: a row that the loss leaves alone
_MOST, _FEW = 1024, 40  # rows that are looked at, and those that are needed
_ALMOST = 5e-3  # what a sum leaves of gradients that it gives
_SPREAD = 0.05  # relative standard deviation of factors that differ
_POWERS = [0.05 * n for n in range(2, 101)]


@dataclass(frozen=True)
class BatchFactors:
    """A loss of K batches in a row, and the factor that stands before each.

    Attributes:
        factor: [K] what the gradients are times those of the loss of a position.
        loss: [K] mean loss of the positions of a batch, without the factor.
    """

    factor: Floats
    loss: Floats


def of_value(own: OwnTraining) -> BatchFactors | None:
    """Those of the value loss, if one usual formula with usual targets fits every batch."""
    rows = own.rows
    if rows is None or rows.value is None or rows.value.gradient is None:
        return None
    if rows.value.tensor.shape[1] != 1:
        return None
    raw, gradient = rows.value.tensor[:, 0], rows.value.gradient[:, 0]
    batches = [torch.from_numpy(at) for at in _batches(own)]
    found = value_losses([raw[at] for at in batches], [gradient[at] for at in batches])
    if found is None or len(found) < _BATCHES:
        return None
    losses = [_mean_loss(raw[at], each) for at, each in zip(batches, found, strict=True)]
    return BatchFactors(np.array([each.scale for each in found]), np.array(losses))


def of_policy(own: OwnTraining) -> BatchFactors | None:
    """Those of the policy loss, if it is a cross-entropy with one factor in every batch."""
    rows = own.rows
    if rows is None or rows.policy is None or rows.policy.gradient is None:
        return None
    factors, losses = [], []
    for at in map(torch.from_numpy, _batches(own)):
        policy = Output("", rows.policy.tensor[at], 0, rows.policy.gradient[at])
        known = factors_of_moves(policy, rows.size**2)
        if known is None or float(known[0].std()) > EXACT * abs(float(known[0].mean())):
            return None
        factors.append(float(known[0].mean()))
        losses.append(-float(known[1].log().mean()))
    return BatchFactors(np.array(factors), np.array(losses)) if len(factors) >= _BATCHES else None


def _batches(own: OwnTraining) -> list[NDArray[np.int64]]:
    """The rows of each batch of the usual size."""
    assert own.rows is not None
    of_each = own.rows.batch[own.usual]
    return [own.usual[of_each == number] for number in np.unique(of_each)]


def _mean_loss(raw: Tensor, loss: ValueLoss) -> float:
    lost, won = loss.targets
    target = torch.where(torch.from_numpy(loss.high), won, lost).double()
    value = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.get(loss.chance, lambda r: r)(raw)
    if "cross-entropy" in loss.name:
        return float(functional.binary_cross_entropy(value.double(), target))
    return float((value.double() - target).square().mean())


def factor_of_chance(policy: Output, cells: int) -> str:
    """In words, the function of the move's chance p that multiplies its loss; "" if none does.

    Args:
        policy: outputs [R, cells] or more, of batches of one size.
        cells: of the board.
    """
    known = factors_of_moves(policy, cells)
    if known is None:
        return ""
    factor, chance = known
    if float(factor.std()) < _SPREAD * abs(float(factor.mean())):
        return ""
    if _gap(factor, chance) < _CLOSE:
        return "p"
    log = chance.log()
    found = [(_gap(factor, chance**g * (1 + g * log)), g) for g in _POWERS]
    gap, power = min(found)
    return f"-p ** {power:.2g} * log(p)" if gap < _CLOSE else ""


def factors_of_moves(policy: Output, cells: int) -> tuple[Tensor, Tensor] | None:
    """[R] factors before the gradient of -log p in each row, and p; None if rows have no such."""
    assert policy.gradient is not None
    size = policy.gradient.abs().amax(dim=1)
    rows = torch.nonzero(size > _NEGLIGIBLE * size.max())[:_MOST, 0]
    if len(rows) < _FEW:
        return None
    gradient, logits = policy.gradient[rows].double(), policy.tensor[rows].double()
    cell = gradient[:, :cells].abs().argmax(dim=1)
    chances = logits.softmax(dim=1)
    gap = chances - functional.one_hot(cell, chances.shape[1])
    factor = (gap * gradient).sum(dim=1) / gap.square().sum(dim=1)
    rest = (gradient - factor[:, None] * gap).norm(dim=1) / gradient.norm(dim=1)
    if float(rest.quantile(0.95)) > EXACT:
        return None
    return factor, chances[torch.arange(len(rows)), cell]


def _gap(factor: Tensor, formula: Tensor) -> float:
    """How far factors are from a multiple of a formula, relative to them."""
    scale = float((factor * formula).sum() / formula.square().sum())
    if scale <= 0:
        return 1.0
    return float((factor - scale * formula).norm() / factor.norm())


def has_policy_gradient(own: OwnTraining) -> bool:
    """Whether values get the gradient of weights that multiply the policy loss of their rows.

    These weights are functions of the value, such as an advantage that is not detached. Then the
    gradient at a value is that of a usual loss and a multiple of weight times loss of the move.
    """
    rows = own.rows
    if rows is None or rows.value is None or rows.policy is None or own.formula is not None:
        return False
    if rows.value.gradient is None or rows.policy.gradient is None:
        return False
    known = rows.found & rows.single
    known[~np.isin(np.arange(len(known)), own.usual)] = False
    at = torch.from_numpy(known)
    if rows.value.tensor.shape[1] != 1 or known.sum() < _FEW:
        return False
    policy = Output("", rows.policy.tensor[at], 0, rows.policy.gradient[at])
    gradient = policy.gradient[:_MOST].double()  # type: ignore[index]
    logits = policy.tensor[:_MOST].double()
    cell = gradient.abs().argmax(dim=1)
    gap = logits.softmax(dim=1) - functional.one_hot(cell, logits.shape[1])
    factor = (gap * gradient).sum(dim=1) / gap.square().sum(dim=1)
    rest = (gradient - factor[:, None] * gap).norm(dim=1)
    if float((rest / gradient.norm(dim=1).clamp(min=1e-30)).quantile(0.9)) > EXACT:
        return False
    if float(factor.std()) < _SPREAD * abs(float(factor.mean())):
        return False
    weighted = factor * -logits.log_softmax(dim=1).gather(1, cell[:, None])[:, 0]
    raw = rows.value.tensor[at, 0][:_MOST].double()
    sent = rows.value.gradient[at, 0][:_MOST].double()
    truth = rows.truth(known, own.catalogues[0])
    red = torch.from_numpy(truth.outcome(rows.symmetry[known], "board"))[:_MOST]
    mover = red ^ torch.from_numpy(rows.to_move(known) == -1)[:_MOST]
    for result in (red.double(), mover.double()):
        for _, _, level, slope in forms(raw):
            plain = [level * slope, slope, result * slope]
            if _left(plain, sent) > _CLOSE and _left([*plain, weighted], sent) < _ALMOST:
                return True
    return False


def _left(columns: list[Tensor], wanted: Tensor) -> float:
    """What the best sum of some columns leaves of a vector, as a share of it."""
    matrix = torch.stack(columns, dim=1)
    solved = torch.linalg.lstsq(matrix, wanted[:, None], driver="gelsd").solution
    return float((matrix @ solved - wanted[:, None]).norm() / wanted.norm().clamp(min=1e-30))
