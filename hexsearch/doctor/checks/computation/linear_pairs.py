"""Looks for linear layers of a user's network that follow each other directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 16


def check_linear_pairs(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Between two linear layers there must be an activation, unless they factor a matrix."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    if not isinstance(foreign.model, nn.Module):
        return
    positions = take(observed.positions, np.arange(min(_POSITIONS, len(observed.positions))))
    pairs = _pairs(foreign.model, lambda: foreign.respond(foreign.planes(positions)))
    if pairs:
        first, second = pairs[0]
        yield Finding.warning(
            "linear layers",
            f"the input of {second} is the output of {first}, on all of {len(positions)} positions",
            f"there is no activation between {first} and {second}: two linear layers without one "
            "compute no more than a single linear layer",
            "put an activation (a ReLU, for instance) between them, and train again",
            root="linear pair",
        )


def _pairs(network: nn.Module, run: Callable[[], object]) -> list[tuple[str, str]]:
    """Names of linear layers of which the second gets what the first one returns."""
    returned: dict[str, Tensor] = {}
    found: list[tuple[str, str]] = []
    layers = {name: m for name, m in network.named_modules() if isinstance(m, nn.Linear)}

    def look(name: str, layer: nn.Linear, inputs: tuple[Any, ...], output: Any) -> None:
        if not inputs or not isinstance(inputs[0], Tensor) or not isinstance(output, Tensor):
            return
        for before, tensor in returned.items():
            other = layers[before]
            # A narrow layer between two wide ones is a matrix of low rank, on purpose.
            is_factor = other.out_features < min(other.in_features, layer.out_features)
            same = tensor.numel() == inputs[0].numel() and bool(tensor.any())
            if same and not is_factor and torch.equal(tensor, inputs[0].detach().reshape(-1)):
                found.append((before, name))
        returned[name] = output.detach().reshape(-1).clone()

    handles = [
        layer.register_forward_hook(lambda m, i, o, name=name: look(name, m, i, o))
        for name, layer in layers.items()
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found
