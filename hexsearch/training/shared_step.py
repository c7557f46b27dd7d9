"""One step of K value heads on one trunk: a forward pass of the trunk, K of the heads.

Each head has its own weights, optimiser, clipping, read-out, dropout stream and monitors. What
reaches the trunk depends on the mode:

* `joint`: the policy's gradient, those of auxiliary heads and the mean of the value heads';
* `probe`: all but the last, or nothing where the trunk is frozen. A head's course then does not
  depend on which others are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch
from hexsearch.model.auxiliary import auxiliary_losses
from hexsearch.model.many_heads import ManyHeads, Parts
from hexsearch.model.network import taught
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import build_readout
from hexsearch.training.ema import AveragedNetwork
from hexsearch.training.execution import Execution
from hexsearch.training.monitors.activations import ActivationHealth, ActivationMonitor
from hexsearch.training.monitors.gradients import GradientHealth, GradientMonitor
from hexsearch.training.optim import build_optimiser, clip_gradients, set_learning_rate
from hexsearch.training.seeds import OwnGenerator, derive_seed
from hexsearch.training.step import LOOK_EVERY, MeanLosses

Mode = Literal["joint", "probe"]


class _Owner:
    """Some parts of the network with the optimiser, clipping, monitor and dropout of their own."""

    def __init__(
        self, modules: dict[str, nn.Module], config: TrialConfig, seed: int, device: torch.device
    ) -> None:
        self.config, self._device = config, device
        self.parts = Parts(modules)
        self.optimiser = build_optimiser(self.parts, config.optimiser, device)
        self.gradients = GradientMonitor(self.parts, config.optimiser.clip)
        self.randomness = OwnGenerator(derive_seed(seed, "dropout"), device)

    def prepare(self, progress: float) -> None:
        set_learning_rate(self.optimiser, self.config.optimiser, progress)
        self.optimiser.zero_grad(set_to_none=True)

    def step(self, look: bool) -> None:
        if look:
            self.gradients.before_clipping()
        norm = clip_gradients(self.parts, self.config.optimiser.clip)
        if look:
            self.gradients.before_step(norm)
        self.optimiser.step()
        if look:
            self.gradients.after_step()

    def state(self) -> dict[str, Any]:
        return {
            "optimiser": self.optimiser.state_dict(),
            "gradients": self.gradients.state(),
            "rng": self.randomness.state,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
        self.gradients.load_state(state["gradients"], self._device)
        self.randomness.state = state["rng"]


class SharedStepper:
    """Moves the weights of a trunk and its heads a batch at a time.

    Args:
        configs: one for each head, equal but for value head and read-out.

    Attributes:
        readouts: of the heads, in their order.
        average: the averaged weights, where the configuration asks for them.
    """

    def __init__(
        self,
        network: ManyHeads,
        configs: Sequence[TrialConfig],
        seed: int,
        mode: Mode,
        device: torch.device,
        execution: Execution,
    ) -> None:
        self._network, self._mode, self._device = network, mode, device
        self._execution = execution
        self._config = configs[0]
        self.readouts = [build_readout(config.readout) for config in configs]
        # A frozen trunk is nobody's: no optimiser holds it, so no decay can move it either.
        self._shared = (
            None if network.frozen else _Owner(network.shared_parts(), configs[0], seed, device)
        )
        self._heads = [
            _Owner({"value_head": head}, config, seed, device)
            for head, config in zip(network.heads, configs, strict=True)
        ]
        self._activations = [
            ActivationMonitor(network.with_head(number), readout.win_prob)
            for number, readout in enumerate(self.readouts)
        ]
        half_life = configs[0].optimiser.ema_half_life
        self.average = AveragedNetwork(network, half_life) if half_life else None
        self._steps = 0
        self._taught = configs[0].auxiliary.weights
        losses = len(configs) + 1 + len(self._taught)
        self._sums = torch.zeros(losses, dtype=torch.float64, device=device)
        self._summed_steps = 0

    def step(self, batch: Batch, positions_seen: int, budget: int) -> None:
        """Train on one batch; nothing here waits for the device.

        Args:
            positions_seen: before this batch; with `budget` it sets the learning rate.
        """
        config, network = self._config, self._network
        look = self._steps % LOOK_EVERY == 0
        owners = self._owners
        for owner in owners:
            owner.prepare(positions_seen / budget)
        with ExitStack() as watches:
            for monitor in self._activations if look else ():
                watches.enter_context(monitor.watching(batch.outcome))
            features, policy_logits, answers = self._shared_pass(batch)
            auxiliary = auxiliary_losses(answers, batch.auxiliary)
            policy = policy_loss(policy_logits, batch.policy_target, batch.has_move)
            # Heads hang on a copy: their gradients are averaged before the trunk sees them.
            shown = features.detach().requires_grad_(self._mode == "joint")
            losses = []
            for number, (head, readout) in enumerate(zip(self._heads, self.readouts, strict=True)):
                with head.randomness.borrowed(), self._execution.autocast(self._device):
                    raw = network.value_raw(number, shown)
                losses.append(readout.loss(raw.float(), batch.outcome))
        weighted = [config.value_weight * (loss * batch.weight).mean() for loss in losses]
        torch.autograd.backward(weighted)
        if self._shared is not None:
            self._backward_shared(features, shown, policy, auxiliary)
        for owner in owners:
            owner.step(look)
        if self.average is not None:
            self.average.update(len(batch), positions_seen + len(batch))
        # Kept on the device: reading it here would wait for the step to end.
        seen = [*(loss.mean() for loss in losses), policy, *auxiliary.values()]
        self._sums += torch.stack([loss.detach() for loss in seen])
        self._summed_steps += 1
        self._steps += 1

    @property
    def _owners(self) -> list[_Owner]:
        return self._heads if self._shared is None else [self._shared, *self._heads]

    def _shared_pass(self, batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Trunk features, policy logits and what the auxiliary heads say.

        Where the trunk is frozen nothing has a graph, and nothing draws at random.
        """
        network, planes = self._network, self._execution.show(batch.planes)
        mine = nullcontext() if self._shared is None else self._shared.randomness.borrowed()
        with mine, self._execution.autocast(self._device):
            features, policy_logits = network.shared(planes)
            return features, policy_logits, taught(network.auxiliary, features)

    def _backward_shared(
        self, features: Tensor, shown: Tensor, policy: Tensor, auxiliary: dict[str, Tensor]
    ) -> None:
        """Gradients of what is shared, from its own losses and the mean of the value heads."""
        roots: list[Tensor] = []
        gradients: list[Tensor | None] = []
        if self._config.policy_head.weight:
            roots.append(self._config.policy_head.weight * policy)
            gradients.append(None)
        for name, weight in self._taught.items():
            roots.append(weight * auxiliary[name])
            gradients.append(None)
        if self._mode == "joint":
            assert shown.grad is not None
            roots.append(features)
            gradients.append(shown.grad / len(self._heads))
        torch.autograd.backward(roots, gradients)

    @property
    def diverged(self) -> list[int]:
        """Numbers of the heads with a loss that was not finite; from K on those shared by all."""
        finite = torch.isfinite(self._sums).tolist()
        return [number for number, fine in enumerate(finite) if not fine]

    def take_losses(self) -> list[MeanLosses]:
        """For each head its value loss and the losses shared, since this was last asked."""
        means = (self._sums / max(self._summed_steps, 1)).tolist()
        heads = len(self.readouts)
        policy, *auxiliary = means[heads:]
        self._sums.zero_()
        self._summed_steps = 0
        by_name = dict(zip(self._taught, auxiliary, strict=True))
        return [MeanLosses(value, policy, by_name) for value in means[:heads]]

    def health(self) -> list[tuple[GradientHealth, dict[str, ActivationHealth]]]:
        """What the monitors saw, for each head with its trunk and policy."""
        shared = GradientHealth() if self._shared is None else self._shared.gradients.health()
        found = []
        for head, monitor in zip(self._heads, self._activations, strict=True):
            own = head.gradients.health()
            gradients = GradientHealth(
                norms={**shared.norms, **own.norms},
                clipped_norms={**shared.clipped_norms, **own.clipped_norms},
                update_ratio={**shared.update_ratio, **own.update_ratio},
                clip_rate=own.clip_rate,
                looks=own.looks,
            )
            found.append((gradients, monitor.health()))
        return found

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, the network's own weights apart."""
        content: dict[str, Any] = {
            "steps": self._steps,
            "shared": None if self._shared is None else self._shared.state(),
            "heads": [head.state() for head in self._heads],
            "activations": [monitor.state() for monitor in self._activations],
            "sums": self._sums,
            "summed_steps": self._summed_steps,
        }
        if self.average is not None:
            content["average"] = self.average.network.state_dict()
        return content

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`, into a stepper of the same configuration."""
        if self._shared is not None:
            self._shared.load_state(state["shared"])
        for head, stored in zip(self._heads, state["heads"], strict=True):
            head.load_state(stored)
        for monitor, stored in zip(self._activations, state["activations"], strict=True):
            monitor.load_state(stored, self._device)
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self._steps = state["steps"]
        self._sums = state["sums"].to(self._device)
        self._summed_steps = state["summed_steps"]
