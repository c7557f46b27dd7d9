"""The optimiser of a configuration, and its groups of parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.model.network import Parted
from hexsearch.training.optimisation.eager import eager
from hexsearch.training.optimisation.muon import MuonWithAdamW

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def parameter_groups(network: Parted, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Groups of parameters by part and weight decay. Every parameter is in exactly one group.

    Norms and biases (parameters with fewer than two dimensions) have no weight decay. The
    `factor` of a group multiplies the scheduled learning rate. `is_matrix` marks the groups for
    Muon: matrices and convolution kernels of the trunk, never those of a head.
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
    """The optimiser of a configuration. Its learning rate is set before each step."""
    groups = parameter_groups(network, config)
    fused = device.type in ("cpu", "cuda")
    if config.name == "sgd":
        return eager(torch.optim.SGD)(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
            fused=fused,
        )
    if config.name == "muon" and any(group["is_matrix"] for group in groups):
        return eager(MuonWithAdamW)(groups, config.learning_rate, config.momentum, fused)
    return eager(torch.optim.AdamW)(
        groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=fused
    )


def clip_gradients(network: nn.Module | Parted, limit: float) -> torch.Tensor:
    """Scale all gradients so that their joint L2 norm is at most `limit`; return the old norm."""
    return torch.nn.utils.clip_grad_norm_(network.parameters(), limit)


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore a result of `state_dict`, as far as it is the state of parameters.

    Everything else in it, such as betas, comes from the configuration and the device.

    Raises:
        ValueError: a tensor does not fit its parameter, or something else stands in its place. A
            fused step would read memory beyond a tensor that is too small.
    """
    parts = optimiser.parts if isinstance(optimiser, MuonWithAdamW) else (optimiser,)
    settings = [_settings(part) for part in parts]
    optimiser.load_state_dict(state)
    for part, own in zip(parts, settings, strict=True):
        for group, kept in zip(part.param_groups, own, strict=True):
            group.update(kept)
        _require_fit(part)


def _settings(optimiser: torch.optim.Optimizer) -> list[dict[str, Any]]:
    return [
        # The rate is that of the last step; the schedule sets it again before the next one.
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimiser.param_groups
    ]


def _require_fit(optimiser: torch.optim.Optimizer) -> None:
    if len({frozenset(kept) for kept in optimiser.state.values()}) > 1:
        raise ValueError("the optimiser's state has other parts for some parameters")
    for parameter, kept in optimiser.state.items():
        for name, value in kept.items():
            if not _fits(value, parameter) and (name, value) != ("momentum_buffer", None):
                raise ValueError(f"the optimiser's {name} does not fit its parameter")


def _fits(value: object, parameter: torch.Tensor) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and isinstance(parameter, torch.Tensor)
        and value.is_floating_point()
        and value.layout == torch.strided
        and value.shape in (parameter.shape, ())
    )
