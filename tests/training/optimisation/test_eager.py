"""Optimisers that do not import torch's compiler take torch's steps, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hexsearch.training.optimisation.eager import eager

SCRIPT = """
import sys, torch
from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.model.network import build_network
from hexsearch.training.optimisation.optimiser import build_optimiser

network = build_network(TrialConfig(), 4, 5, seed=0)
for name in ("adamw", "sgd", "muon"):
    optimiser = build_optimiser(network, OptimiserConfig(name=name), torch.device("cpu"))
    optimiser.zero_grad()
    network(torch.ones(2, 4, 5, 5)).value_raw.sum().backward()
    optimiser.step()
    optimiser.load_state_dict(optimiser.state_dict())
print("torch._dynamo" in sys.modules)
"""


def _trained(kind: Callable[..., Optimizer], **settings: float | bool) -> tuple[Tensor, Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimiser = kind(network.parameters(), lr=0.1, **settings)
    for _ in range(10):
        optimiser.zero_grad()
        network(torch.ones(3, 4)).square().sum().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
    return torch.cat([each.detach().flatten() for each in network.parameters()]), optimiser


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.AdamW, {}),
        (torch.optim.AdamW, {"fused": True}),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_the_steps_are_those_of_torch(
    kind: type[Optimizer], settings: dict[str, float | bool]
) -> None:
    own: Callable[..., Optimizer] = eager(kind)  # type: ignore[arg-type]
    ours, optimiser = _trained(own, **settings)
    theirs, other = _trained(kind, **settings)
    assert torch.equal(ours, theirs)
    assert optimiser.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    assert isinstance(optimiser, kind)


def test_no_gradient_is_recorded_in_a_step() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimiser = eager(torch.optim.SGD)([weight], lr=0.1)
    torch.autograd.backward(weight.sum())
    optimiser.step()
    assert weight.grad_fn is None and torch.is_grad_enabled()


def test_training_does_not_import_the_compiler() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
