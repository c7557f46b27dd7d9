"""Makes the answers of a network that has hardly been trained differ from one another.

After a few steps all answers are near 0.5, where a square, a root, a rounding and a temperature
look alike. Larger weights in the last layer of the value head tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.watching import WatchedTrial

_WANTED = 1.5  # standard deviation of raw values
_MOST = 200.0  # largest factor: rounding errors grow by it, too


@contextmanager
def spread_out(trial: WatchedTrial, planes: torch.Tensor) -> Iterator[None]:
    """In this context raw values differ by about 1.5 around 0, if a linear layer gives them.

    Args:
        planes: [B, C, N, N] positions for which they do.
    """
    network = trial.answering
    with torch.no_grad(), in_eval_mode(network.modules()):
        raw = network(trial.execution.show(planes)).value_raw.float()
    spread = float(raw.std()) if raw.numel() > 1 else 0.0
    factor = min(_WANTED / spread, _MOST) if 1e-6 < spread < _WANTED else 1.0
    last = {id(layer): layer for head in (network, trial.network) for layer in _last(head)}
    kept = [(p, p.detach().clone()) for layer in last.values() for p in layer.parameters()]
    with torch.no_grad():
        for layer in last.values():
            layer.weight.mul_(factor)
            layer.bias.sub_(raw.mean()).mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, own in kept:
                parameter.copy_(own)


def _last(network: nn.Module) -> list[nn.Linear]:
    """The last layer of the value head, if it is a linear one with one output."""
    head = network.get_submodule("value_head")
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    usable = linear and linear[-1].out_features == 1 and linear[-1].bias is not None
    return linear[-1:] if usable else []
