"""Faults of the training path with a random amount: of losses, gradients, steps and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.trial import Trial
from tests.doctor.slips import (
    Inject,
    Patch,
    after_each_step,
    before_clipping,
    each_group,
    in_losses,
    in_optimiser,
    in_reported,
    in_value_loss,
)

Edit = Callable[[float], Inject]  # of an amount


def _own_value(of: Callable[[Any, Tensor, Batch], Tensor]) -> Inject:
    """Another value loss, computed from read-out, raw values and batch."""

    def change(losses: Any, batch: Batch, stepper: Any) -> Any:
        raw = stepper.network(batch.planes).value_raw.float()
        return losses._replace(values=(of(stepper._readouts[0], raw, batch),))

    return in_losses(change)


def _each_gradient(change: Callable[[Tensor, str], Tensor]) -> Inject:
    def apply(network: Network) -> None:
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(change(parameter.grad, name))

    return before_clipping(apply)


def _undo(stepper: Any, before: dict[str, Tensor]) -> None:
    for name, parameter in stepper.network.named_parameters():
        parameter.copy_(before[name])


def _shrink(amount: float) -> Inject:
    def shrink(stepper: Any, before: dict[str, Tensor]) -> None:
        for parameter in stepper.network.parameters():
            parameter.mul_(1 - 0.02 * amount)

    return after_each_step(shrink)


def _raw(change: Callable[[Tensor], Tensor]) -> Inject:
    """Other raw values in each forward pass."""

    def inject(patch: Patch) -> None:
        sound = Network.forward

        def forward(self: Network, planes: Tensor, *rest: Any) -> Any:
            output = sound(self, planes, *rest)
            return output._replace(value_raw=change(output.value_raw))

        patch.setattr(Network, "forward", forward)

    return inject


def _stale(patch: Patch) -> None:
    """The mean of the raw values of this call and of the call before."""
    last: list[Tensor] = []

    def change(raw: Tensor) -> Tensor:
        before = last[0] if last and last[0].shape == raw.shape else None
        last[:] = [raw.detach().clone()]
        return raw if before is None else 0.5 * raw + 0.5 * before

    _raw(change)(patch)


def _never_cleared(optimiser: Any) -> None:
    optimiser.zero_grad = lambda set_to_none=True: None


def _never_stepping(optimiser: Any) -> None:
    optimiser.step = lambda closure=None: None


def _eval_mode(patch: Patch) -> None:
    sound = Trial.train_on

    def train_on(self: Any, batch: Batch) -> None:
        self.network.eval()
        sound(self, batch)

    patch.setattr(Trial, "train_on", train_on)


def _train_mode_evaluation(patch: Patch) -> None:
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        network.train()
        return sound(self, network, batch)

    patch.setattr(Evaluator, "_answer", answer)


def _at_cursor(change: Callable[[int, int], int]) -> Inject:
    """Batches of another cursor, by cursor and batch size."""

    def inject(patch: Patch) -> None:
        sound = TrainingStream.batch
        patch.setattr(
            TrainingStream,
            "batch",
            lambda self, cursor, size: sound(self, change(cursor, size), size),
        )

    return inject


def _noisy(amount: float) -> Inject:
    def change(gradient: Tensor, name: str) -> Tensor:
        generator = torch.Generator().manual_seed(gradient.numel())
        noise = torch.randn(gradient.shape, generator=generator)
        return gradient + amount * gradient.abs().mean() * 3 * noise

    return _each_gradient(change)


_WITH_AMOUNT: dict[str, tuple[Edit, str]] = {
    "value loss scaled": (lambda a: in_value_loss(lambda v, b: 0.02 * a * v), "multiplied|times"),
    "policy loss scaled": (
        lambda a: in_losses(lambda m, b, s: m._replace(policy=0.05 * a * m.policy)),
        "times",
    ),
    "gradients of the value head scaled": (
        lambda a: _each_gradient(lambda g, n: g * a * 3 if n.startswith("value_head") else g),
        "single parts|part",
    ),
    "gradients with noise": (_noisy, "changed between|another loss|hooks"),
    "weights shrink": (_shrink, "something else than the optimiser"),
    "value constant": (
        lambda a: _raw(lambda raw: raw * 0 + a),
        "detached|does not depend|gradient|constant",
    ),
}
_WITHOUT_AMOUNT: dict[str, tuple[Inject, str]] = {
    "value loss negative": (in_value_loss(lambda v, b: -v), "sign"),
    "value loss by batch": (in_value_loss(lambda v, b: v / len(b)), "multiplied|times"),
    "value loss masked": (in_value_loss(lambda v, b: v * b.has_move), "masked"),
    "value loss on moves only": (in_value_loss(lambda v, b: v * (b.ply % 2)), "masked"),
    "value loss detached": (
        in_value_loss(lambda v, b: v.detach()),
        "detached|does not depend|does not enter|gradient",
    ),
    "value loss against red_won": (
        _own_value(lambda r, raw, b: r.loss(raw, b.red_won)),
        "red_won|not exchanged|inverted|side",
    ),
    "value loss of sigmoid": (
        _own_value(lambda r, raw, b: r.loss(raw.sigmoid(), b.outcome)),
        "sigmoid",
    ),
    "value loss raw squared": (
        _own_value(lambda r, raw, b: (raw - b.outcome).square()),
        "raw output with 0 and 1",
    ),
    "value loss broadcast": (
        _own_value(lambda r, raw, b: (raw[:, None].sigmoid() - b.outcome).square().mean(dim=1)),
        "broadcast|not that of the read-out",
    ),
    "value loss mean label": (
        _own_value(lambda r, raw, b: r.loss(raw, b.outcome.mean().expand_as(raw))),
        "mean label|instead of 0 and 1|every label",
    ),
    "value loss sorted": (
        _own_value(lambda r, raw, b: r.loss(raw, b.outcome.sort().values)),
        "order|random|row|label",
    ),
    "value loss flattened by temperature": (
        _own_value(lambda r, raw, b: r.loss(raw * 0.1, b.outcome)),
        "not that of the read-out|scale",
    ),
    "policy loss negative": (in_losses(lambda m, b, s: m._replace(policy=-m.policy)), "sign"),
    "policy loss zero": (
        in_losses(lambda m, b, s: m._replace(policy=m.policy * 0)),
        "always 0|does not|detached",
    ),
    "gradients reversed": (_each_gradient(lambda g, n: -g), "sign|scaled|times"),
    "gradients by sign": (
        _each_gradient(lambda g, n: g.sign()),
        "changed between|another loss|only the sign is kept",
    ),
    "value gradient kept from the trunk": (
        _each_gradient(lambda g, n: torch.zeros_like(g) if n.startswith("trunk") else g),
        "single parts|removed|part",
    ),
    "gradients never cleared": (in_optimiser(_never_cleared), "never cleared|earlier batches"),
    "optimiser never steps": (in_optimiser(_never_stepping), "no step|moves nothing|never called"),
    "optimiser climbs": (each_group(lambda group: True, maximize=True), "sign|up the gradient"),
    "steps undone": (after_each_step(_undo), "undone|put back"),
    "value stale": (_stale, "one call to the next|stale|twice"),
    "answers at random": (
        _raw(lambda raw: nn.functional.dropout(raw, 0.3, training=True)),
        "dropout|train mode|random",
    ),
    "value softmax over the batch": (
        _raw(lambda raw: 5 * raw.softmax(dim=0)),
        "over the batch|batch norm",
    ),
    "value centred over the batch": (
        _raw(lambda raw: raw - raw.mean()),
        "over the batch|batch norm",
    ),
    "value rows reversed": (_raw(lambda raw: raw.flip(0)), "over the batch|batch norm|row"),
    "training in eval mode": (_eval_mode, "eval mode"),
    "evaluation in train mode": (_train_mode_evaluation, "train mode"),
    "reported for Blue": (in_reported(lambda p, b: 1 - p), "Blue is reported|colour"),
    "reported with the label": (
        in_reported(lambda p, b: 0.8 * p + 0.2 * b.red_won),
        "label itself|outcome reaches|something else than",
    ),
    "reported by the mover": (
        in_reported(lambda p, b: torch.where(b.ply % 2 == 1, 1 - p, p)),
        "carried back|something else than|Blue is reported|side",
    ),
    "reported squeezed": (
        in_reported(lambda p, b: 0.5 + 0.3 * (p - 0.5)),
        "something else than|another formula",
    ),
    "one batch again and again": (_at_cursor(lambda cursor, size: 0), "again and again|cursor"),
    "a handful of batches": (
        _at_cursor(lambda cursor, size: cursor % (3 * size)),
        "again and again|small part",
    ),
}


def _whatever_amount(inject: Inject) -> Edit:
    return lambda amount: inject


PATH_EDITS: dict[str, tuple[Edit, str]] = _WITH_AMOUNT | {
    name: (_whatever_amount(inject), words) for name, (inject, words) in _WITHOUT_AMOUNT.items()
}
