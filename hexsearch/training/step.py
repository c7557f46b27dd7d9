"""One step of one or more value heads on one trunk: forward, backward, clipping, update, average.

One head that trains its trunk is an ordinary network: one graph, one optimiser, one gradient norm
to clip. Otherwise every head has its own optimiser, clipping and dropout, and reads a detached
copy of the trunk's features. The gradients that reach the trunk then depend on the mode:

* `joint`: those of the policy and the auxiliary heads, and the mean over the value heads;
* `probe`: those of the policy and the auxiliary heads, or none if the trunk is frozen. A head then
  learns the same, whichever other heads are trained beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batch import Batch
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

LOOK_EVERY = 50  # steps between two samples of the monitors
COMPARE_EVERY = 200  # steps between two comparisons of the losses' gradients, as costly as a step


class Losses(NamedTuple):
    """The losses of a batch, unweighted, with their graph.

    Attributes:
        values: value loss [B] of each position, for each head.
        policy: mean over positions with a next move.
        auxiliary: mean over entries that are not ignored, by auxiliary head.
    """

    values: tuple[Tensor, ...]
    policy: Tensor
    auxiliary: dict[str, Tensor]

    @property
    def value(self) -> Tensor:
        """[B] value loss of the first head, which usually is the only one."""
        return self.values[0]


class Junction(NamedTuple):
    """The features between a trunk and heads that have separate graphs.

    Attributes:
        features: features of the trunk, with its graph.
        copy: detached copy that the heads read.
    """

    features: Tensor
    copy: Tensor


class Stepper:
    """Trains a trunk and its heads, one batch at a time.

    Attributes:
        network: the head with its trunk; None if the heads do not train as one network.
        average: the averaged weights, if the configuration has them.
        owners: the owner of the shared parts, if they are trained, then that of each head.
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
            if not body.frozen:  # a frozen trunk has no optimiser, so weight decay cannot change it
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
        """In this context, steps draw from the trial's own random stream."""
        own = nullcontext() if self.network is None else self._heads[0].randomness.borrowed()
        with own:
            yield

    def step(self, batch: Batch, positions_seen: int, max_positions: int) -> None:
        """Train on one batch, without waiting for the device.

        Args:
            positions_seen: positions before this batch. With `max_positions` they determine the
                learning rate.
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
        """The losses of a batch as in a step.

        Args:
            watched: module hooks must be called, so the compiled network is not used.
        """
        return self._forward(batch, watched)[0]

    def _forward(self, batch: Batch, watched: bool) -> tuple[Losses, Junction | None]:
        planes, junction = self._execution.show(batch.planes), None
        if self.network is not None:
            # The compiled network is used for full batches only: another shape would recompile it.
            usual = self._config.micro_batch or self._config.batch_size
            compiled = None if watched or len(batch) != usual else self._compiled
            # A compiled module has no truth value: its `__len__` raises an error.
            network = self.network if compiled is None else compiled
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
                readout.loss(raw.float(), batch.value_target)
                for readout, raw in zip(self._readouts, raws, strict=True)
            ),
            policy_loss(policy_logits, batch.policy_target, batch.has_move),
            auxiliary_losses(answers or {}, batch.auxiliary),
        )
        return losses, junction

    def _backward(self, batch: Batch, look: bool) -> None:
        """Gradients of the batch's loss, by micro-batches. The monitors sample the first one.

        A micro-batch is weighted by its number of positions in the value loss, of moves in the
        policy loss, and of entries that are not ignored in an auxiliary loss. So the sum is the
        loss of the whole batch.
        """
        config, scaler, whole = self._config, self._scaler, len(batch)
        for number, part in enumerate(batch.parts(config.micro_batch or whole)):
            watched = look and number == 0
            with ExitStack() as watches:
                for monitor in self._activations if watched else ():
                    watches.enter_context(monitor.watching(part.outcome))
                losses, junction = self._forward(part, watched)
            values = [(each * part.weight).sum() / whole for each in losses.values]
            policy, auxiliary = self._shared_losses(losses, part, batch)
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

    def _shared_losses(
        self, losses: Losses, part: Batch, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Policy loss and auxiliary losses of a part, as its share of those of the batch."""
        if part is batch:  # the usual case, in which a share of 1 would be computed
            return losses.policy, losses.auxiliary
        moves = batch.has_move.sum().clamp(min=1)
        shares = {
            name: counted(part.auxiliary[name]) / counted(batch.auxiliary[name]).clamp(min=1)
            for name in self._taught
        }
        auxiliary = {name: losses.auxiliary[name] * share for name, share in shares.items()}
        return losses.policy * (part.has_move.sum() / moves), auxiliary

    def _send_back(
        self, values: list[Tensor], shared: list[Tensor], junction: Junction | None
    ) -> None:
        """Gradients of the value heads' losses, and of the other losses that train the trunk."""
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
        """The figures of the monitors, for each head with its trunk and policy head."""
        shared = GradientHealth() if self._shared is None else self._shared.gradients.health()
        health = []
        for head, monitor in zip(self._heads, self._activations, strict=True):
            own = head.gradients.health()
            gradients = replace(
                own,
                norms={**shared.norms, **own.norms},
                clipped_norms={**shared.clipped_norms, **own.clipped_norms},
                update_ratio={**shared.update_ratio, **own.update_ratio},
            )
            health.append((gradients, monitor.health()))
        return health

    def state(self) -> dict[str, Any]:
        """Everything that an exact continuation needs, apart from the network's own weights."""
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
        """Restore a result of `state` from a stepper of the same configuration."""
        for owner, stored in zip(self.owners, state["owners"], strict=True):
            owner.load_state(stored)
        for monitor, stored in zip(self._activations, state["activations"], strict=True):
            monitor.load_state(stored, self._device)
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
        self._steps = state["steps"]
        self.loss_monitor.load_state(state["losses"])
