from __future__ import annotations

import doctest

import pytest
import torch

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.model.network import build_network
from hexsearch.training import report_points
from hexsearch.training.optimisation import schedule
from hexsearch.training.optimisation.optimiser import (
    build_optimiser,
    clip_gradients,
    parameter_groups,
)
from hexsearch.training.optimisation.schedule import learning_rate, set_learning_rate


@pytest.mark.parametrize("module", [schedule, report_points], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted and not result.failed


def network() -> torch.nn.Module:
    return build_network(TrialConfig.model_validate({"trunk": "tiny"}), 2, 5, seed=0)


def test_groups_hold_every_parameter_exactly_once() -> None:
    net = network()
    groups = parameter_groups(net, OptimiserConfig())  # type: ignore[arg-type]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters())


def test_norms_and_biases_are_not_decayed() -> None:
    for group in parameter_groups(network(), OptimiserConfig(weight_decay=0.5)):  # type: ignore[arg-type]
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.5 if parameter.ndim >= 2 else 0.0)


def test_the_value_heads_factor_reaches_all_of_its_parameters_and_no_other() -> None:
    net = network()
    config = OptimiserConfig(
        learning_rate=0.5, value_lr_factor=0.1, schedule="constant", warmup=0.0
    )
    optimiser = build_optimiser(net, config, torch.device("cpu"))  # type: ignore[arg-type]
    set_learning_rate(optimiser, config, 0.3)
    for group in optimiser.param_groups:
        assert group["lr"] == pytest.approx(0.05 if group["owner"] == "value_head" else 0.5)


def test_one_cycle_is_torchs_own_at_every_step() -> None:
    config = OptimiserConfig(learning_rate=0.2, schedule="one_cycle", warmup=0.25)
    parameter = torch.nn.Parameter(torch.zeros(1))
    theirs = torch.optim.SGD([parameter], lr=1.0)
    total = 41
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=0.2, total_steps=total, pct_start=0.25, cycle_momentum=False
    )
    for step in range(total):
        # torch's warm-up ends at step pct_start * total - 1 and the whole at total - 1.
        ends = 0.25 * total - 1
        done = step / ends if step <= ends else 1 + (step - ends) / (total - 1 - ends)
        progress = 0.25 * done if done <= 1 else 0.25 + 0.75 * (done - 1)
        assert learning_rate(config, progress) == pytest.approx(
            theirs.param_groups[0]["lr"], rel=1e-4, abs=1e-7
        )
        theirs.step()
        if step < total - 1:
            schedule.step()


def test_layer_norms_are_not_decayed_though_they_have_three_dimensions() -> None:
    net = network()
    net.trunk.widen = torch.nn.LayerNorm([16, 3, 3])  # type: ignore[union-attr]
    for group in parameter_groups(net, OptimiserConfig(weight_decay=0.5)):  # type: ignore[arg-type]
        for parameter in group["params"]:
            if parameter.shape == (16, 3, 3):
                assert group["weight_decay"] == 0.0 and not group["is_matrix"]


def test_the_decay_factor_reaches_the_value_heads_matrices_and_no_other() -> None:
    config = OptimiserConfig(weight_decay=0.5, value_decay_factor=0.1)
    for group in parameter_groups(network(), config):  # type: ignore[arg-type]
        decayed = all(parameter.ndim >= 2 for parameter in group["params"])
        expected = 0.05 if group["owner"] == "value_head" else 0.5
        assert group["weight_decay"] == pytest.approx(expected if decayed else 0.0)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_muon_moves_each_kernel_as_torchs_own_moves_the_matrix(
    memory_format: torch.memory_format,
) -> None:
    net = network().to(memory_format=memory_format)  # type: ignore[call-overload]
    config = OptimiserConfig(name="muon", learning_rate=0.01, weight_decay=0.1, momentum=0.9)
    optimiser = build_optimiser(net, config, torch.device("cpu"))
    set_learning_rate(optimiser, config, 0.5)
    rate = optimiser.param_groups[0]["lr"]
    kernels = [m.weight for m in net.trunk.modules() if isinstance(m, torch.nn.Conv2d)]
    copies = [torch.nn.Parameter(k.detach().reshape(len(k), -1).clone()) for k in kernels]
    theirs = torch.optim.Muon(
        copies, lr=rate, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(3):
        for parameter in net.parameters():
            parameter.grad = torch.sin(parameter.detach() * 50 + step)
        for kernel, copy in zip(kernels, copies, strict=True):
            assert kernel.grad is not None
            copy.grad = kernel.grad.reshape(len(kernel), -1).clone()
        optimiser.step()
        theirs.step()  # type: ignore[no-untyped-call]
    for kernel, copy in zip(kernels, copies, strict=True):
        # Columns in another order are summed in another order, in bfloat16.
        torch.testing.assert_close(kernel.reshape(len(kernel), -1), copy, rtol=0, atol=0.3 * rate)


def test_muon_leaves_heads_norms_and_biases_to_adamw() -> None:
    nets = [network(), network()]
    moved = []
    for net, name in zip(nets, ("muon", "adamw"), strict=True):
        config = OptimiserConfig(name=name, schedule="constant", warmup=0.0)  # type: ignore[arg-type]
        optimiser = build_optimiser(net, config, torch.device("cpu"))  # type: ignore[arg-type]
        for parameter in net.parameters():
            parameter.grad = torch.cos(parameter.detach() * 9)
        optimiser.step()
        moved.append(dict(net.named_parameters()))
    for name in moved[0]:
        is_matrix = name.startswith("trunk") and moved[0][name].ndim >= 2
        assert torch.equal(moved[0][name], moved[1][name]) == (not is_matrix), name


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_rates_rise_through_the_warm_up_to_the_peak(schedule: str) -> None:
    config = OptimiserConfig(learning_rate=1.0, schedule=schedule, warmup=0.2)  # type: ignore[arg-type]
    rates = [learning_rate(config, at / 100) for at in range(21)]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(1.0)
    assert learning_rate(config, 1.0) == pytest.approx(
        1.0 if schedule == "constant" else 0.0, abs=1e-4
    )


def test_clipping_scales_the_joint_norm_to_the_limit() -> None:
    net = network()
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    count = sum(parameter.numel() for parameter in net.parameters())
    before = clip_gradients(net, 2.0)
    assert float(before) == pytest.approx(0.5 * count**0.5, rel=1e-5)
    joint = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm()
    assert float(joint) == pytest.approx(2.0, rel=1e-4)
