"""Targets that are not two numbers: discounted results, and labels that are not certain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.own_training.losses.formulas import EXACT, forms

Flags = NDArray[np.bool_]
_FEW, _SIDE = 40, 5  # rows that are needed, and on each side of a turning point
_FACTORS = 1 - np.geomspace(0.001, 0.5, 61)  # discounts for one ply that are tried
_FINER = 12  # halvings of the step between them
_ON_TARGET, _NEARLY_ALL = 0.02, 0.98  # distance from a target, and the share of rows on one
_DRAWS = 0.02  # share of rows with the target of a draw
_FAR = 1.5  # no target of a result of -1, 0 or 1 is so far from 0
_FOR_EACH = "for each ply to the end of the game"
FROM_START = "for each ply from the beginning of the game"
_APART = 0.02  # of rows that may be on the wrong side of a turning point


@dataclass(frozen=True)
class Fading:
    """Targets that depend on the moves to the end.

    Attributes:
        loss: the formula of the loss in words.
        owner: whose result it is; empty if the targets do not depend on it.
        how: in words, how targets change in the course of a game.
    """

    loss: str
    owner: str
    how: str


def fading(
    raw: Tensor, gradient: Tensor, won: Mapping[str, Flags], left: Tensor, ply: Tensor
) -> Fading | None:
    """Whether a usual loss with targets that change in the course of a game gives the gradients.

    Args:
        raw, gradient: [R] raw values and the gradients at them.
        won: [R] whether the owner of the value wins, by the owner's name.
        left, ply: [R] plies to the end of the game, and from its beginning.
    """
    size = float(gradient.abs().max())
    if len(raw) < _FEW or not size > 0 or not bool(torch.isfinite(raw).all()):
        return None
    r, g, left, ply = raw.double(), gradient.double() / size, left.double(), ply.double()
    linear = {
        "in proportion to the plies to the end of the game": left,
        "in proportion to the share of the game that is over": ply / (ply + left),
        "in proportion to the number of the ply": ply,
    }
    for owner, flags in won.items():
        result = torch.from_numpy(np.where(flags, 1.0, -1.0))
        for name, _, level, slope in forms(r):
            plain = [level * slope, slope, result * slope]
            fits = _Fits(plain, slope, result, g)
            for how, column in linear.items():
                if fits(column) < EXACT:
                    return Fading(name, owner if fits.tells_result(column) else "", how)
            factor = _factor(fits, left)
            if factor is not None:
                return Fading(name, owner, f"by a factor of {factor:g} {_FOR_EACH}")
            factor = _factor(fits, ply)
            if factor is not None:
                return Fading(name, owner, f"by a factor of {factor:g} {FROM_START}")
    return None


def with_draws(raw: Tensor, gradient: Tensor, won: Mapping[str, Flags]) -> Flags | None:
    """[R] which rows have the target of a draw, if all others have that of a win or a loss.

    None if the gradients are not those of a usual loss with three targets.

    Args:
        raw, gradient: [R] raw values and the gradients at them.
        won: [R] whether the owner of the value wins, by the owner's name.
    """
    r, g = raw.double(), gradient.double()
    size = float(g.abs().max())
    if len(raw) < _FEW or not size > 0 or not bool(torch.isfinite(r).all()):
        return None
    for flags in won.values():
        for _, chance, level, slope in forms(r):
            for low in (0.0,) if chance == "sigmoid" else (-1.0, 0.0):
                ends = torch.from_numpy(np.where(flags, 1.0, low))
                # The factor is that of rows with a certain target, which most have.
                factors = (g / (level - ends) / slope).nan_to_num(0.0, 0.0, 0.0)
                factor = _commonest(factors)
                if not factor > 0:
                    continue
                targets = level - g / (factor * slope)
                gaps = [(targets - each).abs() for each in (low, (low + 1) / 2, 1.0)]
                near = torch.stack(gaps).amin(dim=0) < _ON_TARGET
                draws = gaps[1] < _ON_TARGET
                share = float(draws.float().mean())
                if float(near.float().mean()) > _NEARLY_ALL and _DRAWS < share < 1 - _DRAWS:
                    return draws.numpy()
    return None


def _commonest(numbers: Tensor) -> float:
    """The number that most of some others are near, in a window of a thousandth of it."""
    order = numbers[numbers > 0].sort().values
    if not len(order):
        return 0.0
    within = torch.searchsorted(order, order * (1 + EXACT)) - torch.arange(len(order))
    return float(order[int(within.argmax())]) * (1 + EXACT / 4)


@dataclass(frozen=True)
class _Fits:
    """Largest residual of a formula with targets that contain a column."""

    plain: list[Tensor]
    slope: Tensor
    result: Tensor
    gradient: Tensor

    def _solved(self, column: Tensor) -> tuple[Tensor, Tensor]:
        columns = [*self.plain, column * self.slope, column * self.result * self.slope]
        matrix = torch.stack(columns, dim=1)
        return matrix, torch.linalg.lstsq(matrix, self.gradient[:, None], driver="gelsd").solution

    def tells_result(self, column: Tensor) -> bool:
        """Whether the targets depend on the result, if they contain a column."""
        solved = self._solved(column)[1][:, 0]
        of_result = solved[2] + solved[4] * column
        return float(of_result.abs().max()) > _ON_TARGET * float(solved[0])

    def __call__(self, column: Tensor) -> float:
        matrix, solved = self._solved(column)
        rest = float((matrix @ solved - self.gradient[:, None]).abs().max())
        level, targets = float(solved[0, 0]), (matrix[:, 1:] @ solved[1:])[:, 0].abs()
        # Without a level, or with targets far beyond the results, it is another formula.
        is_other = level <= 0 or bool((targets > _FAR * level * self.slope + EXACT).any())
        return math.inf if is_other else rest


def _factor(fits: _Fits, left: Tensor) -> float | None:
    """The discount for each ply with which the formula is exact; None if there is none."""
    tried = [(fits(factor**left), float(factor)) for factor in _FACTORS]
    rest, best = min(tried)
    step = float(np.abs(np.diff(_FACTORS)).max())
    for _ in range(_FINER):
        step /= 2
        around = [each for each in (best - step, best + step) if 0 < each < 1]
        rest, best = min([(rest, best), *((fits(each**left), each) for each in around)])
    return round(best, 3) if rest < EXACT else None


def turning_point(raw: Tensor, pulled_up: Flags) -> float | None:
    """The raw value that rows of one label are drawn to; None if they are not drawn to one.

    Rows below it are pulled up, and rows above it down, as no label at the end of the range does.
    """
    if min(pulled_up.sum(), (~pulled_up).sum()) < _SIDE:
        return None
    order = torch.argsort(raw).numpy()
    up = pulled_up[order]
    # Rows on the wrong side, for each place of the turning point.
    wrong = np.concatenate([[0], np.cumsum(~up)]) + np.concatenate([[0], np.cumsum(up[::-1])])[::-1]
    place = int(wrong.argmin())
    if wrong[place] > _APART * len(up) or not _SIDE <= place <= len(up) - _SIDE:
        return None
    around = raw[torch.from_numpy(order[place - 1 : place + 1])]
    return float(around.mean())


def groups(labels: Flags) -> Iterator[tuple[bool, Flags]]:
    """Rows of each label, if there are enough."""
    for value in (False, True):
        if (labels == value).sum() >= _FEW:
            yield value, labels == value
