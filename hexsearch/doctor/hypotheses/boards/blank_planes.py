"""Planes of a user's encoder that tell nothing: always empty, or always equal to another plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions

Encoded = Callable[[NDArray[np.int8], int], NDArray[np.generic]]
_DRAWN = 1.6  # bound of the Kolmogorov-Smirnov statistic, times the root of the number of weights
_MANY = 32  # weights that a plane needs in the first layer


class BlankPlanes:
    """Planes without information, among P positions.

    Attributes:
        empty: numbers of the planes that are 0 everywhere.
        copies: for each plane that always equals an earlier one, the number of that one.
        told: numbers of the other planes.
    """

    def __init__(self, planes: Tensor) -> None:
        channels = planes.shape[1]
        self.empty = [n for n in range(channels) if not bool(planes[:, n].any())]
        self.copies: dict[int, int] = {}
        for number in range(channels):
            if number in self.empty or float(planes[:, number].std()) < 1e-9:
                continue
            for other in range(number):
                if other not in self.copies and torch.equal(planes[:, number], planes[:, other]):
                    self.copies[number] = other
                    break
        self.told = [n for n in range(channels) if n not in self.empty and n not in self.copies]

    @property
    def numbers(self) -> list[int]:
        """All planes that tell nothing, in ascending order."""
        return sorted([*self.empty, *self.copies])

    def __str__(self) -> str:
        parts = []
        if self.empty:
            parts.append(f"{_named(self.empty)} {'is' if len(self.empty) == 1 else 'are'} empty")
        if self.copies:
            own, others = list(self.copies), list(dict.fromkeys(self.copies.values()))
            verb = "is a copy" if len(own) == 1 else "are copies"
            parts.append(f"{_named(own)} {verb} of {_named(others)}")
        return " and ".join(parts)


def _named(numbers: list[int]) -> str:
    words = ", ".join(map(str, numbers))
    return f"plane {words}" if len(numbers) == 1 else f"planes {words}"


def never_filled(network: nn.Module, channels: int, cells: int, numbers: list[int]) -> bool | None:
    """Whether the first layer's weights of these planes are still as torch draws them.

    A plane that is always empty in training passes no gradient to them. None if it is not known.
    """
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if first is None:
        return None
    if isinstance(first, nn.Conv2d):
        if first.in_channels != channels or first.groups != 1:
            return None
        weights = first.weight.detach().float().flatten(2)
    elif first.in_features == channels * cells:
        weights = first.weight.detach().float().reshape(len(first.weight), channels, cells)
    else:
        return None
    bound = float(weights[0].numel()) ** -0.5
    return all(_is_uniform(weights[:, number].reshape(-1), bound) for number in numbers)


def _is_uniform(weights: Tensor, bound: float) -> bool:
    """Whether weights are uniform up to an end that weight decay may have lowered."""
    order = np.sort(weights.double().numpy())
    end = float(np.abs(order).max()) * (1 + 1 / len(order))
    if len(order) < _MANY or not 0.5 * bound < end < bound * (1 + 2 / len(order)):
        return False
    expected = 2 * (np.arange(len(order)) + 0.5) / len(order) - 1
    gap = float(np.abs(order / end - expected).max()) / 2
    return gap < _DRAWN / float(np.sqrt(len(order)))


def with_history(
    encoded: Encoded, positions: Positions, planes: Tensor, blank: BlankPlanes
) -> Iterator[tuple[str, Tensor]]:
    """Planes in which the blank ones show positions of earlier plies, with a name for each way."""
    numbers, told = blank.numbers, [n for n in blank.told if n < min(blank.numbers)]
    if not told or len(numbers) % len(told):
        return
    ends = np.cumsum(positions.plies)
    to_move = positions.to_move
    for plies in (1, 2):
        for side, name in ((1, "seen by the side to move"), (-1, "seen by the side that moved it")):
            if side == -1 and plies == 2:
                continue
            filled = planes.clone()
            for row in range(len(positions)):
                for place, number in enumerate(numbers):
                    back = plies * (1 + place // len(told))
                    board = positions.stones[row].copy()
                    count = int(positions.plies[row])
                    if back > count:
                        filled[row, number] = 0.0
                        continue
                    cells = positions.cells[ends[row] - back : ends[row]]
                    board.reshape(-1)[cells] = 0
                    made = np.asarray(encoded(board, side * int(to_move[row])))
                    made = np.array(made[told[place % len(told)]], dtype=np.float32)
                    filled[row, number] = torch.from_numpy(made)
            which = "the position before" if plies == 1 else "the position two plies before"
            yield f"{which} ({name}) on {_named(numbers)}", filled
