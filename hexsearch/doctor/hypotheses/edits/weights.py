"""Edits of weights: kernels and matrices that lie otherwise than in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from hexsearch.doctor.hypotheses.edits.edit import Edit, changed, holding

_BROUGHT_OVER = (
    "bring the weights over as their layout asks (a kernel of Keras and JAX is [rows, columns, "
    "inputs, outputs], one of torch [outputs, inputs, rows, columns]), and compare the outputs of "
    "both networks layer by layer"
)
_MANY, _SHIFTED = 200, 0.5  # numbers of a layer, and their mean in deviations
Change = Callable[[Tensor], Tensor]
_KERNELS: tuple[tuple[str, str, Change], ...] = (
    ("rows and columns exchanged", "transposed", lambda k: k.transpose(-1, -2)),
    ("both axes reversed", "turned by half, as in a true convolution", lambda k: k.flip(-1, -2)),
    ("their rows reversed", "upside down", lambda k: k.flip(-2)),
    ("their columns reversed", "mirrored left to right", lambda k: k.flip(-1)),
    ("a quarter turn", "turned by a quarter", lambda k: k.rot90(1, (-2, -1))),
    ("a quarter turn back", "turned by a quarter the other way", lambda k: k.rot90(-1, (-2, -1))),
)  # fmt: skip


_CORNERS = (
    ("the first and the last cell", ((0, 0), (2, 2))),
    ("the top right and the bottom left cell", ((0, 2), (2, 0))),
    ("the four corners", ((0, 0), (0, 2), (2, 0), (2, 2))),
)
_TURNS: tuple[tuple[str, Change], ...] = (
    ("rows and columns exchanged", lambda b: b.transpose(-1, -2)),
    ("rows in reverse order", lambda b: b.flip(-2)),
    ("columns in reverse order", lambda b: b.flip(-1)),
    ("cells in reverse order", lambda b: b.flip(-1, -2)),
)


def weight_edits(network: nn.Module, size: int) -> Iterator[Edit]:
    """Kernels, square matrices, and what belongs to cells, each for all of a kind."""
    yield from _kernels(network)
    yield from _square(network)
    yield from _positions(network, size)
    yield from _offsets(network)


def _offsets(network: nn.Module) -> Iterator[Edit]:
    """Weights that are all too large by one number, as after a wrong zero point."""
    weights = [
        module.weight
        for module in network.modules()
        if isinstance(module, nn.Linear | _ConvNd) and module.weight.numel() >= _MANY
    ]
    shifts = [float((w.detach().mean() / w.detach().std()).abs()) for w in weights]
    if weights and max(shifts) > _SHIFTED:
        yield Edit(
            "offset",
            "the weights of each layer less their mean",
            "the weights of layers are shifted by a number each: a quantisation was undone with a "
            "wrong zero point ((q + zero_point) * scale, or without the zero point)",
            "compute (q - zero_point) * scale",
            partial(changed, weights, lambda w: w - w.mean()),
        )


def _kernels(network: nn.Module) -> Iterator[Edit]:
    kernels = [
        module.weight
        for module in network.modules()
        if isinstance(module, _ConvNd)
        and module.weight.ndim == 4
        and module.weight.shape[-1] == module.weight.shape[-2] > 1
    ]
    hexagonal = [kernel for kernel in kernels if kernel.shape[-1] == 3]
    for words, places in _CORNERS if hexagonal else ():
        yield Edit(
            "corners",
            f"{words} of each 3x3 kernel set to 0",
            f"the kernels lack their mask: {words}, cells that are no neighbours on a board of "
            "hexagons, had no weight in training",
            "multiply the kernels by their mask before they are saved, or mask them in forward()",
            partial(changed, hexagonal, partial(_without, places=places)),
        )
    for words, wrong, change in _KERNELS if kernels else ():
        yield Edit(
            "kernels",
            f"the kernels of all convolutions with {words}",
            "rows and columns lie otherwise than in training: the planes that encode() gives are "
            f"{wrong.split(',')[0]}, or (the same where nothing but kernels reads the board) the "
            f"kernels of the convolutions were loaded {wrong}",
            _BROUGHT_OVER,
            partial(changed, kernels, change),
        )


def _square(network: nn.Module) -> Iterator[Edit]:
    for kind, name in ((_ConvNd, "convolutions"), (nn.Linear, "linear layers")):
        weights = [
            module.weight
            for module in network.modules()
            if isinstance(module, kind) and module.weight.shape[0] == module.weight.shape[1] > 1
        ]
        if weights:
            yield Edit(
                "square",
                f"inputs and outputs of the square {name} exchanged",
                f"the weights of {name} with as many inputs as outputs were loaded transposed: "
                "inputs and outputs are exchanged, which their shape does not show",
                _BROUGHT_OVER,
                partial(changed, weights, lambda w: w.transpose(0, 1)),
            )


def _positions(network: nn.Module, size: int) -> Iterator[Edit]:
    """Parameters and buffers with a number for each cell, such as an embedding of positions."""
    held = [*network.parameters(), *network.buffers()]
    of_cells = [(t, d) for t in held for d in range(t.ndim) if t.shape[d] == size**2]
    of_boards = [t for t in held if t.ndim >= 2 and t.shape[-2:] == (size, size)]
    of_boards = [t for t in of_boards if size > 3]  # kernels of that size are tried above
    # One number more than cells belongs to a token that is no cell.
    listed = [(t, d) for t in held for d in range(t.ndim) if t.shape[d] in (size**2, size**2 + 1)]
    listed = [(t, d) for t, d in listed if t.numel() > t.shape[d]]
    for words, step in (("one cell later", 1), ("one cell earlier", -1)) if listed else ():
        rolled = {t: t.detach().roll(step, d) for t, d in listed}
        yield Edit(
            "cells",
            f"the numbers that belong to single cells (positions) {words}",
            "numbers that belong to single cells (an embedding of positions) are read from the "
            f"wrong offset: {words} the answers are right (a token before the cells, or none)",
            "add each cell's own embedding to it, and count from where training counted",
            partial(holding, rolled),
        )
    for words, change in _TURNS:
        values = {t: change(t.detach()) for t in of_boards}
        for tensor, axis in of_cells:
            cells = tensor.detach().movedim(axis, -1)
            turned = change(cells.reshape(*cells.shape[:-1], size, size)).flatten(-2)
            values[tensor] = turned.movedim(-1, axis)
        if values:
            yield Edit(
                "cells",
                f"the numbers that belong to single cells (positions, biases) with {words}",
                "numbers that belong to single cells (an embedding of positions, biases of cells, "
                f"weights of a policy) lie otherwise than in training: {words}",
                _BROUGHT_OVER,
                partial(holding, values),
            )


def _without(kernel: Tensor, places: tuple[tuple[int, int], ...]) -> Tensor:
    masked = kernel.clone()
    for row, column in places:
        masked[..., row, column] = 0.0
    return masked
