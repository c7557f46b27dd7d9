"""Records real training steps for the checks.

The steps are those of `Trial.train_to`: the same batches, losses and optimiser. Recorded are the
planes at the input of the network, the targets at the read-out, the losses with their gradients,
the gradients that the optimiser gets, and the weights before and after its step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.doctor.recorded import Flat, WatchedReadout, WatchedStep, as_taken
from hexsearch.errors import TrialError
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout
from hexsearch.training.step import Junction, Losses, Stepper
from hexsearch.training.trial import Trial

_UNSEEN = 16  # positions of a step that is not recorded


class WatchedStepper(Stepper):
    """A stepper that reports each forward pass to the trial that records it."""

    note: Callable[[Batch, Losses], None] | None = None

    def _forward(self, batch: Batch, watched: bool) -> tuple[Losses, Junction | None]:
        losses, junction = super()._forward(batch, watched)
        if self.note is not None and torch.is_grad_enabled():
            self.note(batch, losses)
        return losses, junction


class WatchedTrial(Trial):
    """A trial of one head that records its steps. No other class looks inside a trial.

    Attributes:
        steps: records of the training steps.
        asked: records of losses that `Trial.losses` gave without a step.
        problem: why training ended early; empty if it did not.
        initial_answering: the initial values of the weights that answer.
        initial_weights: the initial values of the weights that are trained.
        edited: planes before and after a forward pass that changes them in place, if one does.
        recording: whether steps are recorded; nothing is kept of the others.
        begun_answering: the same before the first recorded step.
        moments: state of the optimiser before the first recorded step, by its names.
    """

    stepper_type = WatchedStepper

    def __init__(self, *arguments: Any, readouts: Sequence[Readout], **options: Any) -> None:
        self.watched_readout = WatchedReadout(readouts[0])
        self.steps: list[WatchedStep] = []
        self.asked: list[WatchedStep] = []
        self.problem = ""
        self.edited: tuple[Tensor, Tensor] | None = None
        self.recording, self._is_stepping = True, False
        self._differentiated = 0
        self.moments: dict[str, Flat] = {}
        self._shown: list[Tensor] = []
        self._outputs: list[tuple[Tensor, NetworkOutput]] = []
        self._kept: list[tuple[Tensor, NetworkOutput]] = []
        self._parts: list[Batch] = []  # of the step that is taken
        super().__init__(*arguments, readouts=[self.watched_readout], **options)
        assert isinstance(self._stepper, WatchedStepper)
        self._stepper.note = self._note
        self.network.register_forward_pre_hook(self._look_at_planes)
        self.network.register_forward_hook(self._look_at_forward)
        for parameter in self.network.parameters():
            hooks: Any = parameter
            if parameter.requires_grad:
                hooks.register_post_accumulate_grad_hook(self._look_at_gradient)
        self.optimiser.register_step_pre_hook(self._look_before_step)
        self.optimiser.register_step_post_hook(self._look_after_step)
        self.initial_weights = self._weights()
        self.initial_answering = [p.detach().clone() for p in self.answering.parameters()]
        self.begun_answering = self.initial_answering

    def watch(self, count: int, gradients: int | None = None) -> None:
        """Train `count` steps. A TrialError ends the training, and its text becomes `problem`.

        Args:
            gradients: steps whose losses' gradients are recorded, which cost as much as a step
                each; all if None.
        """
        self._differentiated = count if gradients is None else gradients
        try:
            for _ in range(count):
                self.train_to(self.positions_seen + self.config.batch_size)
        except TrialError as error:
            self.problem = str(error)
        self._ask_for_losses()

    def step_unseen(self) -> tuple[str, ...]:
        """Take one small step that is not recorded; return the modules in eval mode in it."""
        resting: list[tuple[str, ...]] = [()]
        was_recording = self.recording
        look: Any = lambda network, _: resting.append(resting_modules(network))  # noqa: E731
        handle = self.network.register_forward_pre_hook(look)
        self.recording = False
        try:
            self.train_to(self.positions_seen + min(_UNSEEN, self.config.batch_size))
        finally:
            handle.remove()
            self.recording = was_recording
        return resting[-1]

    def fetched_batch(self, cursor: int, size: int) -> Batch:
        """The batch that training would fetch at a cursor."""
        return self._ahead.batch(cursor, size)

    def train_on(self, batch: Batch) -> None:
        if not self.recording:
            super().train_on(batch)
            self._clear()
            return
        step = WatchedStep(batch)
        if self.steps:
            self.steps[-1].late = self._weights()
        else:
            self.moments = self._moments()
            self.begun_answering = [p.detach().clone() for p in self.answering.parameters()]
        self.steps.append(step)
        self._clear()
        step.progress = self.positions_seen / self.max_positions
        self._is_stepping = True
        super().train_on(batch)
        self._is_stepping = False
        step.batch = as_taken(batch, self._parts)
        self._note_outputs(step)

    def _ask_for_losses(self) -> None:
        """Record the losses of the next batch as `Trial.losses` gives them."""
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
        self._parts.clear()
        self.watched_readout.targets.clear()

    def _note(self, part: Batch, losses: Losses) -> None:
        """Record one forward pass of a step, with the graph of its losses."""
        if not self._is_stepping:
            return
        # If the network is called twice for one loss, only the first call is kept.
        self._kept += [each for each in self._outputs if len(each[0]) == len(part)][:1]
        self._outputs.clear()
        self._parts.append(part)
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
        step.eval_modules = resting_modules(self.network)
        done = len(step.value)
        step.value = torch.cat([step.value, losses.value.detach().reshape(-1)])
        share = float(part.has_move.sum() / moves)
        step.policy += float(losses.policy.detach()) * share
        weighted = losses.value
        weights = step.batch.weight[done : done + len(part)]  # those of the part may be changed
        if weighted.shape == weights.shape:
            weighted = weighted * weights
        sums = {"value_gradient": weighted.sum() / whole, "policy_gradient": losses.policy * share}
        step.without_graph = tuple(
            name.removesuffix("_gradient") for name, loss in sums.items() if not loss.requires_grad
        )
        if len(self.steps) > self._differentiated:
            return
        if losses.auxiliary and not self.config.micro_batch:
            for name, loss in losses.auxiliary.items():
                step.taught[name] = self.gradient_of(loss)
                weight, other = self.config.auxiliary.weights[name], step.other_gradient
                for owner, gradient in step.taught[name].items():
                    other[owner] = other.get(owner, 0.0) + weight * gradient
        weighted_sum: Flat = {}
        for name, loss in sums.items():
            is_value = name == "value_gradient"
            factor = self.config.value_weight if is_value else self.config.policy_head.weight
            recorded: Flat = getattr(step, name)
            for owner, gradient in self.gradient_of(loss).items():
                weighted_sum[owner] = weighted_sum.get(owner, 0.0) + factor * gradient
                recorded[owner] = recorded[owner] + gradient if owner in recorded else gradient
        if self.config.micro_batch:
            step.parts.append(weighted_sum)

    def gradient_of(self, loss: Tensor) -> Flat:
        """The gradient of a loss for each part of the network."""
        owned = {
            owner: [p for p in module.parameters() if p.requires_grad]
            for owner, module in self.network.parts().items()
        }
        every = [p for parameters in owned.values() for p in parameters]
        found: dict[int, Tensor | None] = {}
        if loss.requires_grad and every:
            gradients = torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True)
            found = {id(p): g for p, g in zip(every, gradients, strict=True)}
        return {
            owner: _flat([_or_zeros(found.get(id(p)), p) for p in parameters])
            for owner, parameters in owned.items()
            if parameters
        }

    def _by_part(self, of: Callable[[nn.Parameter], Tensor]) -> Flat:
        return {
            owner: _flat([of(p) for p in module.parameters() if p.requires_grad])
            for owner, module in self.network.parts().items()
            if any(p.requires_grad for p in module.parameters())
        }

    def _weights(self) -> Flat:
        return self._by_part(lambda p: p)

    def _moments(self) -> dict[str, Flat]:
        """The optimiser's state by the names of its tensors, such as `exp_avg`."""
        state: dict[int, dict[str, Any]] = {id(p): s for p, s in self.optimiser.state.items()}
        names = {name for each in state.values() for name, value in each.items() if _is_full(value)}

        def kept(name: str) -> Callable[[nn.Parameter], Tensor]:
            return lambda p: state.get(id(p), {}).get(name, torch.zeros_like(p))

        return {name: self._by_part(kept(name)) for name in sorted(names)}

    def _look_at_planes(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen = self.recording and torch.is_grad_enabled()
        self._shown = [inputs[0].detach().clone()] if seen else []
        if self._is_stepping and self.steps and self.steps[-1].random is None:
            self.steps[-1].random = torch.get_rng_state()

    def _look_at_forward(
        self, module: nn.Module, inputs: tuple[Tensor, ...], output: NetworkOutput
    ) -> None:
        if self._shown:
            self._outputs.append((self._shown[0], output))
            if self.edited is None and not torch.equal(self._shown[0], inputs[0]):
                self.edited = self._shown[0], inputs[0].detach().clone()

    def _look_at_gradient(self, parameter: nn.Parameter) -> None:
        if self.steps and self._is_stepping:
            self.steps[-1].sent += 1

    def _look_before_step(self, optimiser: torch.optim.Optimizer, *_: object) -> None:
        if self.steps and self.recording:
            step = self.steps[-1]
            step.calls += 1
            step.given = self._by_part(lambda p: torch.zeros_like(p) if p.grad is None else p.grad)
            step.before = self._weights()
            step.rates = tuple(group["lr"] for group in optimiser.param_groups)

    def _look_after_step(self, optimiser: torch.optim.Optimizer, *_: object) -> None:
        if self.steps and self.recording:
            self.steps[-1].after = self._weights()


def _is_full(value: object) -> bool:
    """Whether a part of an optimiser's state has one number for each weight."""
    return isinstance(value, Tensor) and value.ndim > 0


def resting_modules(network: nn.Module) -> tuple[str, ...]:
    """Names of batch norms and dropouts that are in eval mode, one of each class."""
    names = {type(m).__name__: name for name, m in network.named_modules() if _in_eval_mode(m)}
    return tuple(names.values())


def _in_eval_mode(module: nn.Module) -> bool:
    return not module.training and (
        isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd)
    )


def _or_zeros(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).clone()
