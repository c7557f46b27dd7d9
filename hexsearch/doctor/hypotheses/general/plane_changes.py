"""Transformations of planes: turned and shifted boards, exchanged, scaled and other planes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, permutations, product

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]
_FEW_VALUES = 4  # different numbers of a plane up to which each is replaced by others
_VALUES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 255.0)  # that are tried for another
_SCALES = 16  # scales from 1/256 to 256 are tried on a plane of many numbers, by 4th roots of 2


def all_changes(planes: Tensor, red: Tensor | None = None) -> Iterator[tuple[str, Change]]:
    """All transformations with their names.

    Args:
        planes: [P, C, N, N] planes of the positions that they are tried on.
        red: [P] whether Red is to move; without it none that depends on the side to move.
    """
    yield from _changes(planes)
    yield from _recoloured(planes)
    yield from _of_values(planes)
    if red is not None:
        yield from _by_side(planes, red)


def scaled(factor: float) -> Change:
    """All planes multiplied by a factor."""
    return lambda planes: planes * factor


def _changes(planes: Tensor) -> Iterator[tuple[str, Change]]:
    """Transformations that are the same for every position, with their names."""
    channels = planes.shape[1]
    stones, flags = _kinds(planes)
    for name, change in TURNS.items():
        yield f"the board {name}", change
    for first, second in pairwise(stones):
        yield f"planes {first} and {second} exchanged", _exchanged(channels, first, second)
    if len(stones) >= 2:
        exchanged = _exchanged(channels, stones[0], stones[1])
        for name in ("transposed", "transposed in the other diagonal"):
            turn = TURNS[name]
            yield f"the board {name} and its colours exchanged", _chain(exchanged, turn)
    for flag in flags:
        values = planes[:, flag].mean(dim=(1, 2))
        low, high = float(values.min()), float(values.max())
        if high > low:
            yield f"plane {flag} inverted", _with_plane(flag, -1.0, low + high)
        for number in (0.0, 0.5, 1.0):
            yield f"plane {flag} set to {number:g}", _with_plane(flag, 0.0, number)
        if low < -0.5:
            yield f"plane {flag} as (x + 1) / 2", _with_plane(flag, 0.5, 0.5)
        elif high > 0.5:
            yield f"plane {flag} as 2 x - 1", _with_plane(flag, 2.0, -1.0)
        if high > low and len(torch.unique(planes[:, flag])) > _FEW_VALUES:
            for power in range(-2 * _SCALES, 2 * _SCALES + 1):
                scale = 2.0 ** (power / 4)
                if power:
                    yield f"plane {flag} times about {scale:.3g}", _with_plane(flag, scale, 0.0)
        for scale in (255.0, 1 / 255.0):
            yield f"plane {flag} times {scale:.3g}", _with_plane(flag, scale, 0.0)
        for other in stones:
            yield f"planes {flag} and {other} exchanged", _exchanged(channels, flag, other)
    area = planes[0, 0].numel()
    yield (
        "planes whose cells were packed eight to a byte, each byte from its other end",
        _bits(area),
    )
    if channels > 1:
        whole = "all planes packed together, eight cells to a byte, each byte from its other end"
        yield whole, _bits(channels * area)
    yield "the board with every second row from right to left", _snake
    if 3 <= channels <= 4:
        for order in permutations(range(channels)):
            if sum(place != number for place, number in enumerate(order)) > 2:
                yield f"its planes in the order {order}", _in_order(order)
    for scale in (255.0, 1 / 255.0, 2.0, 0.5, -1.0):
        yield f"planes times {scale:.3g}", scaled(scale)
    yield "planes as 2 x - 1", lambda p: 2 * p - 1
    yield "planes as (x + 1) / 2", lambda p: (p + 1) / 2
    yield "planes as 1 - x", lambda p: 1 - p
    mean, spread = float(planes.mean()), max(float(planes.std()), 1e-6)
    yield "planes standardised (mean 0, deviation 1)", lambda p: (p - mean) / spread
    means = planes.mean(dim=(0, 2, 3), keepdim=True)
    spreads = planes.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6)
    yield "planes standardised one by one", lambda p: (p - means) / spreads
    for rows, columns in product((-1, 0, 1), repeat=2):
        if (rows, columns) != (0, 0):
            yield f"the board shifted by ({rows}, {columns})", _rolled(rows, columns)


def _bits(count: int) -> Change:
    """Groups of eight numbers in reverse, in rows of `count`; what is beyond their end is 0."""
    place = torch.arange(count)
    source = place // 8 * 8 + 7 - place % 8
    inside = source < count

    def changed(planes: Tensor) -> Tensor:
        rows = planes.reshape(-1, count)
        read = rows[:, source.clamp(max=count - 1)] * inside
        return read.reshape(planes.shape)

    return changed


def _snake(planes: Tensor) -> Tensor:
    out = planes.clone()
    out[:, :, 1::2] = planes[:, :, 1::2].flip(-1)
    return out


def _of_values(planes: Tensor) -> Iterator[tuple[str, Change]]:
    """Another number in place of one that a plane of few numbers holds."""
    for number in range(planes.shape[1]):
        held = torch.unique(planes[:, number]).tolist()
        if not 2 <= len(held) <= _FEW_VALUES:
            continue
        for old in held:
            for new in _VALUES:
                if all(abs(new - each) > 1e-6 for each in held):
                    yield f"plane {number} with {new:g} for {old:g}", _replaced(number, old, new)

    held = torch.unique(planes).tolist()
    for old in held if len(held) <= _FEW_VALUES + 1 else ():
        for new in _VALUES:
            if all(abs(new - each) > 1e-6 for each in held):
                yield f"{new:g} for {old:g} on all planes", _replaced_everywhere(old, new)


def _replaced_everywhere(old: float, new: float) -> Change:
    return lambda planes: torch.where(planes == old, new, planes)


def _replaced(index: int, old: float, new: float) -> Change:
    def changed(planes: Tensor) -> Tensor:
        out = planes.clone()
        out[:, index] = torch.where(planes[:, index] == old, new, planes[:, index])
        return out

    return changed


def _recoloured(planes: Tensor) -> Iterator[tuple[str, Change]]:
    """Colours and side to move exchanged together, on the board as it lies and on turned ones."""
    stones, flags = _kinds(planes)

    def recolour(shown: Tensor) -> Tensor:
        out = shown.clone()
        if len(stones) >= 2:
            out = _exchanged(shown.shape[1], stones[0], stones[1])(out).clone()
        else:
            out[:, stones] = -out[:, stones]
        for flag in flags:
            values = planes[:, flag]
            out[:, flag] = float(values.min()) + float(values.max()) - out[:, flag]
        return out

    if not stones or not flags:
        return
    name = "colours and side to move exchanged"
    yield f"its {name}", recolour
    for turned, turn in TURNS.items():
        yield f"the board {turned} and its {name}", _chain(recolour, turn)


def _by_side(planes: Tensor, red: Tensor) -> Iterator[tuple[str, Change]]:
    """Transformations that depend on the side to move, with their names.

    Args:
        red: [P] whether Red is to move.
    """
    stones, flags = _kinds(planes)
    for flag in flags:
        mover = red.float()[:, None, None].expand(planes[:, flag].shape)
        yield f"plane {flag} filled with the side to move", _with_values(flag, mover)
        yield f"plane {flag} filled with the side not to move", _with_values(flag, 1 - mover)
        signed = f"plane {flag} filled with the side to move as -1 and 1"
        yield signed, _with_values(flag, 2 * mover - 1)
    changes = list(TURNS.items())
    if len(stones) >= 2:
        exchanged = _exchanged(planes.shape[1], stones[0], stones[1])
        changes.append(("with colours exchanged", exchanged))
        changes.append(
            ("transposed with colours exchanged", _chain(exchanged, TURNS["transposed"]))
        )
    elif len(stones) == 1:
        changes.append(("with its sign exchanged", scaled(-1.0)))
    for name, change in changes:
        for side, chosen in (("Red", red), ("Blue", ~red)):
            yield f"the board {name} where {side} is to move", _where(chosen, change)


def _kinds(planes: Tensor) -> tuple[list[int], list[int]]:
    """Indices of the planes that vary over a board, and of those that are constant on boards."""
    constant = (planes.flatten(2).std(dim=2) < 1e-6).all(dim=0)
    every = range(planes.shape[1])
    return [n for n in every if not constant[n]], [n for n in every if constant[n]]


def _with_values(index: int, values: Tensor) -> Change:
    def changed(planes: Tensor) -> Tensor:
        out = planes.clone()
        out[:, index] = values
        return out

    return changed


def _where(chosen: Tensor, change: Change) -> Change:
    return lambda planes: torch.where(chosen[:, None, None, None], change(planes), planes)


TURNS: dict[str, Change] = {
    "transposed": lambda p: p.transpose(2, 3),
    "transposed in the other diagonal": lambda p: p.transpose(2, 3).flip(2, 3),
    "upside down": lambda p: p.flip(2),
    "left and right exchanged": lambda p: p.flip(3),
    "given a quarter turn to the left": lambda p: p.rot90(1, (2, 3)),
    "given a quarter turn to the right": lambda p: p.rot90(-1, (2, 3)),
}


def _in_order(order: tuple[int, ...]) -> Change:
    return lambda planes: planes[:, list(order)]


def _exchanged(channels: int, first: int, second: int) -> Change:
    order = list(range(channels))
    order[first], order[second] = order[second], order[first]
    return lambda planes: planes[:, order]


def _with_plane(index: int, factor: float, offset: float) -> Change:
    def changed(planes: Tensor) -> Tensor:
        out = planes.clone()
        out[:, index] = factor * planes[:, index] + offset
        return out

    return changed


def _chain(first: Change, second: Change) -> Change:
    return lambda planes: second(first(planes))


def _rolled(rows: int, columns: int) -> Change:
    return lambda planes: torch.roll(planes, (rows, columns), dims=(2, 3))
