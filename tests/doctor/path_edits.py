"""Edits of the training path with an amount: of losses, gradients, steps and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hexsearch.data.batches import Batch, TrainingStream
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial

Patch = pytest.MonkeyPatch
Edit = Callable[[Patch, float, int], None]


def _losses(change: Callable[[Any, Batch, Any, float], Any]) -> Edit:
    """Other losses than those that the step computes."""

    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = Stepper._forward

        def forward(self: Any, batch: Batch, watched: bool) -> Any:
            losses, junction = sound(self, batch, watched)
            return change(losses, batch, self, amount), junction

        patch.setattr(Stepper, "_forward", forward)

    return edit


def _value(change: Callable[[torch.Tensor, Batch, float], torch.Tensor]) -> Edit:
    return _losses(lambda m, b, t, a: m._replace(values=(change(m.value, b, a),)))


def _own_value(of: Callable[[Any, torch.Tensor, Batch, float], torch.Tensor]) -> Edit:
    """Another value loss, from the network's own outputs."""

    def change(losses: Any, batch: Batch, stepper: Any, amount: float) -> Any:
        raw = stepper.network(batch.planes).value_raw.float()
        return losses._replace(values=(of(stepper._readouts[0], raw, batch, amount),))

    return _losses(change)


def _gradients(change: Callable[[Network, float], None]) -> Edit:
    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = steps.clip_gradients  # type: ignore[attr-defined]

        def clip(network: Any, limit: float) -> Any:
            change(network, amount)
            return sound(network, limit)

        patch.setattr(steps, "clip_gradients", clip)

    return edit


def _each_gradient(change: Callable[[torch.Tensor, str, float], torch.Tensor]) -> Edit:
    def apply(network: Network, amount: float) -> None:
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(change(parameter.grad, name, amount))

    return _gradients(apply)


def _after_step(change: Callable[[Any, dict[str, torch.Tensor], float], None]) -> Edit:
    """Something that happens to the weights after every step."""

    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = Stepper.step

        def step(self: Any, *arguments: Any) -> None:
            before = {n: p.detach().clone() for n, p in self.network.named_parameters()}
            sound(self, *arguments)
            with torch.no_grad():
                change(self.network, before, amount)

        patch.setattr(Stepper, "step", step)

    return edit


def _undo(network: Any, before: dict[str, torch.Tensor], amount: float) -> None:
    for name, parameter in network.named_parameters():
        parameter.copy_(before[name])


def _shrink(network: Any, before: dict[str, torch.Tensor], amount: float) -> None:
    for parameter in network.parameters():
        parameter.mul_(1 - 0.02 * amount)


def _forward(change: Callable[[Any, Network, dict[str, Any], float], Any]) -> Edit:
    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = Network.forward
        kept: dict[str, Any] = {}

        def forward(self: Network, planes: torch.Tensor, *rest: Any) -> Any:
            return change(sound(self, planes, *rest), self, kept, amount)

        patch.setattr(Network, "forward", forward)

    return edit


def _stale(output: Any, network: Network, kept: dict[str, Any], amount: float) -> Any:
    last = kept.get("raw")
    kept["raw"] = output.value_raw.detach().clone()
    if last is None or last.shape != output.value_raw.shape:
        return output
    return output._replace(value_raw=0.5 * output.value_raw + 0.5 * last)


def _random_answers(output: Any, network: Network, kept: dict[str, Any], amount: float) -> Any:
    dropped = nn.functional.dropout(output.value_raw, 0.3, training=True)
    return output._replace(value_raw=dropped)


def _reported(change: Callable[[torch.Tensor, Batch, float], torch.Tensor]) -> Edit:
    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = Evaluator.reported

        def reported(self: Any, raw: torch.Tensor, batch: Batch, number: int = 0) -> torch.Tensor:
            return change(sound(self, raw, batch, number), batch, amount)

        patch.setattr(Evaluator, "reported", reported)

    return edit


def _optimiser(change: Callable[[Any, float], None]) -> Edit:
    def edit(patch: Patch, amount: float, seed: int) -> None:
        sound = steps.build_optimiser  # type: ignore[attr-defined]

        def build(*arguments: Any) -> Any:
            optimiser = sound(*arguments)
            change(optimiser, amount)
            return optimiser

        patch.setattr(steps, "build_optimiser", build)

    return edit


def _never_cleared(optimiser: Any, amount: float) -> None:
    optimiser.zero_grad = lambda set_to_none=True: None


def _never_stepping(optimiser: Any, amount: float) -> None:
    optimiser.step = lambda closure=None: None


def _climbing(optimiser: Any, amount: float) -> None:
    for group in optimiser.param_groups:
        group["maximize"] = True


def _eval_mode(patch: Patch, amount: float, seed: int) -> None:
    sound = Trial.train_on

    def train_on(self: Any, batch: Batch) -> None:
        self.network.eval()
        sound(self, batch)

    patch.setattr(Trial, "train_on", train_on)


def _train_mode_evaluation(patch: Patch, amount: float, seed: int) -> None:
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        network.train()
        return sound(self, network, batch)

    patch.setattr(Evaluator, "_answer", answer)


def _same_batch(patch: Patch, amount: float, seed: int) -> None:
    sound = TrainingStream.batch
    patch.setattr(TrainingStream, "batch", lambda self, cursor, size: sound(self, 0, size))


def _few_games(patch: Patch, amount: float, seed: int) -> None:
    sound = TrainingStream.batch
    patch.setattr(
        TrainingStream,
        "batch",
        lambda self, cursor, size: sound(self, cursor % (3 * size), size),
    )


def _noisy(gradient: torch.Tensor, name: str, amount: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(gradient.numel())
    noise = torch.randn(gradient.shape, generator=generator)
    return gradient + amount * gradient.abs().mean() * 3 * noise


def _only_trunk(gradient: torch.Tensor, name: str, amount: float) -> torch.Tensor:
    return gradient * amount * 3 if name.startswith("value_head") else gradient


PATH_EDITS: dict[str, tuple[Edit, str]] = {
    "value loss negative": (_value(lambda v, b, a: -v), "sign"),
    "value loss scaled": (
        _value(lambda v, b, a: 0.02 * a * v),
        "multiplied|times",
    ),
    "value loss by batch": (
        _value(lambda v, b, a: v / len(b)),
        "multiplied|times",
    ),
    "value loss masked": (
        _value(lambda v, b, a: v * b.has_move),
        "masked",
    ),
    "value loss on moves only": (
        _value(lambda v, b, a: v * (b.ply % 2)),
        "masked",
    ),
    "value loss detached": (
        _value(lambda v, b, a: v.detach()),
        "detached|does not depend|does not enter|gradient",
    ),
    "value loss against red_won": (
        _own_value(lambda r, raw, b, a: r.loss(raw, b.red_won)),
        "red_won|not exchanged|inverted|side",
    ),
    "value loss of sigmoid": (
        _own_value(lambda r, raw, b, a: r.loss(raw.sigmoid(), b.outcome)),
        "sigmoid",
    ),
    "value loss raw squared": (
        _own_value(lambda r, raw, b, a: (raw - b.outcome).square()),
        "raw output with 0 and 1",
    ),
    "value loss broadcast": (
        _own_value(lambda r, raw, b, a: (raw[:, None].sigmoid() - b.outcome).square().mean(dim=1)),
        "broadcast|not that of the read-out",
    ),
    "value loss mean label": (
        _own_value(lambda r, raw, b, a: r.loss(raw, b.outcome.mean().expand_as(raw))),
        "mean label|instead of 0 and 1|every label",
    ),
    "value loss sorted": (
        _own_value(lambda r, raw, b, a: r.loss(raw, b.outcome.sort().values)),
        "order|random|row|label",
    ),
    "value loss flattened by temperature": (
        _own_value(lambda r, raw, b, a: r.loss(raw * 0.1, b.outcome)),
        "not that of the read-out|scale",
    ),
    "policy loss negative": (_losses(lambda m, b, t, a: m._replace(policy=-m.policy)), "sign"),
    "policy loss scaled": (
        _losses(lambda m, b, t, a: m._replace(policy=0.05 * a * m.policy)),
        "times",
    ),
    "policy loss zero": (
        _losses(lambda m, b, t, a: m._replace(policy=m.policy * 0)),
        "always 0|does not|detached",
    ),
    "gradients reversed": (_each_gradient(lambda g, n, a: -g), "sign|scaled|times"),
    "gradients of the value head scaled": (_each_gradient(_only_trunk), "single parts|part"),
    "gradients with noise": (_each_gradient(_noisy), "changed between|another loss|hooks"),
    "gradients by sign": (_each_gradient(lambda g, n, a: g.sign()), "changed between|another loss"),
    "value gradient kept from the trunk": (
        _each_gradient(lambda g, n, a: torch.zeros_like(g) if n.startswith("trunk") else g),
        "single parts|removed|part",
    ),
    "gradients never cleared": (_optimiser(_never_cleared), "never cleared|earlier batches"),
    "optimiser never steps": (_optimiser(_never_stepping), "no step|moves nothing|never called"),
    "optimiser climbs": (_optimiser(_climbing), "sign|up the gradient"),
    "steps undone": (_after_step(_undo), "undone|put back"),
    "weights shrink": (_after_step(_shrink), "something else than the optimiser"),
    "value stale": (_forward(_stale), "one call to the next|stale|twice"),
    "answers at random": (_forward(_random_answers), "dropout|train mode|random"),
    "value softmax over the batch": (
        _forward(lambda o, n, k, a: o._replace(value_raw=5 * o.value_raw.softmax(dim=0))),
        "over the batch|batch norm",
    ),
    "value centred over the batch": (
        _forward(lambda o, n, k, a: o._replace(value_raw=o.value_raw - o.value_raw.mean())),
        "over the batch|batch norm",
    ),
    "value rows reversed": (
        _forward(lambda o, n, k, a: o._replace(value_raw=o.value_raw.flip(0))),
        "over the batch|batch norm|row",
    ),
    "value constant": (
        _forward(lambda o, n, k, a: o._replace(value_raw=o.value_raw * 0 + a)),
        "detached|does not depend|gradient|constant",
    ),
    "training in eval mode": (_eval_mode, "eval mode"),
    "evaluation in train mode": (_train_mode_evaluation, "train mode"),
    "reported for Blue": (_reported(lambda p, b, a: 1 - p), "Blue is reported|colour"),
    "reported with the label": (
        _reported(lambda p, b, a: 0.8 * p + 0.2 * b.red_won),
        "label itself|outcome reaches|something else than",
    ),
    "reported by the mover": (
        _reported(lambda p, b, a: torch.where(b.ply % 2 == 1, 1 - p, p)),
        "carried back|something else than|Blue is reported|side",
    ),
    "reported squeezed": (
        _reported(lambda p, b, a: 0.5 + 0.3 * (p - 0.5)),
        "something else than|another formula",
    ),
    "one batch again and again": (_same_batch, "again and again|cursor"),
    "a handful of batches": (_few_games, "again and again|small part"),
}
