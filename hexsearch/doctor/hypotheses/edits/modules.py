"""Edits of how modules compute: padding, groups, heads, epsilons and the place of norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from hexsearch.doctor.hypotheses.edits.edit import Edit, having, hooked

_REMEDY = "build the network with the settings of its training, which a state dict does not hold"
_EPSILONS = (1e-3, 1e-5)
_KINDS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_MORE = ((-1, 0), (0, -1), (-1, 1), (1, -1), (0, 1), (1, 0))  # cells more before and after
Layer = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def module_edits(network: nn.Module) -> Iterator[Edit]:
    """Settings that a state dict does not hold, each changed in all modules of a kind."""
    modules = list(network.modules())
    yield from _paddings([m for m in modules if isinstance(m, _ConvNd) and _is_padded(m)])
    yield from _strides([m for m in modules if isinstance(m, _KINDS) and _may_be_uneven(m)])
    yield from _groups([m for m in modules if isinstance(m, nn.GroupNorm)])
    yield from _heads([m for m in modules if isinstance(m, nn.MultiheadAttention)])
    yield from _orders([m for m in modules if isinstance(m, nn.TransformerEncoderLayer)])
    yield from _epsilons(
        [m for m in modules if isinstance(m, _BatchNorm | nn.LayerNorm | nn.GroupNorm)]
    )
    yield from _poolings([m for m in modules if isinstance(m, nn.AvgPool2d)])
    yield from _dropouts([m for m in modules if isinstance(m, _DropoutNd) and 0 < m.p < 1])


def _paddings(layers: list[_ConvNd]) -> Iterator[Edit]:
    for mode in ("zeros", "replicate", "circular", "reflect"):
        if any(layer.padding_mode != mode for layer in layers):
            made = partial(having, layers, padding_mode=mode)
            yield _edit(f"padding mode {mode!r}", "padding of the convolutions", made)


def _strides(layers: list[Layer]) -> Iterator[Edit]:
    """Padding that is not the same on both sides, in all layers together.

    Other libraries pad layers with a stride, or with an even kernel, more on one side (`SAME`).
    """
    for before, after in _MORE if layers else ():
        own = [_pair(layer.padding) for layer in layers]
        pads = sorted({(side + before, side + after) for each in own for side in each})
        if pads[0][0] < 0 or min(last for _, last in pads) < 0:
            continue
        told = ", or ".join(f"{first} cell(s) before and {last} after" for first, last in pads)
        yield Edit(
            "strides",
            f"a padding of {told} the board in layers with a stride or an even kernel",
            "layers with a stride or an even kernel are padded otherwise than in training (the "
            "`SAME` of other libraries pads one side more), so they look at shifted cells: the "
            f"answers are right with {told} the board",
            "pad before the layer by the numbers that the other library uses (functional.pad), and "
            "give the layer a padding of 0",
            partial(_padded, layers, before, after),
        )


def _pair(given: Any) -> tuple[int, int]:
    return (given, given) if isinstance(given, int) else (given[0], given[1])


def _may_be_uneven(layer: Layer) -> bool:
    if isinstance(layer.padding, str) or getattr(layer, "padding_mode", "zeros") != "zeros":
        return False
    kernel = _pair(layer.kernel_size)
    stride = _pair(layer.stride or layer.kernel_size)
    return max(kernel) > 1 and (max(stride) > 1 or any(side % 2 == 0 for side in kernel))


@contextmanager
def _padded(layers: list[Layer], before: int, after: int) -> Iterator[None]:
    """Pad the inputs of layers by so many cells more than the layers did."""
    with ExitStack() as stack:
        for layer in layers:
            rows, columns = _pair(layer.padding)
            sides = columns + before, columns + after, rows + before, rows + after
            value = -math.inf if isinstance(layer, nn.MaxPool2d) else 0.0
            stack.enter_context(having([layer], padding=(0, 0)))
            stack.enter_context(hooked([layer], before=partial(_pad, sides, value)))
        yield


def _pad(
    sides: tuple[int, ...], value: float, module: nn.Module, inputs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    return (functional.pad(inputs[0], sides, value=value), *inputs[1:])


def _groups(norms: list[nn.GroupNorm]) -> Iterator[Edit]:
    for count in (1, 2, 4, 8, 16, 32):
        fits = all(norm.num_channels % count == 0 for norm in norms)
        if fits and any(norm.num_groups != count for norm in norms):
            made = partial(having, norms, num_groups=count)
            words = f"{count} group(s) in each group norm"
            yield _edit(words, "number of groups of the group norms", made)


def _heads(layers: list[nn.MultiheadAttention]) -> Iterator[Edit]:
    widths = {layer.embed_dim for layer in layers}
    for count in (1, 2, 4, 8, 16):
        fits = len(widths) == 1 and all(width % count == 0 for width in widths)
        if fits and any(layer.num_heads != count for layer in layers):
            made = partial(having, layers, num_heads=count, head_dim=min(widths) // count)
            yield _edit(f"{count} head(s) in each attention", "number of attention heads", made)


def _orders(layers: list[nn.TransformerEncoderLayer]) -> Iterator[Edit]:
    if layers:
        first = not layers[0].norm_first
        words = f"norms {'before' if first else 'after'} attention and feed-forward"
        made = partial(having, layers, norm_first=first)
        yield _edit(words, "place of the norms (norm_first)", made)


def _epsilons(norms: list[_BatchNorm | nn.LayerNorm | nn.GroupNorm]) -> Iterator[Edit]:
    for epsilon in _EPSILONS:
        if any(norm.eps != epsilon for norm in norms):
            made = partial(having, norms, eps=epsilon)
            yield _edit(f"an epsilon of {epsilon:g} in each norm", "epsilon of the norms", made)


def _poolings(layers: list[nn.AvgPool2d]) -> Iterator[Edit]:
    padded = [layer for layer in layers if layer.padding not in (0, (0, 0))]
    for counted in {not layer.count_include_pad for layer in padded}:
        made = partial(having, padded, count_include_pad=counted)
        words = f"cells beyond the board {'counted' if counted else 'left out'} in means"
        yield _edit(words, "average pooling at the edge (count_include_pad)", made)


def _dropouts(layers: list[_DropoutNd]) -> Iterator[Edit]:
    for words, power in (("times its share of kept inputs", 1), ("divided by that share", -1)):
        if layers:
            made = partial(_scaled, layers, power)
            words = f"each dropout giving its input {words}"
            yield _edit(words, "scale of what passes a dropout at inference", made)


def _scaled(dropouts: list[_DropoutNd], power: int) -> AbstractContextManager[None]:
    """Let each dropout scale what it passes at inference."""

    def scale(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        assert isinstance(module, _DropoutNd)
        return output * float((1 - module.p) ** power)

    return hooked(dropouts, scale)


def _is_padded(module: _ConvNd) -> bool:
    padding: Any = module.padding
    return padding == "same" or (padding != "valid" and any(padding))


def _edit(words: str, setting: str, made: Callable[[], Any]) -> Edit:
    return Edit(
        setting,
        words,
        f"the {setting} is another one than in training: the answers are right with {words}",
        _REMEDY,
        made,
    )
