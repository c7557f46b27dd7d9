"""One step of one or more value heads on one trunk: forward, backward, clipping, update, average.

One head that trains its trunk is a network like any other: one graph, one optimiser, one gradient
norm to clip. Otherwise every head has its own optimiser, clipping and dropout, and reads a copy of
the trunk's features. The gradients that reach the trunk then depend on the mode:

* `joint`: those of the policy, of the auxiliary heads, and the mean of the value heads';
* `probe`: those of the policy and the auxiliary heads, or none where the trunk is frozen. What a
  head learns then does not depend on which other heads are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch
from hexsearch.model.auxiliary import auxiliary_losses, counted
from hexsearch.model.many_heads import ManyHeads, Parts
from hexsearch.model.network import NetworkOutput, taught
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import Readout
from hexsearch.training.execution import Execution
from hexsearch.training.heads import Mode
from hexsearch.training.monitors.activations import ActivationHealth, ActivationMonitor
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.losses import LossMonitor
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.owner import Owner

LOOK_EVERY = 50  # steps between two looks of the monitors
COMPARE_EVERY = 200  # between two comparisons of the losses' gradients, which cost a step each


class Losses(NamedTuple):
    """The losses of a batch, unweighted, with their graph.

    Attributes:
        values: [B] of each position, for each head.
        policy: the mean over positions with a next move.
        auxiliary: by head, the mean over what counts.
    """

    values: tuple[Tensor, ...]
    policy: Tensor
    auxiliary: dict[str, Tensor]

    @property
    def value(self) -> Tensor:
        """[B] of the first head, which is mostly the only one."""
        return self.values[0]


class Junction(NamedTuple):
    """Where heads meet a trunk that is not part of their graph.

    Attributes:
        features: of the trunk, with its graph; copy: what the heads were given.
    """

    features: Tensor
    copy: Tensor


class Stepper:
    """Moves the weights of a trunk and its heads a batch at a time.

    Attributes:
        network: one head with its trunk; None if the heads do not train as one network.
        average: the averaged weights, where the configuration asks for them.
        owners: what moves the weights: of the shared parts first, then of each head.
        loss_monitor: losses since the last report.
    """

    def __init__(
        self,
        body: ManyHeads,
        configs: Sequence[TrialConfig],
        readouts: Sequence[Readout],
        mode: Mode,
        seed: int,
        device: torch.device,
        execution: Execution,
    ) -> None:
        self._body, self._readouts, self._mode = body, readouts, mode
        self._device, self._execution = device, execution
        self._config = config = configs[0]
        views = [body.with_head(number) for number in range(len(configs))]
        self.network = views[0] if len(views) == 1 and mode == "joint" else None
        self._compiled: Callable[..., NetworkOutput] | None = None
        self._shared: Owner | None = None
        if self.network is not None:
            self._heads = [Owner(self.network, config.optimiser, seed, device)]
            if execution.compiled:
                self._compiled = execution.compile(self.network, device)
        else:
            if not body.frozen:  # else no optimiser holds the trunk, so no decay can move it
                self._shared = Owner(Parts(body.shared_parts()), config.optimiser, seed, device)
            self._heads = [
                Owner(Parts({"value_head": head}), config.optimiser, seed, device)
                for head in body.heads
            ]
        self.owners = self._heads if self._shared is None else [self._shared, *self._heads]
        scaled = execution.precision == "float16"
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self._activations = [
            ActivationMonitor(view, readout.win_prob)
            for view, readout in zip(views, readouts, strict=True)
        ]
        half_life = config.optimiser.ema_half_life
        self.average = AveragedNetwork(body, half_life) if half_life else None
        self._steps = 0
        self._taught = config.auxiliary.weights
        names = [each.head_name for each in configs]
        self.loss_monitor = LossMonitor(names, list(self._taught), device)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Steps inside draw from the trial's own random numbers, borrowed once for all of them."""
        own = nullcontext() if self.network is None else self._heads[0].randomness.borrowed()
        with own:
            yield

    def step(self, batch: Batch, positions_seen: int, max_positions: int) -> None:
        """Train on one batch; nothing here waits for the device.

        Args:
            positions_seen: before this batch; with `max_positions` it sets the learning rate.
        """
        look = self._steps % LOOK_EVERY == 0
        for owner in self.owners:
            owner.prepare(positions_seen / max_positions)
        self._backward(batch, look)
        for owner in self.owners:
            owner.step(self._scaler, look)
        self._scaler.update()
        if self.average is not None:
            self.average.update(len(batch), positions_seen + len(batch))
        self.loss_monitor.end_step()
        self._steps += 1

    def losses(self, batch: Batch, watched: bool = True) -> Losses:
        """The losses of a batch as a step would see them.

        Args:
            watched: hooks on modules have to see the pass, so that nothing compiled may run.
        """
        return self._forward(batch, watched)[0]

    def _forward(self, batch: Batch, watched: bool) -> tuple[Losses, Junction | None]:
        planes, junction = self._execution.show(batch.planes), None
        if self.network is not None:
            # Compiled once, for full batches: a later shape must not change their kernel.
            usual = self._config.micro_batch or self._config.batch_size
            compiled = None if watched or len(batch) != usual else self._compiled
            network = compiled or self.network
            with self._execution.autocast(self._device):
                policy_logits, raw, answers = network(planes, bool(batch.auxiliary))
            raws = [raw]
        else:
            own = nullcontext() if self._shared is None else self._shared.randomness.borrowed()
            with own, self._execution.autocast(self._device):
                features, policy_logits = self._body.shared(planes)
                answers = taught(self._body.auxiliary, features)
            copy = features.detach().requires_grad_(self._mode == "joint")
            junction, raws = Junction(features, copy), []
            for number, head in enumerate(self._heads):
                with head.randomness.borrowed(), self._execution.autocast(self._device):
                    raws.append(self._body.value_raw(number, copy))
        losses = Losses(
            tuple(
                readout.loss(raw.float(), batch.outcome)
                for readout, raw in zip(self._readouts, raws, strict=True)
            ),
            policy_loss(policy_logits, batch.policy_target, batch.has_move),
            auxiliary_losses(answers or {}, batch.auxiliary),
        )
        return losses, junction

    def _backward(self, batch: Batch, look: bool) -> None:
        """Gradients of the batch's loss, a micro-batch at a time; the monitors see the first one.

        A micro-batch counts by its positions in the value loss, by its moves in the policy loss
        and by what counts in an auxiliary one, so that the sum is the loss of the whole batch.
        """
        config, scaler, whole = self._config, self._scaler, len(batch)
        moves = batch.has_move.sum().clamp(min=1)
        counts = {name: counted(batch.auxiliary[name]).clamp(min=1) for name in self._taught}
        for number, part in enumerate(batch.parts(config.micro_batch or whole)):
            watched = look and number == 0
            with ExitStack() as watches:
                for monitor in self._activations if watched else ():
                    watches.enter_context(monitor.watching(part.outcome))
                losses, junction = self._forward(part, watched)
            values = [(each * part.weight).sum() / whole for each in losses.values]
            policy = losses.policy * (part.has_move.sum() / moves)
            auxiliary = {
                name: losses.auxiliary[name] * (counted(part.auxiliary[name]) / counts[name])
                for name in self._taught
            }
            if watched and junction is None and self._steps % COMPARE_EVERY == 0:
                self._heads[0].gradients.compare_losses(
                    scaler.scale(values[0]), scaler.scale(policy), scaler.get_scale()
                )
            roots = [weight * auxiliary[name] for name, weight in self._taught.items()]
            if config.policy_head.weight:
                roots.insert(0, config.policy_head.weight * policy)
            self._send_back([config.value_weight * value for value in values], roots, junction)
            means = [each.sum() / whole for each in losses.values]
            self.loss_monitor.add([*means, policy, *auxiliary.values()])

    def _send_back(
        self, values: list[Tensor], shared: list[Tensor], junction: Junction | None
    ) -> None:
        """Gradients of the heads' losses, and of the losses that train the trunk without them."""
        scale = self._scaler.scale
        if junction is None:
            torch.autograd.backward(scale(sum(shared, values[0])))
            return
        torch.autograd.backward([scale(value) for value in values])
        if self._shared is None:
            return
        roots, gradients = [scale(loss) for loss in shared], [None for _ in shared]
        if self._mode == "joint":
            assert junction.copy.grad is not None
            mean: Any = junction.copy.grad / len(self._heads)
            roots, gradients = [*roots, junction.features], [*gradients, mean]
        torch.autograd.backward(roots, gradients)

    def health(self) -> list[tuple[GradientHealth, dict[str, ActivationHealth]]]:
        """What the monitors saw, for each head with its trunk and policy."""
        shared = GradientHealth() if self._shared is None else self._shared.gradients.health()
        found = []
        for head, monitor in zip(self._heads, self._activations, strict=True):
            own = head.gradients.health()
            gradients = replace(
                own,
                norms={**shared.norms, **own.norms},
                clipped_norms={**shared.clipped_norms, **own.clipped_norms},
                update_ratio={**shared.update_ratio, **own.update_ratio},
            )
            found.append((gradients, monitor.health()))
        return found

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, the network's own weights apart."""
        content: dict[str, Any] = {
            "steps": self._steps,
            "owners": [owner.state() for owner in self.owners],
            "scaler": self._scaler.state_dict(),
            "activations": [monitor.state() for monitor in self._activations],
            "losses": self.loss_monitor.state(),
        }
        if self.average is not None:
            content["average"] = self.average.network.state_dict()
        return content

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo of `state`, into a stepper of the same configuration."""
        for owner, stored in zip(self.owners, state["owners"], strict=True):
            owner.load_state(stored)
        for monitor, seen in zip(self._activations, state["activations"], strict=True):
            monitor.load_state(seen, self._device)
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self._steps = state["steps"]
        self.loss_monitor.load_state(state["losses"])
