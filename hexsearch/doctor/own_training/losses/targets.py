"""What a loss wanted, worked out from the gradients that it sent back to the outputs.

A loss pulls a raw value towards its target, and the logit of the wanted move upwards. So the sign
of the gradient at the value says which label a row had, and the smallest gradient at the policy
which move, whatever the formula of the loss is.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.catalogue import Catalogue
from hexsearch.doctor.own_training.outputs import Output

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_SURE = 8.0  # logit of an outcome that is taken for certain
_NEGLIGIBLE = 1e-6  # of the largest gradient: a row that the loss leaves alone
_CLEAR = 0.2  # correlation of raw values with what is reported that tells a direction
_EXACT = 1e-3  # largest residual of a formula that fits, relative to the gradients
_ALIKE = 0.05  # difference of two pulls, as a share of them, that are one
_FIRST_ROWS, _MASKED = 512, -1000.0  # rows that a formula is fitted to; logits of illegal moves
_NORMALISED = 0.1  # distance of a sum from 1 that no rounding to half precision makes
_READ = 0.01  # largest difference of one and the same chance


def wanted_red(
    value: Output, to_move: Ints, foreign: ForeignNetwork, catalogue: Catalogue
) -> tuple[Floats, NDArray[np.bool_]]:
    """[R] 1 where the loss pulls the reported chance of Red upwards, and where that is known.

    Args:
        to_move: [R] side to move on the boards that are shown.
        catalogue: positions at inference, from which it is known what a raw value is reported as.
    """
    assert value.gradient is not None
    gradient = value.gradient.double()
    sides = {side: directions(value.tensor.shape[1], side, foreign, catalogue) for side in (-1, 1)}
    largest = gradient.abs().amax(dim=1)
    known = (largest > _NEGLIGIBLE * float(largest.max())).numpy()
    wanted = np.zeros(len(to_move), dtype=np.float32)
    for side, direction in sides.items():
        rows = np.flatnonzero(to_move == side)
        if direction is None or not direction.abs().max() > 0:
            known[rows] = False
            continue
        pulled = (-gradient[rows] @ direction.double()).numpy()
        wanted[rows] = pulled > 0
        known[rows] &= np.abs(pulled) > 1e-9 * float(largest.max())
    return wanted, known


def directions(
    count: int, side: int, foreign: ForeignNetwork, catalogue: Catalogue
) -> Tensor | None:
    """[K] how each number of the value moves the reported chance of Red; None if not known."""
    if count > 1 and catalogue.width != count:  # classes that the model makes one number of
        return _of_classes(count, side, catalogue)
    if count > 1:
        chances = foreign.answered(_SURE * torch.eye(count), torch.full((count,), side))
        return chances.float() - 0.5
    rows = np.flatnonzero(catalogue.to_move == side)
    if catalogue.raw is None or catalogue.raw.shape[1] != 1 or len(rows) < 8:
        return None
    raw, said = catalogue.raw[rows, 0].double(), catalogue.reported[rows].double()
    if float(raw.std()) > 0 and float(said.std()) > 0:
        order = (
            torch.argsort(torch.argsort(raw)).double(),
            torch.argsort(torch.argsort(said)).double(),
        )
        together = float(torch.corrcoef(torch.stack(order))[0, 1])
        if abs(together) > _CLEAR:
            return torch.tensor([1.0 if together > 0 else -1.0])
    ends = foreign.answered(torch.tensor([-1.0, 1.0]), torch.full((2,), side))
    return torch.sign(ends[1:] - ends[:1])


def _of_classes(count: int, side: int, catalogue: Catalogue) -> Tensor | None:
    """[K] how the classes inside a model go together with the reported chance of Red."""
    rows = np.flatnonzero(catalogue.to_move == side)
    if catalogue.raw is None or catalogue.raw.shape[1] != count or len(rows) < 8:
        return None
    columns = torch.column_stack([catalogue.raw[rows].softmax(dim=1), catalogue.reported[rows]])
    together = torch.corrcoef(columns.double().T)[-1, :-1].nan_to_num(0.0)
    return torch.where(together.abs() > _CLEAR, together, 0.0)


def wanted_moves(policy: Output, cells: int) -> tuple[Ints, NDArray[np.bool_]]:
    """[R] the cell whose logit the loss pulls upwards most, and whether it pulls at all."""
    assert policy.gradient is not None
    gradient = policy.gradient[:, :cells]
    least = gradient.min(dim=1)
    size = gradient.abs().amax(dim=1)
    known = (size > _NEGLIGIBLE * float(size.max())) & (least.values < 0)
    return least.indices.numpy().astype(np.int64), known.numpy()


def pulled_together(raw: Tensor, gradient: Tensor) -> bool:
    """Whether the pull on each row of a batch depends on its raw value alone, and rises with it.

    With labels of both kinds, rows of equal raw values are pulled both ways.
    """
    order = torch.argsort(raw)
    rises = gradient[order].double().diff()
    spread = float(gradient.max() - gradient.min())
    return spread > 0 and float(rises.min()) > -_EXACT * spread


def pulled_alike(gradient: Tensor, won: NDArray[np.bool_]) -> bool:
    """Whether the rows of a batch are pulled one way, those of both results equally."""
    if bool((gradient > 0).any()) and bool((gradient < 0).any()):
        return False
    lost, gained = (float(gradient[torch.from_numpy(each)].double().mean()) for each in (~won, won))
    return abs(gained - lost) < _ALIKE * max(abs(gained), abs(lost))


def read_as(raw: Tensor, said: Tensor) -> str:
    """In words, the usual function by which raw values are reported; empty if it is none."""
    forms = {
        "sigmoid(raw)": torch.sigmoid(raw),
        "(tanh(raw) + 1) / 2": (torch.tanh(raw) + 1) / 2,
        "the raw value": raw.clamp(0, 1),
        "(raw + 1) / 2": ((raw + 1) / 2).clamp(0, 1),
    }
    for name, chance in forms.items():
        for words, each in ((name, chance), (f"1 - {name}", 1 - chance)):
            if float((each - said.clamp(0, 1)).abs().max()) < _READ:
                return words
    inside = (raw.abs() > 0.1) & (said > 1e-4) & (said < 1 - 1e-4)
    factors = torch.logit(said[inside].double()) / raw[inside].double()
    if len(factors) > 2 and float(factors.std()) < 0.01 * abs(float(factors.mean())):
        factor = float(factors.mean())
        return f"sigmoid({factor:.3g} * raw), a temperature of {1 / factor:.3g}"
    return ""


def policy_scale(policy: Output, cell: Ints, known: NDArray[np.bool_]) -> float:
    """Factor before the cross-entropy of a position; 0 if the gradients are of another loss."""
    assert policy.gradient is not None
    rows = np.flatnonzero(known)
    if not len(rows):
        return 0.0
    chances = policy.tensor[rows].double().softmax(dim=1)
    wanted = chances - torch.nn.functional.one_hot(torch.from_numpy(cell[rows]), chances.shape[1])
    gradient = policy.gradient[rows].double()
    scale = float((wanted * gradient).sum() / wanted.square().sum())
    rest = float((gradient - scale * wanted).norm() / gradient.norm().clamp(min=1e-30))
    return scale if rest < 0.05 else 0.0


def spread_evenly(policy: Output, cell: Ints, known: NDArray[np.bool_]) -> float:
    """Share of each target that a cross-entropy spreads over all cells; 0 if that is not known.

    Beside the target, the gradient is factor * (chance - share / cells).
    """
    assert policy.gradient is not None
    rows = np.flatnonzero(known)[:_FIRST_ROWS]
    logits, gradient = policy.tensor[rows].double(), policy.gradient[rows].double()
    if not len(rows) or float(logits.min()) < _MASKED:
        return 0.0
    others = torch.ones_like(logits, dtype=torch.bool)
    others[torch.arange(len(rows)), torch.from_numpy(cell[rows])] = False
    columns = torch.stack([logits.softmax(1)[others], torch.ones(int(others.sum()))], dim=1)
    pulls = gradient[others][:, None]
    solved = torch.linalg.lstsq(columns, pulls, driver="gelsd").solution
    rest = float((columns @ solved - pulls).abs().max()) / float(gradient.abs().max())
    factor, level = float(solved[0]), float(solved[1])
    share = -level / factor * logits.shape[1] if factor > 0 else 0.0
    return share if rest < _EXACT and 0 < share < 1 else 0.0


def without_softmax(policy: Output) -> bool:
    """Whether a loss raises one number of each row, however large it is, and lowers no other."""
    assert policy.gradient is not None
    rows = policy.gradient[policy.gradient.abs().amax(dim=1) > 0]
    alone = (rows != 0).sum(dim=1) == 1
    if not len(rows) or not bool((alone & (rows.amin(dim=1) < 0)).all()):
        return False
    normalised = torch.stack([policy.tensor.exp().sum(dim=1), policy.tensor.sum(dim=1)]) - 1
    return bool((normalised.abs().amax(dim=1) > _NORMALISED).all())


def over_the_batch(policy: Output, batch: Ints) -> bool:
    """Whether the probabilities of each cell, not of each row, sum to 1 in each whole batch."""
    sums = [
        policy.tensor[torch.from_numpy(batch == each)].exp().sum(dim=0) - 1
        for each in np.unique(batch)
    ]
    return len(sums) > 0 and bool((torch.stack(sums).abs().amax(dim=1) < _NORMALISED).all())


def of_probabilities(policy: Output, cell: Ints, known: NDArray[np.bool_]) -> bool:
    """Whether the gradients are those of the squared error of a softmax and the move."""
    assert policy.gradient is not None
    rows = np.flatnonzero(known)[:_FIRST_ROWS]
    if not len(rows):
        return False
    chances = policy.tensor[rows].double().softmax(dim=1)
    gap = chances - torch.nn.functional.one_hot(torch.from_numpy(cell[rows]), chances.shape[1])
    slope = chances * (gap - (chances * gap).sum(dim=1, keepdim=True))
    gradient = policy.gradient[rows].double()

    def rest(column: Tensor) -> float:
        factor = float((column * gradient).sum() / column.square().sum())
        size = float(gradient.norm().clamp(min=1e-30))
        return float((gradient - factor * column).norm()) / size if factor > 0 else 1.0

    # Where all logits are alike, the gradients of a cross-entropy are the same.
    return rest(slope) < _EXACT < rest(gap)
