"""Tests of what the doctor says of changes in the data, losses and steps of a pipeline.

Most are slips that were thought out, or drawn by somebody who had not read the checks, and that had
a vague name or a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hexsearch.training.step as steps
from hexsearch.data.archive import GameArchive
from hexsearch.model.readout import Bce, Readout
from hexsearch.training.optimisation import owner as owners
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from tests.doctor.conftest import every_tenth
from tests.doctor.slips import (
    Inject,
    Slip,
    after_each_step,
    before_clipping,
    in_network,
    in_optimiser,
    in_rates,
    in_value_loss,
    patched,
)
from tests.doctor.test_yardstick import findings_on


def masked(sound: Any) -> Any:
    return lambda logits, target, has: sound(logits.scatter(1, target[:, None], -1e4), target, has)


def twice(sound: Any) -> Any:
    def step(self: Owner, scaler: Any, look: bool) -> None:
        self.optimiser.zero_grad()
        sound(self, scaler, look)

    return step


def never_for_heads(sound: Any) -> Any:
    @torch.no_grad()
    def update(self: Any, *given: Any) -> None:
        kept = [each.clone() for each in self._averages[-4:]]
        sound(self, *given)
        for average, old in zip(self._averages[-4:], kept, strict=True):
            average.copy_(old)

    return update


def on_gradients(change: Callable[[Tensor], Any], flat: bool = False) -> Inject:
    def every(network: nn.Module) -> None:
        for weight in network.parameters():
            if weight.grad is not None and (not flat or weight.ndim < 2):
                change(weight.grad)

    return before_clipping(every)


def with_loss(change: Callable[[Any, Tensor, Tensor], Tensor]) -> Inject:
    """Another loss inside the read-out."""
    return patched(Bce, "loss", lambda sound: lambda self, raw, t: change(sound, raw, t))


def entropy(raw: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(raw, target, reduction="none")


def scales_of_zero(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)


def halved(stepper: Any, _: dict[str, Tensor]) -> None:
    for weight in stepper.network.parameters():
        weight.copy_(weight.half().float())


def normalised(stepper: Any, _: dict[str, Tensor]) -> None:
    for weight in stepper.network.parameters():
        if weight.ndim > 1:
            weight.div_(weight.norm())


def constant_stem(network: nn.Module) -> None:
    stem = network.get_submodule("trunk.stem.0")
    assert isinstance(stem, nn.Conv2d)
    nn.init.constant_(stem.weight, 0.05)


def centred(gradient: Tensor) -> None:
    if gradient.ndim == 4:
        gradient.sub_(gradient.mean(dim=(1, 2, 3), keepdim=True))


def upwards(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["maximize"] = group["owner"] == "value_head"


def with_readouts(kind: Callable[[Readout], Readout]) -> Inject:
    """Other read-outs in the training step alone."""

    def make(sound: Any) -> Any:
        def forward(self: Stepper, *given: Any) -> Any:
            own = self._readouts
            self._readouts = tuple(kind(each) for each in own)
            try:
                return sound(self, *given)
            finally:
                self._readouts = own

        return forward

    return patched(Stepper, "_forward", make)


class Mixed(Readout):
    """Half of a cross-entropy and half of a squared error, which is a proper score, too."""

    def __init__(self, inner: Readout) -> None:
        self.inner = inner

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return 0.5 * entropy(raw, target) + 0.5 * (raw.sigmoid() - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


def faster(factor: float) -> Inject:
    return patched(
        owners,
        "set_learning_rate",
        lambda sound: lambda o, config, at: sound(o, config, min(factor * at, 1.0)),
    )


EMA = {"optimiser": {"ema_half_life": 2000}}
NAMED: dict[str, tuple[Inject, str, dict[str, Any]]] = {
    "loss of decisions": (
        in_value_loss(lambda v, _: (v > 0.6931).float() + 0 * v),
        "the answer is rounded",
        {},
    ),
    "mean taken off": (in_value_loss(lambda v, _: v - v.mean()), "mean value loss is subtr", {}),
    "largest": (in_value_loss(lambda v, _: v.max().expand(len(v))), "largest of the batch", {}),
    "exponential": (in_value_loss(lambda v, _: v.exp()), "the exponential of the read-out", {}),
    "random weights": (
        in_value_loss(lambda v, _: v * torch.rand(len(v))),
        "multiplied by a number of its own",
        {},
    ),
    "sign of one side": (
        in_value_loss(lambda v, b: torch.where(b.complement, -v, v)),
        "wrong sign exactly where the network answers for Blue",
        {},
    ),
    "own answer": (
        with_loss(lambda s, raw, t: entropy(raw, 0.5 * t + 0.5 * raw.sigmoid())),
        "50% of the target is the network's own answer",
        {},
    ),
    "penalty on the output": (
        with_loss(lambda s, raw, t: entropy(raw, t) + 5 * raw.square()),
        "5 times the squared output",
        {},
    ),
    "sure answers weigh": (
        with_loss(lambda s, raw, t: entropy(raw, t) * (2 * raw.sigmoid() - 1).abs()),
        "depends on its own answer",
        {},
    ),
    "played move masked": (
        patched(steps, "policy_loss", masked),
        "the move that was played is masked",
        {},
    ),
    "cleared": (patched(Owner, "step", twice), "gradients are cleared", {}),
    "noise": (
        on_gradients(lambda g: g.add_(0.3 * torch.randn_like(g))),
        "random numbers",
        {},
    ),
    "signs": (on_gradients(lambda g: g.sign_()), "only the sign is kept", {}),
    "biases doubled": (
        on_gradients(lambda g: g.mul_(2), flat=True),
        "norms and biases are multiplied by 2",
        {},
    ),
    "half precision": (
        after_each_step(halved),
        "rounded to float16",
        {},
    ),
    "unit norms": (
        after_each_step(normalised),
        "weights are normalised",
        {},
    ),
    "no rate for biases": (
        in_rates(lambda group: group["lr"] if group["weight_decay"] else 0.0),
        "learning rate of the norms and biases is 0 times",
        {},
    ),
    "floor": (in_rates(lambda group: max(group["lr"], 2e-3)), r"held above 0\.002", {}),
    "too fast": (faster(2.0), "too fast by a factor of about 2:", {}),
    "no average of heads": (
        patched(AveragedNetwork, "update", never_for_heads),
        "in this part it is never updated",
        EMA,
    ),
    "norms of zero": (in_network(scales_of_zero), "norms' scales are 0", {}),
    "constant stem": (in_network(constant_stem), "units begin with identical weights", {}),
    "goes up": (
        in_optimiser(upwards),
        "the wrong sign: they go up",
        {},
    ),
}
SOUND: dict[str, Inject] = {
    "centred gradients": on_gradients(centred),
    "mixture of proper losses": with_readouts(Mixed),
}


@pytest.mark.parametrize("name", every_tenth(NAMED))
def test_the_first_finding_names_the_change(name: str, archive: GameArchive) -> None:
    inject, words, settings = NAMED[name]
    found = findings_on(Slip(inject, words, settings), archive)
    assert found and re.search(words, found[0].cause), found


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_change_has_no_error(name: str, archive: GameArchive) -> None:
    found = findings_on(Slip(SOUND[name], ""), archive)
    assert all(finding.severity == "warning" for finding in found) and len(found) <= 1, found


def test_a_mixture_that_is_proper_for_other_answers_is_an_error(archive: GameArchive) -> None:
    mixed = Slip(with_readouts(Mixed), "", {"readout": "tanh_mse"})
    found = findings_on(mixed, archive)
    assert found[0].severity == "error" and found[0].check == "value loss", found
