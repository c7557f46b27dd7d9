"""One optimiser step: forward, backward, clipping, update, average, and the monitors' looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch
from hexsearch.model.auxiliary import counted
from hexsearch.model.network import Network
from hexsearch.training.ema import AveragedNetwork
from hexsearch.training.monitors.activations import ActivationMonitor
from hexsearch.training.monitors.gradients import GradientMonitor
from hexsearch.training.optim import build_optimiser, clip_gradients, set_learning_rate

LOOK_EVERY = 50  # steps between two looks of the monitors
COMPARE_EVERY = 200  # between two comparisons of the heads' gradients, which cost a step each


class Losses(NamedTuple):
    """What a batch costs, unweighted, with its graph.

    Attributes:
        value: [B] of each position; policy: the mean over positions with a next move.
        auxiliary: by head, the mean over what counts.
    """

    value: Tensor
    policy: Tensor
    auxiliary: dict[str, Tensor]


@dataclass(frozen=True)
class MeanLosses:
    """Training losses, unweighted, as means over steps."""

    value: float
    policy: float
    auxiliary: dict[str, float]


# The flag says that hooks on the network's modules have to see this pass.
LossesOf = Callable[[Batch, bool], Losses]


class Stepper:
    """Moves a network's weights a batch at a time.

    Attributes:
        average: the averaged weights, where the configuration asks for them.
    """

    def __init__(
        self,
        network: Network,
        config: TrialConfig,
        device: torch.device,
        scaled: bool,
        win_prob: Callable[[Tensor], Tensor],
    ) -> None:
        """Begin.

        Args:
            scaled: scale the loss against the underflow of float16.
            win_prob: the read-out's, for the activation monitor.
        """
        self._network, self._config, self._device = network, config, device
        self.optimiser = build_optimiser(network, config.optimiser, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        half_life = config.optimiser.ema_half_life
        self.average = AveragedNetwork(network, half_life) if half_life else None
        self.gradient_monitor = GradientMonitor(network, config.optimiser.clip)
        self.activation_monitor = ActivationMonitor(network, win_prob)
        self._steps = 0
        self._taught = config.auxiliary.weights
        self._sums = torch.zeros(2 + len(self._taught), dtype=torch.float64, device=device)
        self._summed_steps = 0

    def step(self, batch: Batch, losses: LossesOf, positions_seen: int, budget: int) -> None:
        """Train on one batch; nothing here waits for the device.

        Args:
            positions_seen: before this batch; with `budget` it sets the learning rate.
        """
        config, monitor = self._config, self.gradient_monitor
        look = self._steps % LOOK_EVERY == 0
        set_learning_rate(self.optimiser, config.optimiser, positions_seen / budget)
        self.optimiser.zero_grad(set_to_none=True)
        self._backward(batch, losses, look)
        self._scaler.unscale_(self.optimiser)
        if look:
            monitor.before_clipping()
        norm = clip_gradients(self._network, config.optimiser.clip)
        if look:
            monitor.before_step(norm)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        if look:
            monitor.after_step()
        if self.average is not None:
            self.average.update(len(batch), positions_seen + len(batch))
        self._summed_steps += 1
        self._steps += 1

    def _backward(self, batch: Batch, losses: LossesOf, look: bool) -> None:
        """Gradients of the batch's loss, a micro-batch at a time; the first one is looked at.

        A micro-batch counts by its positions in the value loss, by its moves in the policy loss
        and by what counts in an auxiliary one, so that the sum is the loss of the whole batch.
        """
        config, scaler = self._config, self._scaler
        whole = len(batch)
        moves = batch.has_move.sum().clamp(min=1)
        counts = {name: counted(batch.auxiliary[name]).clamp(min=1) for name in self._taught}
        for number, part in enumerate(batch.parts(config.micro_batch or whole)):
            watched = look and number == 0
            watch = self.activation_monitor.watching(part.outcome) if watched else nullcontext()
            with watch:
                each, policy, auxiliary = losses(part, watched)
            value = (each * part.weight).sum() / whole
            policy = policy * (part.has_move.sum() / moves)
            auxiliary = {
                name: auxiliary[name] * (counted(part.auxiliary[name]) / counts[name])
                for name in self._taught
            }
            if watched and self._steps % COMPARE_EVERY == 0:
                self.gradient_monitor.compare_losses(
                    scaler.scale(value), scaler.scale(policy), scaler.get_scale()
                )
            loss = config.value_weight * value
            if config.policy_head.weight:
                loss = loss + config.policy_head.weight * policy
            for name, weight in self._taught.items():
                loss = loss + weight * auxiliary[name]
            torch.autograd.backward(scaler.scale(loss))
            # Kept on the device: reading it here would wait for the step to end.
            seen = [each.sum() / whole, policy, *auxiliary.values()]
            self._sums += torch.stack([loss.detach() for loss in seen])

    @property
    def is_finite(self) -> bool:
        """Whether every loss since the last `take_losses` was."""
        return bool(torch.isfinite(self._sums).all())

    def take_losses(self) -> MeanLosses:
        """Mean losses of the steps since this was last asked."""
        steps = max(self._summed_steps, 1)
        value, policy, *auxiliary = (float(total) / steps for total in self._sums)
        self._sums.zero_()
        self._summed_steps = 0
        return MeanLosses(value, policy, dict(zip(self._taught, auxiliary, strict=True)))

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, the network's own weights apart."""
        content = {
            "steps": self._steps,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "gradient_monitor": self.gradient_monitor.state(),
            "activation_monitor": self.activation_monitor.state(),
            "sums": self._sums,
            "summed_steps": self._summed_steps,
        }
        if self.average is not None:
            content["average"] = self.average.network.state_dict()
        return content

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`, into a stepper of the same configuration."""
        self.optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self.gradient_monitor.load_state(state["gradient_monitor"], self._device)
        self.activation_monitor.load_state(state["activation_monitor"], self._device)
        self._steps = state["steps"]
        self._sums = state["sums"].to(self._device)
        self._summed_steps = state["summed_steps"]
