"""Edits of what a network gives: another output in the place of the value, or another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import permutations
from typing import Any

from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, hooked

_MOST = 4  # outcomes whose orders are tried
_OUTPUTS = (2, 3, 4)


def output_edits(network: nn.Module) -> Iterator[Edit]:
    """Each further output as the value, and the outcomes of a list in other orders."""
    for place in _OUTPUTS:
        yield Edit(
            "outputs",
            f"output {place} of the network, counted from 0, as its value",
            "another output than the value is read as the value: the answers are right with output "
            f"{place} of what the network returns (outputs are counted otherwise than in training)",
            "return (policy, value), and name outputs in place of counting them",
            partial(_giving, network, partial(_other, place=place)),
        )
    for count in range(2, _MOST + 1):
        for order in list(permutations(range(count)))[1:]:
            told = ", ".join(str(place + 1) for place in order)
            yield Edit(
                "outcomes",
                f"the {count} outcomes of the value in the order {told}",
                "the outcomes of the value (win, draw and loss) are read in another order than in "
                f"training: the answers are right with the order {told}",
                "read the outcomes in the order of training",
                partial(_giving, network, partial(_ordered, order=order)),
            )


def _giving(network: nn.Module, change: Callable[[Any], Any]) -> AbstractContextManager[None]:
    return hooked([network], lambda module, inputs, output: change(output))


def _other(output: Any, place: int) -> Any:
    if not isinstance(output, tuple | list) or place >= len(output):
        return output
    return (output[0], output[place])


def _ordered(output: Any, order: tuple[int, ...]) -> Any:
    value = output[1] if isinstance(output, tuple | list) and len(output) > 1 else None
    if not isinstance(value, Tensor) or value.ndim != 2 or value.shape[1] != len(order):
        return output
    return (output[0], value[:, list(order)])
