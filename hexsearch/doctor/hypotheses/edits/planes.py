"""Edits of planes that are the same at every position: what they may have held in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import combinations, islice

import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, hooked

_FACTORS = {"times 255": 255.0, "divided by 255": 1 / 255.0, "times 2": 2.0, "halved": 0.5}
_LEVELS = (1.0, 0.0, -1.0, 0.5, 0.25, 0.75)
_SAME = 1e-6
_PAIRS = 10  # exchanges of two planes that are tried


def plane_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """Planes in each other's place; and each that holds one number everywhere, with other numbers.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
    yield from _exchanges(network, planes.shape[1])
    for words, factor in _FACTORS.items():
        yield Edit(
            "scaled planes",
            f"all planes {words}",
            "the planes are scaled otherwise than in training (divided twice, by the encoder and "
            f"by the network, or not at all): the answers are right with all planes {words}",
            "scale the planes once, as in training",
            partial(_given, network, partial(torch.mul, other=factor)),
        )
    for place in range(planes.shape[1]):
        low, high = float(planes[:, place].min()), float(planes[:, place].max())
        if high - low > _SAME:
            continue
        for level in _LEVELS:
            if abs(level - low) > _SAME:
                yield Edit(
                    f"plane {place}",
                    f"{level:g} on plane {place}",
                    f"plane {place} holds {low:g} on every cell of every position here, and held "
                    f"something else in training: the answers are right with {level:g} there (a "
                    "feature that the encoder cannot know at inference, such as the share of the "
                    "game that was played, or that it leaves out)",
                    "fill this plane as in training, or train without it",
                    partial(_given, network, partial(_filled, place=place, level=level)),
                )


def _exchanges(network: nn.Module, count: int) -> Iterator[Edit]:
    """Two planes that stand in each other's place."""
    for first, second in islice(combinations(range(count), 2), _PAIRS):
        order = list(range(count))
        order[first], order[second] = second, first
        yield Edit(
            "exchanged planes",
            f"planes {first} and {second} exchanged",
            "the network was trained on other planes than it is given: it expects planes "
            f"{first} and {second} exchanged (for one side or colour and the other, as for own and "
            "other stones, or red and blue ones)",
            "encode as in training: the same planes in the same order",
            partial(_given, network, partial(_in_order, order=order)),
        )


def _in_order(planes: Tensor, order: list[int]) -> Tensor:
    return planes[:, order].contiguous()


def _filled(planes: Tensor, place: int, level: float) -> Tensor:
    planes = planes.clone()
    planes[:, place] = level
    return planes


def _given(network: nn.Module, change: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
    return hooked([network], before=lambda module, inputs: (change(inputs[0]), *inputs[1:]))
