"""Parameter groups and the learning-rate schedule, a pure function of positions seen."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.model.network import Parted
from hexsearch.training.muon import MuonWithAdamW

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4  # of the peak rate (Smith, arXiv:1708.07120)
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def parameter_groups(network: Parted, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Groups by owner and by whether weight decay applies; together every parameter once.

    Norms and biases (anything with fewer than two dimensions) are not decayed. Each group's
    `factor` multiplies the scheduled learning rate; `is_matrix` says that it holds the hidden
    matrices that Muon is for: the trunk's, convolution kernels included, never a head's.
    """
    norms = {
        id(parameter)
        for part in network.parts().values()
        for module in part.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    groups: list[dict[str, Any]] = []
    for owner, module in network.parts().items():
        is_value = owner == "value_head"
        parameters = [p for p in module.parameters() if p.requires_grad]
        decay = config.weight_decay * (config.value_decay_factor if is_value else 1.0)
        for decayed in (True, False):
            members = [p for p in parameters if (p.ndim >= 2 and id(p) not in norms) == decayed]
            if members:
                groups.append(
                    {
                        "params": members,
                        "owner": owner,
                        "factor": config.value_lr_factor if is_value else 1.0,
                        "weight_decay": decay if decayed else 0.0,
                        "is_matrix": owner == "trunk" and decayed,
                    }
                )
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = {id(p) for p in network.parameters() if p.requires_grad}
    assert len(owned) == len(set(owned)) and set(owned) == trainable, "groups do not partition"
    return groups


def build_optimiser(
    network: Parted, config: OptimiserConfig, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser of a configuration; its learning rate is set before each step."""
    groups = parameter_groups(network, config)
    fused = device.type in ("cpu", "cuda")
    if config.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
            fused=fused,
        )
    if config.name == "muon":
        return MuonWithAdamW(groups, config.learning_rate, config.momentum, fused)
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=fused
    )


def learning_rate(config: OptimiserConfig, progress: float) -> float:
    """Rate at a share of the budget seen, in [0, 1].

    Defined on the whole budget, never on what a scheduler may cut it to, so that trials are
    compared at equal points of equal schedules.

    >>> cycle = OptimiserConfig(learning_rate=1.0, schedule="one_cycle", warmup=0.5)
    >>> [round(learning_rate(cycle, at), 4) for at in (0.0, 0.5, 1.0)]
    [0.04, 1.0, 0.0]
    """
    peak = config.learning_rate
    if progress < config.warmup:
        rising = progress / config.warmup
        if config.schedule == "one_cycle":
            return _cosine(peak * _ONE_CYCLE_START, peak, rising)
        return peak * rising
    if config.schedule == "constant":
        return peak
    falling = (progress - config.warmup) / (1.0 - config.warmup)
    end = peak * _ONE_CYCLE_START * _ONE_CYCLE_END if config.schedule == "one_cycle" else 0.0
    return _cosine(peak, end, min(falling, 1.0))


def set_learning_rate(
    optimiser: torch.optim.Optimizer, config: OptimiserConfig, progress: float
) -> None:
    """Set every group's rate for the next step."""
    rate = learning_rate(config, progress)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def clip_gradients(network: nn.Module, limit: float) -> torch.Tensor:
    """Scale all gradients so that their joint L2 norm is at most `limit`; the norm before."""
    return torch.nn.utils.clip_grad_norm_(network.parameters(), limit)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
