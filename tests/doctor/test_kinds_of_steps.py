"""Tests of what a watched training says of gradients, weights and settings that are changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from hexsearch.data.archive import GameArchive, build_archive
from tests.doctor.conftest import every_tenth
from tests.doctor.kinds import Loop, first_cause
from tests.doctor.own_scripts import SIZE, Games, Net, bce
from tests.doctor.test_own_training_later import batch
from tests.doctor.test_play import random_game


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(6)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def on_gradients(change: Callable[[torch.Tensor, torch.Tensor], Any], wide: bool = False) -> Loop:
    """A loop that changes each gradient, given with its weight."""

    def every(net: nn.Module, _: optim.Optimizer) -> None:
        for weight in net.parameters():
            assert weight.grad is not None
            if weight.ndim > 1 or not wide:
                change(weight.grad, weight.detach())

    return Loop(before_step=every)


def back_to_the_first() -> Callable[[nn.Module], None]:
    saved: dict[str, Any] = {}

    def load(net: nn.Module) -> None:
        saved.setdefault("state", {k: v.clone() for k, v in net.state_dict().items()})
        net.load_state_dict(saved["state"])

    return load


def clamp(net: nn.Module) -> None:
    for weight in net.parameters():
        weight.data.clamp_(-0.01, 0.01)


class Averaging:
    """Keeps an average of a network beside it."""

    def __init__(self, kept: float) -> None:
        self.kept = kept

    def __call__(self, net: nn.Module) -> None:
        if not hasattr(self, "average"):
            self.average = copy.deepcopy(net)
        for mine, weight in zip(self.average.parameters(), net.parameters(), strict=True):
            mine.data.mul_(self.kept).add_(weight.data, alpha=1 - self.kept)


def with_momentum(momentum: float) -> Callable[[], Net]:
    def make() -> Net:
        net = Net()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = momentum
        return net

    return make


def two_rates(value: float) -> Loop:
    def make(net: nn.Module) -> optim.Optimizer:
        head = [p for n, p in net.named_parameters() if n.startswith("value")]
        rest = [p for n, p in net.named_parameters() if not n.startswith("value")]
        groups: list[dict[str, Any]] = [{"params": head, "lr": value}, {"params": rest}]
        return optim.Adam(groups, 1e-3)

    return Loop(optimiser=make)


@dataclass(frozen=True)
class Apart(Loop):
    """With an optimiser for each loss, both of which hold all weights."""

    together: bool = False

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        rows, net = self.rows(games), Net()
        of_policy, of_value = (optim.Adam(net.parameters(), 1e-3) for _ in range(2))
        for number in range(30):
            planes, cells, won = batch(rows, self.chosen(number, len(rows)))
            of_policy.zero_grad()
            logits, raw = net(planes)
            torch.autograd.backward(functional.cross_entropy(logits, cells), retain_graph=True)
            if not self.together:
                of_policy.step()
                raw = net(planes)[1]
            torch.autograd.backward(bce(raw, won))
            if self.together:
                of_policy.step()
            of_value.step()


class Anew(Loop):
    """With a network and an optimiser for each batch."""

    def __call__(self, games: Games) -> None:
        for _ in range(30):
            Loop(steps=1)(games)


MISTAKES: dict[str, tuple[Loop, str]] = {
    "momentum": (
        Loop(optimiser=lambda net: optim.SGD(net.parameters(), 0.05, momentum=0.999)),
        "goes over 1,000 steps",
    ),
    "exchanged betas": (
        Loop(optimiser=lambda net: optim.Adam(net.parameters(), 1e-3, betas=(0.999, 0.9))),
        "the two betas are exchanged",
    ),
    "epsilon": (
        Loop(optimiser=lambda net: optim.Adam(net.parameters(), 1e-3, eps=1.0)),
        "eps is larger than the gradients",
    ),
    "rates apart": (two_rates(0.3), "at a rate 300 times that of another"),
    "an epoch's factor for each batch": (
        Loop(schedule=lambda optimiser: optim.lr_scheduler.ExponentialLR(optimiser, 0.9)),
        "it is halved every 7 steps",
    ),
    "cut off": (
        Loop(before_step=lambda net, _: clip_grad_value_(net.parameters(), 1e-5)),
        "each number is cut off at a limit of 1e-05 (clip_grad_value_)",
    ),
    "signs": (on_gradients(lambda g, w: g.copy_(g.sign())), "of each number only the sign"),
    "a decay that outweighs": (
        on_gradients(lambda g, w: g.add_(w, alpha=10.0)),
        "a multiple of the weights is added (a decay, an L2 penalty), which outweighs them",
    ),
    "noise": (
        on_gradients(lambda g, w: g.add_(torch.randn_like(g) * 0.1)),
        "gradients are changed one by one",
    ),
    "a head without gradients": (
        Loop(before_step=lambda net, _: net.get_submodule("policy").zero_grad(False)),
        "are set to 0",
    ),
    "steps that are taken twice": (
        Loop(before_step=lambda net, optimiser: optimiser.step()),
        "step() is called several times after each backward()",
    ),
    "two optimisers of all weights": (
        Apart(together=True),
        "several optimisers hold the same weights",
    ),
    "gradients that another optimiser has used": (
        Apart(together=False),
        "are not cleared before the next one of another optimiser",
    ),
    "gradients that are clipped after the step": (
        Loop(after_step=lambda net: clip_grad_norm_(net.parameters(), 1.0)),
        "gradients are clipped after the step that has used them",
    ),
    "a network for each batch": (Anew(), "the network is made anew for each batch"),
    "clamped weights": (Loop(after_step=clamp), "weights are cut off at 0.01 after each step"),
    "weights that are loaded again": (
        Loop(after_step=back_to_the_first()),
        "the weights get back the numbers that they had before it",
    ),
    "an exchanged average": (
        Loop(after_step=Averaging(0.02)),
        "the moving average of the weights (EMA) averages nothing",
    ),
    "norms that never change": (
        Loop(network=with_momentum(0.0)),
        "running statistics of the batch norms are never updated",
    ),
    "norms of the last batch": (
        Loop(network=with_momentum(1.0)),
        "those of the last batch alone",
    ),
}


@pytest.mark.parametrize("name", every_tenth(MISTAKES))
def test_a_mistake_is_the_first_finding(played: GameArchive, name: str) -> None:
    loop, words = MISTAKES[name]
    assert words in first_cause(loop.findings(played))


class ClippedInTurn(Loop):
    """With an optimiser for each of three parts, each of which is clipped before its step."""

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        rows, net = self.rows(games), Net()
        parts = [net.body, net.policy, net.value]
        optimisers = [optim.Adam(part.parameters(), 1e-3) for part in parts]
        for number in range(30):
            planes, cells, won = batch(rows, self.chosen(number, len(rows)))
            net.zero_grad()
            logits, raw = net(planes)
            torch.autograd.backward(functional.cross_entropy(logits, cells) + bce(raw, won))
            for part, optimiser in zip(parts, optimisers, strict=True):
                clip_grad_norm_(part.parameters(), 1.0)
                optimiser.step()


class Adversarial(Loop):
    """That moves its planes along their gradients first."""

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        rows, net = self.rows(games), Net()
        optimiser = optim.Adam(net.parameters(), 1e-3)
        for number in range(30):
            planes, cells, won = batch(rows, self.chosen(number, len(rows)))
            planes.requires_grad_(True)
            torch.autograd.backward(bce(net(planes)[1], won))
            assert planes.grad is not None
            moved = (planes + 0.01 * planes.grad.sign()).detach()
            optimiser.zero_grad()
            logits, raw = net(moved)
            torch.autograd.backward(functional.cross_entropy(logits, cells) + bce(raw, won))
            optimiser.step()


SOUND = {
    "planes that are moved": Adversarial(),
    "clipped in turn": ClippedInTurn(),
    "much momentum": Loop(
        optimiser=lambda net: optim.SGD(net.parameters(), 0.01, momentum=0.99, nesterov=True)
    ),
    "a decay by hand": on_gradients(lambda g, w: g.add_(w, alpha=0.01)),
    "centralised gradients": on_gradients(
        lambda g, w: g.sub_(g.mean(dim=tuple(range(1, g.ndim)), keepdim=True)), wide=True
    ),
    "clipped together": Loop(before_step=lambda net, _: clip_grad_norm_(net.parameters(), 1.0)),
    "weights of limited norm": Loop(
        after_step=lambda net: [
            weight.data.copy_(weight.data.renorm(2, 0, 3.0))
            for weight in net.parameters()
            if weight.ndim > 1
        ]
    ),
    "an average": Loop(after_step=Averaging(0.98)),
    "a copy of the network": Loop(after_step=copy.deepcopy),
    "rates of a decay by layers": two_rates(1e-4),
    "warm-up": Loop(
        schedule=lambda optimiser: optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, (step + 1) / 1000)
        )
    ),
    "cosine": Loop(schedule=lambda optimiser: optim.lr_scheduler.CosineAnnealingLR(optimiser, 60)),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_step_has_no_finding(played: GameArchive, name: str) -> None:
    assert not SOUND[name].findings(played)
