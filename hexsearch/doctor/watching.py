"""Real training steps, and what each of them showed, computed and moved.

The steps are those of `Trial.train_to`: same batches, same losses, same optimiser. Everything is
recorded on the way: planes at the network's input, targets at the read-out, the losses that the
trial returned with their gradients, the gradients at the optimiser, and the weights around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batches import Batch
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.errors import TrialError
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout
from hexsearch.training.step import Junction, Losses, Stepper
from hexsearch.training.trial import Trial

Flat = dict[str, Tensor]  # by part of the network, all its numbers in one row

NO_STEP = Hypothesis(
    "no step",
    "the optimiser takes no step: training runs through its batches and moves nothing",
    "call optimiser.step() after backward()",
)


class WatchedReadout(Readout):
    """Passes everything on to another read-out and keeps the targets that its loss was given."""

    def __init__(self, inner: Readout) -> None:
        self.inner, self.proper, self.control = inner, inner.proper, inner.control
        self.targets: list[Tensor] = []

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        self.targets.append(target.detach().clone())
        return self.inner.loss(raw, target)

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


@dataclass
class WatchedStep:
    """One optimiser step from outside. [B] goes over the whole batch.

    Attributes:
        planes: as the network was given them. targets: as the read-out's loss was given them;
            None if it was never asked. value, policy: the losses that the trial returned.
        resting: modules in eval mode while training, at most one name a kind.
        value_gradient, policy_gradient, other_gradient: of the unweighted losses, as returned.
        given: gradients at the optimiser, after clipping. before, after: weights around its step.
        late: weights at the start of the next step, where there is one.
        rates: learning rate of each parameter group. progress: share of the budget.
        calls: how often the optimiser stepped. parts: gradient of the weighted losses of each
            micro-batch, where there are several.
    """

    batch: Batch
    planes: Tensor = field(default_factory=lambda: torch.zeros(0))
    raw: Tensor = field(default_factory=lambda: torch.zeros(0))
    policy_logits: Tensor = field(default_factory=lambda: torch.zeros(0))
    targets: Tensor | None = None
    value: Tensor = field(default_factory=lambda: torch.zeros(0))
    policy: float = 0.0
    resting: tuple[str, ...] = ()
    value_gradient: Flat = field(default_factory=dict)
    policy_gradient: Flat = field(default_factory=dict)
    other_gradient: Flat = field(default_factory=dict)
    given: Flat = field(default_factory=dict)
    before: Flat = field(default_factory=dict)
    after: Flat = field(default_factory=dict)
    late: Flat = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    progress: float = 0.0
    calls: int = 0
    parts: list[Flat] = field(default_factory=list)


class WatchedStepper(Stepper):
    """A stepper that shows each forward pass to the trial that watches it."""

    note: Callable[[Batch, Losses], None] | None = None

    def _forward(self, batch: Batch, watched: bool) -> tuple[Losses, Junction | None]:
        losses, junction = super()._forward(batch, watched)
        if self.note is not None and torch.is_grad_enabled():
            self.note(batch, losses)
        return losses, junction


class WatchedTrial(Trial):
    """A trial of one head whose steps are recorded. The only place that looks inside a trial.

    Attributes:
        steps: what was trained. asked: losses that were asked for without a step.
        problem: why training ended early; empty where it did not.
    """

    stepper_type = WatchedStepper

    def __init__(self, *arguments: Any, readouts: Sequence[Readout], **options: Any) -> None:
        self.watched_readout = WatchedReadout(readouts[0])
        self.steps: list[WatchedStep] = []
        self.asked: list[WatchedStep] = []
        self.problem = ""
        self._is_stepping = False
        self._outputs: list[tuple[Tensor, NetworkOutput]] = []
        self._kept: list[tuple[Tensor, NetworkOutput]] = []
        super().__init__(*arguments, readouts=[self.watched_readout], **options)
        assert isinstance(self._stepper, WatchedStepper)
        self._stepper.note = self._note
        self.network.register_forward_hook(self._look_at_forward)
        self.optimiser.register_step_pre_hook(self._look_before_step)
        self.optimiser.register_step_post_hook(self._look_after_step)
        self.initial_answering = [p.detach().clone() for p in self.answering.parameters()]

    def watch(self, count: int) -> None:
        """Train `count` steps; a loss that is not finite is kept in `problem`."""
        try:
            for _ in range(count):
                self.train_to(self.positions_seen + self.config.batch_size)
        except TrialError as error:
            self.problem = str(error)
        self._ask_for_losses()

    def shown_batch(self, cursor: int, size: int) -> Batch:
        """What training would train on at a cursor, as it fetches it."""
        return self._ahead.batch(cursor, size)

    def train_on(self, batch: Batch) -> None:
        step = WatchedStep(batch)
        if self.steps:
            self.steps[-1].late = self._weights()
        self.steps.append(step)
        self._clear()
        step.progress = self.positions_seen / self.max_positions
        self._is_stepping = True
        super().train_on(batch)
        self._is_stepping = False
        self._note_outputs(step)

    def _ask_for_losses(self) -> None:
        """The losses of the next batch, through the door that others use."""
        batch = self.next_batch()
        self._clear()
        step = WatchedStep(batch)
        losses = self.losses(batch)
        step.value, step.policy = losses.value.detach(), float(losses.policy.detach())
        self._kept = [each for each in self._outputs if len(each[0]) == len(batch)][:1]
        self._note_outputs(step)
        self.asked.append(step)

    def _clear(self) -> None:
        self._outputs.clear()
        self._kept.clear()
        self.watched_readout.targets.clear()

    def _note(self, part: Batch, losses: Losses) -> None:
        """One forward pass of a step, with the graph of its losses."""
        if not self._is_stepping:
            return
        # Where the network is called twice for one loss, the first call stands for both.
        self._kept += [each for each in self._outputs if len(each[0]) == len(part)][:1]
        self._outputs.clear()
        self._note_losses(self.steps[-1], part, losses)

    def _note_outputs(self, step: WatchedStep) -> None:
        if self._kept:
            step.planes = torch.cat([planes for planes, _ in self._kept])
            step.raw = torch.cat([output.value_raw.detach() for _, output in self._kept])
            step.policy_logits = torch.cat(
                [output.policy_logits.detach() for _, output in self._kept]
            )
        targets = [each for each in self.watched_readout.targets if each.ndim][: len(self._kept)]
        step.targets = torch.cat(targets) if targets else None

    def _note_losses(self, step: WatchedStep, part: Batch, losses: Losses) -> None:
        whole = len(step.batch)
        moves = step.batch.has_move.sum().clamp(min=1)
        resting = {type(m).__name__: name for name, m in self.network.named_modules() if _rests(m)}
        step.resting = tuple(resting.values())
        step.value = torch.cat([step.value, losses.value.detach().reshape(-1)])
        share = float(part.has_move.sum() / moves)
        step.policy += float(losses.policy.detach()) * share
        weighted = losses.value
        if weighted.shape == part.weight.shape:
            weighted = weighted * part.weight
        sums = {
            "value_gradient": weighted.sum() / whole,
            "policy_gradient": losses.policy * share,
        }
        if losses.auxiliary and not self.config.micro_batch:
            weights = self.config.auxiliary.weights
            sums["other_gradient"] = sum(
                (weights[name] * loss for name, loss in losses.auxiliary.items()),
                start=torch.zeros(()),
            )
        whole_of_part: Flat = {}
        for name, loss in sums.items():
            found = self._gradient_of(loss)
            share_of = self.config.value_weight
            if name != "value_gradient":
                share_of = self.config.policy_head.weight
            for owner, gradient in found.items():
                whole_of_part[owner] = whole_of_part.get(owner, 0.0) + share_of * gradient
            kept: Flat = getattr(step, name)
            for owner, gradient in found.items():
                kept[owner] = kept[owner] + gradient if owner in kept else gradient
        if self.config.micro_batch:
            step.parts.append(whole_of_part)

    def _gradient_of(self, loss: Tensor) -> Flat:
        found: Flat = {}
        for owner, module in self.network.parts().items():
            parameters = [p for p in module.parameters() if p.requires_grad]
            if not parameters:
                continue
            if not loss.requires_grad:
                found[owner] = torch.zeros(sum(p.numel() for p in parameters))
                continue
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            found[owner] = _flat(
                [
                    torch.zeros_like(p) if g is None else g
                    for p, g in zip(parameters, gradients, strict=True)
                ]
            )
        return found

    def _by_part(self, of: Callable[[nn.Parameter], Tensor]) -> Flat:
        return {
            owner: _flat([of(p) for p in module.parameters() if p.requires_grad])
            for owner, module in self.network.parts().items()
            if any(p.requires_grad for p in module.parameters())
        }

    def _weights(self) -> Flat:
        return self._by_part(lambda p: p)

    def _look_at_forward(
        self, module: nn.Module, inputs: tuple[Tensor, ...], output: NetworkOutput
    ) -> None:
        if torch.is_grad_enabled():
            self._outputs.append((inputs[0].detach().clone(), output))

    def _look_before_step(self, optimiser: torch.optim.Optimizer, *_: object) -> None:
        if self.steps:
            step = self.steps[-1]
            step.calls += 1
            step.given = self._by_part(lambda p: torch.zeros_like(p) if p.grad is None else p.grad)
            step.before = self._weights()
            step.rates = tuple(group["lr"] for group in optimiser.param_groups)

    def _look_after_step(self, optimiser: torch.optim.Optimizer, *_: object) -> None:
        if self.steps:
            self.steps[-1].after = self._weights()


def _rests(module: nn.Module) -> bool:
    return not module.training and (
        isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd)
    )


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).clone()
