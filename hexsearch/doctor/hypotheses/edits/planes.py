"""Edits of planes that are the same at every position: what they may have held in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit

_LEVELS = (1.0, 0.0, -1.0, 0.5, 0.25, 0.75)
_SAME = 1e-6


def plane_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """Each plane that holds one number on all cells of all positions, with other numbers.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
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
                    partial(_showing, network, place, level),
                )


@contextmanager
def _showing(network: nn.Module, place: int, level: float) -> Iterator[None]:
    def fill(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        planes = inputs[0].clone()
        planes[:, place] = level
        return (planes, *inputs[1:])

    handle = network.register_forward_pre_hook(fill)
    try:
        yield
    finally:
        handle.remove()
