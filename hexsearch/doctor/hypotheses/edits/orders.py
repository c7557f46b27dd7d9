"""Other orders in which a linear layer may have read the features of a board in training.

A layer that reads all channels of all cells gets them as one row of numbers. Libraries differ in
the order: channels first or last, rows before columns or after them. Weights that were trained in
one order and answer in another are not changed, but read the wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import permutations

import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, hooked

_MOST = 4  # layers that are tried
_AXES = ("channel", "row", "column")


def order_edits(network: nn.Module, size: int) -> Iterator[Edit]:
    """Each of the first linear layers that read the board, with its inputs in other orders."""
    for name, layer in _flat_layers(network, size**2).items():
        for words, places in _orders(layer, size):
            yield Edit(
                f"order of {name}",
                f"the {layer.in_features} features that {name} reads taken {words}",
                f"{name} reads the features of the board in another order than in training: its "
                f"weights belong to features that are flattened {words} (an export from another "
                "library, or a permute() or view() that is missing)",
                "flatten the features as in training, or reorder the columns of this layer's "
                "weights",
                partial(_read_in_order, layer, places),
            )


def _flat_layers(network: nn.Module, cells: int) -> dict[str, nn.Linear]:
    """The linear layers that read several channels of all cells, by name."""
    found = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and module.in_features % cells == 0
        and module.in_features > cells
    }
    return dict(list(found.items())[:_MOST])


def _orders(layer: nn.Linear, size: int) -> Iterator[tuple[str, Tensor]]:
    """Other orders of a layer's inputs, in words, with the places of the inputs in each."""
    shape = (layer.in_features // size**2, size, size)
    usual = ", ".join(_AXES)
    for axes in list(permutations(range(3)))[1:]:
        places = torch.arange(layer.in_features).reshape(shape).permute(axes).reshape(-1)
        other = ", ".join(_AXES[axis] for axis in axes)
        yield f"by {other} and not by {usual}", places
        back = torch.argsort(places)
        if not torch.equal(back, places):
            yield f"by {usual} and not by {other}", back


def _read_in_order(layer: nn.Linear, places: Tensor) -> AbstractContextManager[None]:
    """Let a layer read its inputs from other places."""
    return hooked([layer], before=lambda module, inputs: (inputs[0][..., places], *inputs[1:]))
