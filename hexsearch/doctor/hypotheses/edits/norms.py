"""Edits of the numbers that norms hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.hypotheses.edits.edit import Edit, changed, holding, hooked
from hexsearch.doctor.hypotheses.general.norm_statistics import before_norms

_VARIANCES: tuple[tuple[str, str, Callable[[Tensor], Tensor]], ...] = (
    ("squares", "standard deviations", torch.square),
    ("roots", "squared variances", torch.sqrt),
    (
        "reciprocal squares",
        "reciprocal standard deviations",
        lambda spread: spread.clamp(min=1e-6) ** -2,
    ),
)


def norm_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """Variances, scales and shifts, each of all norms of a network.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    variances = [norm.running_var for norm in norms if norm.running_var is not None]
    for words, held, change in _VARIANCES if variances else ():
        yield Edit(
            "variances",
            f"the {words} of the running variances of all batch norms",
            f"the batch norms hold {held} in the place of variances",
            "save the variances of the inputs and not another measure of their spread",
            partial(changed, variances, change),
        )
    with torch.no_grad():
        followed = before_norms(network, lambda: network(planes[:2]))
    biasless = [name for name, layer in followed.items() if layer.bias is None]
    if biasless and norms:
        yield Edit(
            "means",
            "the means of what batch norms get in place of their running means",
            "the running means of the batch norms are not those of what they get, so every "
            f"channel is off by a number: the biases of {len(biasless)} convolution(s) before "
            f"norms, such as {biasless[0]}, were left out (bias=False, and strict=False when the "
            "weights were loaded), or the means lag behind weights that still moved fast (a short "
            "training, or a rate that is high to its end)",
            "build the convolutions with biases as in training, and load strictly; if they never "
            "had any, compute the statistics again over some thousand training positions",
            partial(_with_own_means, norms),
        )
    scaled = [pair for module in network.modules() if (pair := _scale_and_shift(module))]
    if scaled:
        yield from _scales(scaled)


@contextmanager
def _with_own_means(norms: list[_BatchNorm]) -> Iterator[None]:
    """Let batch norms subtract the means of what they get."""
    means = {norm: norm.running_mean for norm in norms if norm.running_mean is not None}
    kept = {norm: mean.clone() for norm, mean in means.items()}

    def look(module: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        means[module].copy_(inputs[0].detach().transpose(0, 1).flatten(1).mean(dim=1))

    try:
        with hooked(means, before=look):
            yield
    finally:
        for norm, mean in kept.items():
            means[norm].copy_(mean)


def _scales(scaled: list[tuple[Tensor, Tensor]]) -> Iterator[Edit]:
    pairs = dict(scaled) | {shift: scale for scale, shift in scaled}
    yield Edit(
        "scale and shift",
        "the scales and shifts of all norms exchanged",
        "the scales and the shifts of the norms (weight and bias, gamma and beta) are exchanged",
        "load gamma as the weight and beta as the bias",
        partial(holding, pairs),
    )
    for words, one in (("plus 1", 1.0), ("less 1", -1.0)):
        yield Edit(
            "scale and shift",
            f"all scales of norms {words}",
            "the scales of the norms (weight, gamma) are counted otherwise than in training: "
            f"they are right {words} (some libraries store the difference to 1)",
            "add or take off 1 when the weights are brought over",
            partial(changed, [scale for scale, _ in scaled], partial(_plus, number=one)),
        )
    yield Edit(
        "scale and shift",
        "all shifts of norms set to 0",
        "the shifts of the norms (bias, beta) are those of another network: with 0 in their "
        "place the answers are right",
        "load the shifts of the norms, or leave them out as in training",
        partial(changed, [shift for _, shift in scaled], torch.zeros_like),
    )
    if any(bool((scale == 0).any()) for scale, _ in scaled):
        return  # channels that were switched off on purpose come back by a scale of 1
    yield Edit(
        "scale and shift",
        "all scales of norms set to 1",
        "the scales of the norms (weight, gamma) are applied though training did not have "
        "them, or twice (they are in the weights of the layer before already)",
        "fold the norms into the layers before them only once",
        partial(changed, [scale for scale, _ in scaled], torch.ones_like),
    )


def _plus(scale: Tensor, number: float) -> Tensor:
    return scale + number


def _scale_and_shift(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of a norm that has both."""
    if not isinstance(module, _BatchNorm | nn.LayerNorm | nn.GroupNorm):
        return None
    weight, bias = module.weight, module.bias
    both = isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.shape == bias.shape
    return (weight, bias) if both else None
