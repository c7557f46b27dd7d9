"""One optimiser step: forward, backward, clipping, update, average, and the monitors' looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch
from hexsearch.model.network import Network
from hexsearch.training.ema import AveragedNetwork
from hexsearch.training.monitors import ActivationMonitor, GradientMonitor
from hexsearch.training.optim import build_optimiser, clip_gradients, set_learning_rate

LOOK_EVERY = 50  # steps between two looks of the monitors

# Value loss of each position [B] and mean policy loss, unweighted, with their graph.
Losses = Callable[[Batch], tuple[Tensor, Tensor]]


class Stepper:
    """Moves a network's weights a batch at a time.

    Attributes:
        average: the averaged weights, where the configuration asks for them.
    """

    def __init__(self, network: Network, config: TrialConfig, device: torch.device) -> None:
        self._network, self._config, self._device = network, config, device
        self.optimiser = build_optimiser(network, config.optimiser, device)
        half_life = config.optimiser.ema_half_life
        self.average = AveragedNetwork(network, half_life) if half_life else None
        self.gradient_monitor = GradientMonitor(network, config.optimiser.clip)
        self.activation_monitor = ActivationMonitor(network)
        self._steps = 0
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._summed_steps = 0

    def step(self, batch: Batch, losses: Losses, positions_seen: int, budget: int) -> None:
        """Train on one batch; nothing here waits for the device but the monitors' looks.

        Args:
            positions_seen: before this batch; with `budget` it sets the learning rate.
        """
        config = self._config
        look = self._steps % LOOK_EVERY == 0
        disarm = self.activation_monitor.watch() if look else None
        set_learning_rate(self.optimiser, config.optimiser, positions_seen / budget)
        each, policy = losses(batch)
        if disarm is not None:
            disarm()
        loss = config.value_weight * (each * batch.weight).mean()
        if config.policy_head.weight:
            loss = loss + config.policy_head.weight * policy
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = clip_gradients(self._network, config.optimiser.clip)
        if look:
            self.gradient_monitor.before_step(norm)
        self.optimiser.step()
        if look:
            self.gradient_monitor.after_step()
        if self.average is not None:
            self.average.update(len(batch), positions_seen + len(batch))
        # Kept on the device: reading it here would wait for the step to end.
        self._sums += torch.stack([each.detach().mean(), policy.detach()])
        self._summed_steps += 1
        self._steps += 1

    @property
    def is_finite(self) -> bool:
        """Whether every loss since the last `take_losses` was."""
        return bool(torch.isfinite(self._sums).all())

    def take_losses(self) -> tuple[float, float]:
        """Mean value and policy loss of the steps since this was last asked."""
        steps = max(self._summed_steps, 1)
        value, policy = (float(total) / steps for total in self._sums)
        self._sums.zero_()
        self._summed_steps = 0
        return value, policy

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, the network's own weights apart."""
        content = {
            "steps": self._steps,
            "optimiser": self.optimiser.state_dict(),
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
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self.gradient_monitor.load_state(state["gradient_monitor"])
        self.activation_monitor.load_state(state["activation_monitor"])
        self._steps = state["steps"]
        self._sums = state["sums"].to(self._device)
        self._summed_steps = state["summed_steps"]
