"""What value and policy heads compute, from their weights and the configuration alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.doctor.hypotheses.configured.blocks import (
    Unlike,
    activated,
    convolved,
    normalised,
    pooled_by_kata,
)

POOLINGS = ("mean", "maximum", "sum", "first cell", "flatten", "mean_max", "gpool")


def pooled(features: Tensor, how: str) -> Tensor:
    """[B, C, H, W] to vectors [B, D]."""
    if how == "flatten":
        return features.flatten(1)
    flat = features.flatten(2)
    if how == "maximum":
        return flat.amax(dim=2)
    if how == "sum":
        return flat.sum(dim=2)
    if how == "first cell":
        return flat[:, :, 0]
    if how == "mean_max":
        return torch.cat([flat.mean(dim=2), flat.amax(dim=2)], dim=1)
    return pooled_by_kata(features) if how == "gpool" else flat.mean(dim=2)


def usual_pooling(config: ValueHeadConfig) -> str:
    """The pooling of a family, by its name in POOLINGS; `attention` has weights of its own."""
    known = {"flatten": "flatten", "mean_max": "mean_max", "gpool": "gpool"}
    return "attention" if config.family == "attention" else known.get(config.family, "mean")


def value_of(
    head: Any, config: ValueHeadConfig, features: Tensor, pooling: str, active: bool = True
) -> Tensor:
    """Raw values [B] of a built-in head for features [B, C, H, W], in eval mode.

    Args:
        pooling: as in POOLINGS, or `attention`.
        active: whether the hidden layers have activations.
    Raises:
        Unlike: a layer is not what is configured.
    """
    out = features
    if config.channels:
        convolution, norm = list(head.reduce.children())[:2]
        out = convolved(out, convolution, config.channels, 1, name="value_head.reduce")
        out = activated(normalised(out, norm, "batch", "value_head.reduce"), config.activation)
    if pooling == "attention":
        score = head.pooling.score
        weights = functional.conv2d(out, score.weight, score.bias).flatten(2).softmax(dim=2)
        groups = torch.unflatten(out.flatten(2), 1, (config.heads, -1))
        out = (groups @ weights.unsqueeze(3)).flatten(1)
    else:
        out = pooled(out, pooling)
    linear = [m for m in head.layers.modules() if isinstance(m, nn.Linear)]
    norms = [m for m in head.layers.children() if not isinstance(m, nn.Linear)]
    norms = [m for m in norms if getattr(m, "weight", None) is not None]
    widths = [len(layer.weight) for layer in linear]
    if widths != [*config.widths, 1] or (config.norm != "none" and len(norms) != len(widths) - 1):
        raise Unlike(
            f"the value head has linear layers of {widths} outputs and {len(norms)} norms, and its "
            f"configuration asks for {[*config.widths, 1]}"
        )
    for number, layer in enumerate(linear):
        if layer.in_features != out.shape[1]:
            raise Unlike(f"layer {number + 1} of the value head reads {layer.in_features} numbers")
        out = functional.linear(out, layer.weight, layer.bias)
        if number < len(linear) - 1:
            if config.norm != "none":
                out = _vector_norm(out, norms[number], config.norm)
            out = activated(out, config.activation) if active else out
    return out.squeeze(1)


def _vector_norm(out: Tensor, layer: nn.Module, kind: str) -> Tensor:
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    eps = getattr(layer, "eps", 1e-5)
    if kind == "layer":
        return functional.layer_norm(out, (out.shape[1],), weight, bias, eps)
    mean, variance = getattr(layer, "running_mean", None), getattr(layer, "running_var", None)
    if mean is None or variance is None:
        raise Unlike(f"a norm of the value head is {type(layer).__name__}, not a batch norm")
    return functional.batch_norm(out, mean, variance, weight, bias, eps=eps)


def other_values(
    head: Any, config: ValueHeadConfig, features: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Values of heads that are programmed in another way, by what is done."""
    usual = usual_pooling(config)
    for other in POOLINGS if usual != "flatten" else ():
        if other == usual:
            continue
        words = f"features are pooled by {other} and not by {usual}"
        try:
            yield words, value_of(head, config, features, other)
        except Unlike:
            continue
    if config.widths:
        words = "its hidden layers have no activation: it is one linear layer"
        yield words, value_of(head, config, features, usual, active=False)


def policy_of(head: Any, family: str, features: Tensor, size: int) -> Tensor:
    """Logits [B, N*N] of a built-in policy head for features [B, C, H, W].

    Raises:
        Unlike: a layer is not what is configured.
    """
    if family == "linear":
        layer = head.output
        if getattr(layer, "weight", torch.zeros(0)).shape != (size * size, features.shape[1]):
            raise Unlike("the policy head's layer has another shape than configured")
        return functional.linear(features.mean(dim=(2, 3)), layer.weight, layer.bias)
    scale = -(-size // features.shape[2])
    first, second = (m for m in head.modules() if isinstance(m, nn.Conv2d))
    out = convolved(features, first, len(first.weight), 3 if scale == 1 else 1, name="policy_head")
    out = convolved(out.relu(), second, scale**2, 1, name="policy_head")
    logits = functional.pixel_shuffle(out, scale)[:, 0]
    margin = (logits.shape[1] - size) // 2
    return logits[:, margin : margin + size, margin : margin + size].flatten(1)


def auxiliary_of(head: Any, features: Tensor, size: int) -> Tensor | None:
    """What an auxiliary head gives, from its layers; None if these are of another kind.

    Raises:
        Unlike: a layer has other weights.
    """
    layers = [m for m in head.layers if not isinstance(m, nn.ReLU | nn.Flatten)]
    kinds = [type(m) for m in layers]
    if kinds == [nn.Linear, nn.Linear]:  # moves_left
        return _perceptron(features.mean(dim=(2, 3)), layers).squeeze(1)
    if kinds == [nn.Conv2d, nn.Linear]:
        reduced = functional.conv2d(features, layers[0].weight, layers[0].bias).relu().flatten(1)
        return functional.linear(reduced, layers[1].weight, layers[1].bias).view(
            len(features), -1, size * size
        )
    if kinds != [nn.Conv2d, nn.Conv2d]:
        return None
    hidden = convolved(features, layers[0], len(layers[0].weight), 3, name="its first layer").relu()
    out = convolved(hidden, layers[1], len(layers[1].weight), 1, name="its last layer")
    margin = (out.shape[-1] - size) // 2
    return out[:, :, margin : margin + size, margin : margin + size].flatten(2)


def _perceptron(out: Tensor, layers: list[Any]) -> Tensor:
    first, last = layers
    hidden = functional.linear(out, first.weight, first.bias).relu()
    return functional.linear(hidden, last.weight, last.bias)
