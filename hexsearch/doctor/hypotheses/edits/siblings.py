"""Edits of the order of modules: weights of blocks and layers that were loaded into others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import combinations, pairwise

from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, holding

_PAIRS = 4  # blocks of a sequence of which each pair is exchanged
_REMEDY = (
    "load each block and layer by its own name, and compare the outputs of both networks layer by "
    "layer; numbers in names have to be sorted as numbers"
)


def sibling_edits(network: nn.Module) -> Iterator[Edit]:
    """Blocks of a sequence in other orders, and layers of one shape within a module exchanged."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential | nn.ModuleList):
            yield from _sequence(name, module)
    yield from _within(network)
    yield from _own_tensors(network)


def _sequence(name: str, sequence: nn.Module) -> Iterator[Edit]:
    groups: dict[tuple[object, ...], list[nn.Module]] = defaultdict(list)
    for child in sequence.children():
        if shape := _shape(child):
            groups[shape].append(child)
    for blocks in groups.values():
        count = len(blocks)
        for words, order in _orders(count):
            yield Edit(
                f"order of {name}",
                f"the {count} blocks of one shape in {name or 'the network'} {words}",
                f"the weights of the blocks in {name or 'the network'} were loaded in another "
                f"order than in training: they are right {words}",
                _REMEDY,
                partial(holding, _moved(blocks, order)),
            )


def _orders(count: int) -> Iterator[tuple[str, list[int]]]:
    """Other orders of so many blocks, in words; at each place, the block whose weights it gets."""
    places = list(range(count))
    if count < 2:
        return
    if count > 2:
        yield "in reverse order", places[::-1]
        yield "one place later", [places[-1], *places[:-1]]
        yield "one place earlier", [*places[1:], places[0]]
    for first in (0, 1):  # the number of the first one
        as_text = [number - first for number in sorted((p + first for p in places), key=str)]
        if as_text != places:
            back = [as_text.index(place) for place in places]
            yield f"with their numbers from {first} sorted as numbers and not as text", back
            yield f"with their numbers from {first} sorted as text", as_text
    pairs = combinations(places, 2) if count <= _PAIRS else pairwise(places)
    for first, second in pairs:
        order = places.copy()
        order[first], order[second] = second, first
        yield f"with number {first} and number {second} exchanged", order


def _within(network: nn.Module) -> Iterator[Edit]:
    """Two children of one shape exchanged, in all modules of a class."""
    pairs: dict[tuple[str, str, str], list[tuple[nn.Module, nn.Module]]] = defaultdict(list)
    for parent in network.modules():
        if isinstance(parent, nn.Sequential | nn.ModuleList):
            continue
        children = [(n, c) for n, c in parent.named_children() if _shape(c)]
        for (first, one), (second, other) in combinations(children, 2):
            if _shape(one) == _shape(other):
                pairs[type(parent).__name__, first, second].append((one, other))
    for (kind, first, second), members in pairs.items():
        moved: dict[Tensor, Tensor] = {}
        for pair in members:
            moved |= _moved(list(pair), [1, 0])
        yield Edit(
            "exchanged layers",
            f"{first} and {second} exchanged in each {kind}",
            f"{first} and {second} of {kind}, which have the same shape, hold each other's "
            "weights, or are called in the wrong order",
            _REMEDY,
            partial(holding, moved),
        )


def _own_tensors(network: nn.Module) -> Iterator[Edit]:
    """Two parameters of one module exchanged, such as embeddings of rows and of columns."""
    for name, module in network.named_modules():
        own = [(n, t) for n, t in module.named_parameters(recurse=False) if t.ndim > 1]
        for (first, one), (second, other) in combinations(own, 2):
            if sorted(one.shape) != sorted(other.shape):
                continue
            alike = one.shape == other.shape
            if not alike and one.transpose(-1, -2).shape != other.shape:
                continue
            moved = {one: other.detach(), other: one.detach()}
            if not alike:
                moved = {tensor: value.transpose(-1, -2) for tensor, value in moved.items()}
            yield Edit(
                "exchanged layers",
                f"{first} and {second} of {name or 'the network'} exchanged",
                f"{first} and {second} of {name or 'the network'} hold each other's numbers, or "
                "are used for each other (rows for columns, as meshgrid gives them with 'xy')",
                _REMEDY,
                partial(holding, moved),
            )


def _shape(module: nn.Module) -> tuple[object, ...]:
    """What two modules must have in common to hold each other's weights; empty without weights."""
    state = {n: tuple(t.shape) for n, t in module.state_dict().items()}
    return (type(module).__name__, *sorted(state.items())) if state else ()


def _moved(blocks: list[nn.Module], order: list[int]) -> dict[Tensor, Tensor]:
    """The tensors of blocks, with the values that they get from the blocks at other places."""
    states = [block.state_dict(keep_vars=True) for block in blocks]
    return {
        tensor: states[source][name].detach()
        for place, source in enumerate(order)
        for name, tensor in states[place].items()
        if source != place
    }
