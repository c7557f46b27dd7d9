"""Edits of the functions that a network calls: poolings, flips, padding, and orders of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.doctor.hypotheses.edits.edit import Edit, Function, named_functions, replacing


def function_edits() -> Iterator[Edit]:
    """Other poolings, flips, sides of padding, axes of norms, and parts in other orders."""
    for words, wrong, table in _poolings():
        yield Edit(
            "pooling",
            words,
            f"the pooling over the board is another one than in training: {wrong}",
            "pool as in training",
            partial(replacing, table),
        )
    yield Edit(
        "flips",
        "rows and columns flipped where planes or the batch are",
        "boards are flipped over the wrong dimensions (fliplr and flipud take dimensions 1 and 0, "
        "which are the planes and the batch): the planes come in reverse order",
        "flip the last two dimensions: torch.flip(planes, dims=(-2, -1))",
        partial(replacing, _flips()),
    )
    yield Edit(
        "side of padding",
        "what is padded on the other side",
        "a board is padded on the other side than in training (rows or columns of zeros above or "
        "below, on the left or on the right), so that features lie elsewhere by a cell: kernels "
        "with an even size are padded below and on the right by Keras",
        "pad on the side of the training run",
        partial(replacing, {functional.pad: _other_side}),
    )
    yield Edit(
        "side of padding",
        "what is padded as much before as behind",
        "a board is padded more on one side than on the other, so that every layer moves the "
        "features by a cell: training padded as much before as behind ('same' with an odd kernel)",
        "pad half of (kernel - 1) on each side",
        partial(replacing, {functional.pad: _on_both_sides}),
    )
    yield Edit(
        "axis of norms",
        "means and deviations of channels-first features over the channels",
        "a norm that is written by hand (a LayerNorm for channels-last features) runs over the "
        "columns of the board and not over the channels: its features are channels-first",
        "normalise over dimension 1 of [B, C, N, N], or permute to channels-last and back",
        partial(replacing, _over_channels()),
    )
    yield from _order_edits()


def _order_edits() -> Iterator[Edit]:
    cause = (
        "parts are {} in another order than in training: the code takes one part for another "
        "(factors and shifts of squeeze and excitation, gate and value, query, key and value, mean "
        "and maximum, the value and another output)"
    )
    for count in (2, 3):
        for order in list(permutations(range(count)))[1:]:
            told = ", ".join(str(place + 1) for place in order)
            for verb, table in (("split", _splits(order)), ("joined", _joins(order))):
                yield Edit(
                    f"{verb} parts",
                    f"the {count} parts of each tensor that is {verb} in the order {told}",
                    cause.format(verb),
                    "read the parts in the order in which training wrote them",
                    partial(replacing, table),
                )


def _poolings() -> Iterator[tuple[str, str, dict[Function, Function]]]:
    means, maxima = named_functions(("mean",)), named_functions(("amax",))
    average, largest = functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d

    def over(original: Function, replaced: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        dims = args[0] if args else kwargs.get("dim")
        if x.ndim < 3 or dims is None:
            return original(x, *args, **kwargs)
        return replaced(x, *args, **kwargs)

    yield (
        "the maximum over the board in place of the mean",
        "the mean is taken, and the weights were trained with the maximum",
        {m: partial(over, m, torch.amax) for m in means} | {average: largest},
    )
    yield (
        "the sum over the board in place of the mean",
        "the mean is taken, and the weights were trained with the sum",
        {m: partial(over, m, torch.sum) for m in means},
    )
    yield (
        "the mean over the board in place of the maximum",
        "the maximum is taken, and the weights were trained with the mean",
        {m: partial(over, m, torch.mean) for m in maxima} | {largest: average},
    )


def _flips() -> dict[Function, Function]:
    """Flips of boards [B, C, N, N] over dimensions 0 and 1, as those over rows and columns."""

    def over(dim: int) -> Callable[..., Any]:
        def other(original: Function, x: Tensor) -> Any:
            return torch.flip(x, (dim,)) if x.ndim == 4 else original(x)

        return other

    def flipped(original: Function, x: Tensor, *dims: Any, **named: Any) -> Any:
        given = named.get("dims", dims[0] if len(dims) == 1 else dims)
        places = [given] if isinstance(given, int) else list(given)
        if x.ndim == 4:
            places = sorted({2 + place % 2 if place % 4 < 2 else place % 4 for place in places})
        return original(x, places)

    kinds = {"fliplr": over(3), "flipud": over(2), "flip": flipped}
    return {
        each: partial(by, each) for name, by in kinds.items() for each in named_functions((name,))
    }


def _other_side(x: Tensor, pad: Any, *args: Any, **kwargs: Any) -> Tensor:
    swapped = [
        width
        for first, second in zip(pad[::2], pad[1::2], strict=True)
        for width in (second, first)
    ]
    padded: Tensor = functional.pad(x, swapped, *args, **kwargs)
    return padded


def _on_both_sides(x: Tensor, pad: Any, *args: Any, **kwargs: Any) -> Tensor:
    totals = [first + second for first, second in zip(pad[::2], pad[1::2], strict=True)]
    widths = [width for total in totals for width in (total // 2, total - total // 2)]
    padded: Tensor = functional.pad(x, widths, *args, **kwargs)
    return padded


def _over_channels() -> dict[Function, Function]:
    """Moments of boards [B, C, N, N] over their last axis, as those over channels."""

    def other(original: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        dim = args[0] if args else kwargs.get("dim")
        is_board = x.ndim == 4 and x.shape[-1] == x.shape[-2]
        if not is_board or dim not in (-1, 3, (-1,), (3,), [-1], [3]):
            return original(x, *args, **kwargs)
        return original(x, 1, *args[1:], **{k: v for k, v in kwargs.items() if k != "dim"})

    moments = named_functions(("mean", "var", "std", "var_mean", "std_mean"))
    return {each: partial(other, each) for each in moments}


def _splits(order: tuple[int, ...]) -> dict[Function, Function]:
    def other(original: Function, *args: Any, **kwargs: Any) -> Any:
        parts = original(*args, **kwargs)
        return tuple(parts[place] for place in order) if len(parts) == len(order) else parts

    called = named_functions(("chunk", "split", "unbind", "tensor_split"))
    return {each: partial(other, each) for each in called}


def _joins(order: tuple[int, ...]) -> dict[Function, Function]:
    def other(original: Function, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if len(tensors) == len(order):
            tensors = [tensors[place] for place in order]
        return original(tensors, *args, **kwargs)

    return {each: partial(other, each) for each in named_functions(("cat", "concat", "stack"))}
