"""Edits of the order of outputs: halves and thirds of a layer, gates, heads, and embeddings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations, product

import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, changed, holding

_TIED = (("weight", "bias"), ("in_proj_weight", "in_proj_bias"))
_WORDS = {2: "halves", 3: "thirds (such as query, key and value)"}
_REMEDY = (
    "read the parts in the order in which training wrote them, or reorder the rows of these "
    "weights and biases"
)
_GATES = {nn.LSTM: 4, nn.GRU: 3}


def part_edits(network: nn.Module) -> Iterator[Edit]:
    """Parts of the outputs of layers of one name, such as those of each block, in other orders."""
    groups: dict[tuple[str, int], list[list[Tensor]]] = defaultdict(list)
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        for weight, bias in _TIED:
            if weight in own and own[weight].ndim > 1 and not isinstance(module, nn.Embedding):
                both = [own[weight], *([own[bias]] if bias in own else [])]
                kind = ".".join(re.sub(r"\d+", "", name).split(".")[-2:]).strip(".")
                groups[kind, own[weight].shape[0]].append(both)
    for (kind, rows), members in groups.items():
        columns, biased = members[0][0].shape[1], any(len(both) > 1 for both in members)
        # A bias may have been brought over rightly.
        parts = {"outputs": [tensor for both in members for tensor in both]}
        parts |= {"weights alone": [both[0] for both in members]} if biased else {}
        for (of, tensors), (words, change) in product(parts.items(), list(_orders(rows, columns))):
            yield Edit(
                f"parts of {kind}",
                f"the {words} of the {of} of {kind}",
                f"the parts of the outputs of {kind} are in another order than in training: the "
                "code takes one part for another (factors and shifts of squeeze and excitation, "
                "gate and value, query, key and value), or they were saved in another order; the "
                f"answers are right with the {words}",
                _REMEDY,
                partial(changed, tensors, change),
            )
    yield from _queries(network)
    yield from _gates(network)
    yield from _embeddings(network)


def _orders(rows: int, columns: int) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """Orders of so many outputs, in words."""
    counts = [2] if rows % 2 == 0 and rows >= 4 else []
    counts += [3] if rows == 3 * columns else []
    for count in counts:
        for order in list(permutations(range(count)))[1:]:
            told = ", ".join(str(place + 1) for place in order)
            yield f"{_WORDS[count]} in the order {told}", partial(_reordered, order=order)
        yield f"{_WORDS[count]} interleaved", partial(_laid, shape=(count, -1))
        if rows != count**2:
            yield f"{_WORDS[count]} taken apart again", partial(_laid, shape=(-1, count))
    for heads in (2, 4, 8, 16) if 3 in counts and rows % 6 == 0 else ():
        if rows % (3 * heads) == 0:
            words = f"query, key and value of {heads} heads"
            yield f"{words} by head first", partial(_laid, shape=(3, heads, -1))
            yield f"{words} by kind first", partial(_laid, shape=(heads, 3, -1))


def _queries(network: nn.Module) -> Iterator[Edit]:
    """Queries that are scaled twice, or not at all."""
    layers = [module for module in network.modules() if isinstance(module, nn.MultiheadAttention)]
    for words, power in (("times", 0.5), ("divided by", -0.5)):
        values: dict[Tensor, Tensor] = {}
        for layer in layers:
            for tensor in (layer.in_proj_weight, layer.in_proj_bias):
                if tensor is not None:
                    factor = torch.ones(len(tensor), *[1] * (tensor.ndim - 1))
                    factor[: len(tensor) // 3] = float(layer.head_dim) ** power
                    values[tensor] = tensor.detach() * factor
        if values:
            yield Edit(
                "queries",
                f"the queries of each attention {words} the root of the width of a head",
                "the scale of the attention is another one than in training: the answers are right "
                f"with queries {words} the root of the width of a head",
                "scale the product of queries and keys as in training (1 / sqrt(d), 1, or 1 / d)",
                partial(holding, values),
            )


def _gates(network: nn.Module) -> Iterator[Edit]:
    for kind, count in _GATES.items():
        cells = [module for module in network.modules() if isinstance(module, kind)]
        tensors = [t for cell in cells for t in cell.parameters() if len(t) % count == 0]
        for order in list(permutations(range(count)))[1:] if cells else ():
            told = ", ".join(str(place + 1) for place in order)
            yield Edit(
                "gates",
                f"the gates of each {kind.__name__} in the order {told}",
                f"the gates of the {kind.__name__} are in the order of another library: the "
                f"answers are right with those of torch in the order {told}",
                "reorder the rows of its weights and biases (torch has input, forget, cell, output "
                "in an LSTM, and reset, update, new in a GRU)",
                partial(changed, tensors, partial(_reordered, order=order)),
            )


def _embeddings(network: nn.Module) -> Iterator[Edit]:
    tables = [
        m.weight for m in network.modules() if isinstance(m, nn.Embedding) and len(m.weight) > 2
    ]
    for words, change in (
        ("one row later", partial(torch.roll, shifts=1, dims=0)),
        ("one row earlier", partial(torch.roll, shifts=-1, dims=0)),
        ("in reverse order", partial(torch.flip, dims=(0,))),
    ):
        if tables:
            yield Edit(
                "embeddings",
                f"the rows of each embedding {words}",
                f"the rows of the embeddings belong to other numbers than in training: {words} "
                "the answers are right (a row for padding, or states that are counted otherwise)",
                "give each state the number that it had in training",
                partial(changed, tables, change),
            )


def _reordered(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    parts = tensor.chunk(len(order), dim=0)
    return torch.cat([parts[place] for place in order], dim=0)


def _laid(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Rows that are counted by the first two axes of a shape, with these exchanged."""
    rows: Tensor = tensor.reshape(*shape, *tensor.shape[1:]).transpose(0, 1)
    return rows.flatten(0, len(shape) - 1)
