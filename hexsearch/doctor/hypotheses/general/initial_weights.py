"""Weights as torch draws them, and weights that have decayed."""

from __future__ import annotations

import numpy as np
from torch import nn

_MANY = 400  # weights that a layer must have to be compared with initial ones
_DRAWN = 1.63  # Kolmogorov's bound at 1%, times the root of the number of weights
_DECAYED = 0.5  # factor on initial weights that a decay alone may have left
_DRIFTED = 1.02  # and that a training with far too small a rate may have left
_MOVED, _FARTHEST = 0.04, 1.25  # change of length, and factor on the bound, after a few steps
_GONE = 0.1  # length of weights, as a share of that of initial ones, that is as good as 0
_LONG = 6.0  # the same that no usual training reaches
Layer = nn.Conv2d | nn.Linear


def larger_layers(model: nn.Module) -> dict[str, Layer]:
    """The layers that have enough weights to be compared with initial ones."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() >= _MANY
    }


def is_drawn(layer: Layer) -> bool:
    """Whether weights and biases are distributed as torch draws them, or nearly.

    By default torch draws both uniformly within 1 / sqrt(inputs of a unit). A decay that is not
    part of the gradient makes all of them smaller by one factor.
    """
    bound = _bound(layer)
    parts = [layer.weight.detach().float().reshape(-1)]
    if layer.bias is not None:
        parts.append(layer.bias.detach().float().reshape(-1))
    if any(float(part.abs().max()) > bound * _DRIFTED for part in parts):
        return False
    order = parts[0].sort().values.double().numpy()
    end = max(-order[0], order[-1])
    if end < _DECAYED * bound:
        return False
    expected = end * (2 * (np.arange(len(order)) + 0.5) / len(order) - 1)
    gap = float(np.abs(order - expected).max()) / (2 * end)  # of the distribution functions
    return bool(
        gap < _DRAWN / np.sqrt(len(order)) and float(order[-1]) > end * (1 - 8 / len(order))
    )


def has_hardly_moved(layer: Layer) -> bool:
    """Whether weights are those that torch draws, or are still near to them."""
    largest = float(layer.weight.detach().abs().max())
    return abs(_length(layer) - 1) < _MOVED and largest < _FARTHEST * _bound(layer)


def has_vanished(layer: Layer) -> bool:
    """Whether the weights are far smaller than torch draws them."""
    return _length(layer) < _GONE


def is_too_long(layer: Layer) -> bool:
    """Whether the weights are far larger than torch draws them, as no training leaves them."""
    return _length(layer) > _LONG


def _length(layer: Layer) -> float:
    """Root of the mean square of the weights, where that of initial ones is 1."""
    mean: float = float(layer.weight.detach().float().square().mean()) ** 0.5
    return mean * 3**0.5 / _bound(layer)


def _bound(layer: Layer) -> float:
    bound: float = layer.weight[0].numel() ** -0.5
    return bound
