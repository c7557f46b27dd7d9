"""Formulas of value losses that give exactly the gradients that a training sent back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

EXACT = 1e-3  # largest residual of a formula that fits, relative to the gradients
_EDGE = 1e-4  # from 0 and 1, of chances whose logarithms are taken
_ROUNDS = 30  # in which rows are given to targets
_APART, _MIDDLE = 0.05, 0.4  # two targets differ by more; a single one above it is a win
_FAR = 4.0  # no usual target is so far from 0
_NOUGHT, _MULTIPLE = 0.01, 300.0  # a loss, beside a win that was multiplied (100, 255)
_PLAIN = 0.02  # distance of targets from the usual ones
_USUAL_TARGETS = ((0.0, 1.0), (-1.0, 1.0))
# Slopes of losses of a difference that are not squares.
_ROBUST: dict[str, Callable[[Tensor], Tensor]] = {
    "log-cosh error": torch.tanh,
    "Huber error": lambda gap: gap.clamp(-1, 1),
    "absolute error": torch.sign,
}
_FOCUS = (1, 2, 3)  # exponents of focal losses that are tried


@dataclass(frozen=True)
class ValueLoss:
    """A usual formula that gives exactly the gradients that were sent back.

    Attributes:
        name: the loss in words.
        targets: the lower and the higher target.
        scale: factor before the loss of a position; negative if the loss is maximised.
        chance: name of the function from raw values to chances that belongs to it.
        high: [R] whether the target is the higher one.
    """

    name: str
    targets: tuple[float, float]
    scale: float
    chance: str
    high: NDArray[np.bool_]

    @property
    def has_one_target(self) -> bool:
        """Whether all rows have one and the same target."""
        return self.targets[1] - self.targets[0] < _APART

    @property
    def odd(self) -> float:
        """How far the targets are from those that are usual."""
        ends = [(0.0, 1.0)] if self.chance == "sigmoid" else [(-1.0, 1.0), (0.0, 1.0)]
        lost, won = self.targets
        if self.has_one_target:
            return min(abs(lost - end) for pair in ends for end in pair)
        return min(max(abs(lost - low), abs(won - high)) for low, high in ends)


def value_loss(raw: Tensor, gradient: Tensor) -> ValueLoss | None:
    """The formula of the value loss with two targets; None if none of the usual ones fits.

    Args:
        raw: [R] raw values.
        gradient: [R] gradients of the loss.
    """
    r, g = raw.double(), gradient.double()
    size = float(g.abs().max())
    if not size > 0 or not bool(torch.isfinite(r).all() and torch.isfinite(g).all()):
        return None
    found = []
    for name, chance, level, slope in forms(r):
        for sign in (1, -1):
            fitted = _two_targets(level, slope, g / size, sign)
            if fitted is not None:
                lost, won, scale, high = fitted
                found.append(ValueLoss(name, (lost, won), scale * size, chance, high))
    # Near raw values of 0 all formulas are alike, but for their targets.
    return min(found or _robust(r, g / size, size), key=lambda each: each.odd, default=None)


def value_losses(raws: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[ValueLoss] | None:
    """The same formula for each of several batches, with a factor of its own; None if none fits.

    Args:
        raws, gradients: [R] of each batch, as for `value_loss`.
    """
    found: dict[str, list[ValueLoss]] = {}
    for raw, gradient in zip(raws, gradients, strict=True):
        r, g = raw.double(), gradient.double()
        size = float(g.abs().max())
        if not size > 0 or not bool(torch.isfinite(r).all() and torch.isfinite(g).all()):
            return None
        for name, chance, level, slope in forms(r):
            fitted = _two_targets(level, slope, g / size, 1)
            if fitted is not None:
                lost, won, scale, high = fitted
                loss = ValueLoss(name, (lost, won), scale * size, chance, high)
                found.setdefault(name, []).extend([loss] if loss.odd < _PLAIN else [])
    complete = [losses for losses in found.values() if len(losses) == len(raws)]
    return min(complete, key=lambda losses: sum(each.odd for each in losses), default=None)


def forms(r: Tensor) -> list[tuple[str, str, Tensor, Tensor]]:
    """Usual losses: name, name of the chance, and level and slope, which give the gradient.

    The gradient is factor * (level - target) * slope.
    """
    one, s, t = torch.ones_like(r), torch.sigmoid(r), torch.tanh(r)
    forms = [
        ("binary cross-entropy of sigmoid(raw)", "sigmoid", s, one),
        ("squared error of the raw value", "raw", r, one),
        ("squared error of sigmoid(raw)", "sigmoid", s, s * (1 - s)),
        ("squared error of tanh(raw)", "tanh", t, 1 - t * t),
    ]
    if bool(((r > _EDGE) & (r < 1 - _EDGE)).all()):
        name = "binary cross-entropy of the raw value as a chance"
        forms.insert(2, (name, "raw", r, 1 / (r * (1 - r))))
    return forms


def _two_targets(
    level: Tensor, slope: Tensor, gradient: Tensor, sign: int
) -> tuple[float, float, float, NDArray[np.bool_]] | None:
    """Two targets and the factor with which factor * (level - target) * slope is the gradient.

    Rows are given to the targets by the sign of their gradients first, and then to the target that
    fits them better, until nothing changes.
    """
    middle = (gradient.max() + gradient.min()) / 2
    for high in (sign * gradient < 0, sign * gradient < sign * middle):
        found = _fitted(level, slope, gradient, sign, high)
        if found is not None:
            return found
    return None


def _fitted(
    level: Tensor, slope: Tensor, gradient: Tensor, sign: int, high: Tensor
) -> tuple[float, float, float, NDArray[np.bool_]] | None:
    for _ in range(_ROUNDS):
        # One label for all rows is one target.
        label = high.double() * (0.0 if bool(high.all()) else 1.0)
        columns = torch.stack([level * slope, slope, label * slope], dim=1)
        solved = torch.linalg.lstsq(columns, gradient[:, None], driver="gelsd").solution[:, 0]
        scale = float(solved[0])
        if scale * sign <= 0:
            return None
        targets = -solved[1] / scale, -(solved[1] + solved[2]) / scale
        gaps = [(scale * (level - each) * slope - gradient).abs() for each in targets]
        best = gaps[1] < gaps[0]
        if float(torch.minimum(*gaps).max()) < EXACT:
            return _ordered(float(targets[0]), float(targets[1]), scale, best)
        if bool((best == high).all()):
            return None
        high = best
    return None


def _ordered(
    low: float, up: float, scale: float, is_up: Tensor
) -> tuple[float, float, float, NDArray[np.bool_]] | None:
    """The lower target first; None if they are none of a usual loss."""
    if abs(up - low) < _APART:
        is_up = torch.full_like(is_up, (low + up) / 2 > _MIDDLE)
    elif up < low:
        low, up, is_up = up, low, ~is_up
    if max(abs(low), abs(up)) > _FAR and not (abs(low) < _NOUGHT and up < _MULTIPLE):
        return None
    return round(low, 3) + 0.0, round(up, 3) + 0.0, scale, is_up.numpy()


def class_targets(raw: Tensor, gradient: Tensor) -> Tensor | None:
    """[R, K] targets of a cross-entropy of K classes; None if the gradients are of another loss.

    Args:
        raw, gradient: [R, K] logits, and the gradients at them.
    """
    size = float(gradient.abs().max())
    if not size > 0 or not bool(torch.isfinite(raw).all() and torch.isfinite(gradient).all()):
        return None
    chances, g = raw.double().softmax(dim=1), gradient.double() / size
    columns = []
    for chance, pull in zip(chances.T, g.T, strict=True):
        fitted = _two_targets(chance, torch.ones_like(chance), pull, 1)
        if fitted is None:
            return None
        low, high, _, is_high = fitted
        columns.append(torch.where(torch.from_numpy(is_high), high, low))
    return torch.stack(columns, dim=1)


def _robust(r: Tensor, gradient: Tensor, size: float) -> list[ValueLoss]:
    """Losses of a difference that are not squares, with usual targets.

    Args:
        r, gradient: [R] raw values, and gradients of at most 1.
        size: factor that the gradients were divided by.
    """
    found = []
    for name, chance, level, slope in forms(r):
        if not name.startswith("squared error"):
            continue
        for kind, bend in _ROBUST.items():
            for lost, won in _USUAL_TARGETS:
                pulls = [bend(level - target) * slope for target in (lost, won)]
                fitted = _given(pulls, gradient)
                if fitted is not None:
                    factor, high = fitted
                    words = name.replace("squared error", kind)
                    found.append(ValueLoss(words, (lost, won), factor * size, chance, high))
    for name, chance, targets, pulls in _of_margins(r):
        fitted = _given(pulls, gradient)
        if fitted is not None:
            factor, high = fitted
            found.append(ValueLoss(name, targets, factor * size, chance, high))
    return found


def _of_margins(r: Tensor) -> Iterator[tuple[str, str, tuple[float, float], list[Tensor]]]:
    """Losses of a margin: name, name of the chance, targets, and the pulls on lost and won rows."""
    one = torch.ones_like(r)
    yield "hinge loss", "raw", (-1.0, 1.0), [one * (r > -1), -one * (r < 1)]
    for power in _FOCUS:
        lost, won = (torch.sigmoid(sign * r) for sign in (-1, 1))
        down = -(won**power) * (power * lost * torch.log(lost) - won)
        up = lost**power * (power * won * torch.log(won) - lost)
        yield f"focal loss (gamma {power}) of sigmoid(raw)", "sigmoid", (0.0, 1.0), [down, up]


def _given(pulls: list[Tensor], gradient: Tensor) -> tuple[float, NDArray[np.bool_]] | None:
    """The factor before two known pulls, one of which each row has; and where it is the second."""
    for sign in (1, -1):
        high = sign * gradient < 0
        for _ in range(_ROUNDS):
            pull = torch.where(high, pulls[1], pulls[0])
            power = float((pull * pull).sum())
            factor = float((pull * gradient).sum()) / power if power > 0 else 0.0
            gaps = [(factor * each - gradient).abs() for each in pulls]
            best = gaps[1] < gaps[0]
            if factor * sign > 0 and float(torch.minimum(*gaps).max()) < EXACT:
                return factor, best.numpy()
            if factor * sign <= 0 or bool((best == high).all()):
                break
            high = best
    return None
