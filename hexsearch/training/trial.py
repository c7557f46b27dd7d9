"""One trial: it is trained in a plain loop and gives reports. It does not use Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, Self

import torch

from hexsearch import __version__
from hexsearch.config.trial import TrialConfig
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import ENCODER_VERSION, PositionEncoder
from hexsearch.data.position_set import PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.model.cost import NetworkCost
from hexsearch.model.many_heads import ManyHeads, build_many_heads
from hexsearch.model.network import Network
from hexsearch.model.readout import Readout, build_readout
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.execution import Execution, repeatable, resolve_execution
from hexsearch.training.frozen_trunk import OWN_TRUNK, SharedTrunk, begin_with
from hexsearch.training.heads import check_heads
from hexsearch.training.metrics import Evaluation
from hexsearch.training.prior import start_at_prior
from hexsearch.training.report import Health, Point, TrialReport, make_report
from hexsearch.training.seeds import derive_seed, initial_weights_seed
from hexsearch.training.step import Losses, Stepper
from hexsearch.training.stored_trial import require_same_trial


class Trial:
    """Training of one or more value heads on one trunk and one dataset.

    The same configurations, `max_positions`, seed and machine give the same numbers to the last
    bit, also if training stops after any `train_to` and continues from `state()` elsewhere. A head
    starts with the weights that it would have in its own single trial, and sees the same positions
    in the same order. `config`, `network`, `report()` and similar names are about the first head.

    Args:
        configs: one for each head; they may differ only in `value_head` and `readout`.
        max_positions: positions that the learning-rate schedule covers.
        seed: seed of initial weights, data order, symmetries and dropout.
        trunk: how the heads use their trunk.
        readouts: read-outs to use instead of those in the configurations.
    Raises:
        ConfigError: the heads cannot share a trunk, or cannot use the frozen trunk.
        ContractError: a plug-in breaks its contract.
    """

    stepper_type: type[Stepper] = Stepper  # the doctor replaces it by one that records its steps

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        dataset: Dataset,
        *,
        max_positions: int,
        seed: int,
        device: torch.device | None = None,
        trunk: SharedTrunk = OWN_TRUNK,
        readouts: Sequence[Readout] | None = None,
    ) -> None:
        check_heads(configs, trunk.mode, frozen=trunk.frozen is not None)
        self.configs, self.dataset = tuple(configs), dataset
        self.max_positions, self.seed, self.mode = max_positions, seed, trunk.mode
        self.device = device or torch.device("cpu")
        self.config = config = configs[0]
        self.readouts = tuple(readouts or (build_readout(each.readout) for each in configs))
        self.encoder = PositionEncoder.of(config.encoder, dataset.config.board_size)
        body = build_many_heads(
            configs, self.encoder.planes, self.encoder.size, initial_weights_seed(seed)
        )
        self._trunk_hash = None if trunk.frozen is None else trunk.frozen.content_hash
        if trunk.frozen is not None:
            trunk.frozen.require_fit(config, dataset.config.board_size)
            trunk.frozen.load_into(body)
        elif config.start_from is not None:
            self._trunk_hash = begin_with(body, config.encoder, config.start_from)
        self.stream = TrainingStream(
            BatchBuilder(dataset.archive, self.encoder, dataset.config.stages, self.device),
            dataset.training(config.curriculum),
            config.curriculum,
            config.augment,
            derive_seed(seed, "order"),
            config.auxiliary,
        )
        start_at_prior(body, self.configs, self.readouts, self.stream, seed)
        execution = resolve_execution(config, self.device)
        if execution.precision == "float16" and (len(configs) > 1 or trunk.mode == "probe"):
            # With one loss scale for all heads, one head could change the steps of another.
            execution = replace(execution, precision="float32")
        self._prepare(body, execution)
        self.positions_seen = 0
        self._train_seconds = 0.0

    @classmethod
    def of(
        cls,
        config: TrialConfig,
        dataset: Dataset,
        max_positions: int,
        seed: int,
        device: torch.device | None = None,
        readout: Readout | None = None,
    ) -> Self:
        """A trial with one head, which is the usual case."""
        more: dict[str, Any] = {} if readout is None else {"readouts": [readout]}
        return cls([config], dataset, max_positions=max_positions, seed=seed, device=device, **more)

    def _prepare(self, body: ManyHeads, execution: Execution) -> None:
        """Place a network on the device, then create its optimisers, which hold its weights."""
        self.execution = execution
        self.body = body = execution.place(body, self.device)
        self._ahead = ReadAhead(self.stream, execution.show)
        self._stepper = self.stepper_type(
            body, self.configs, self.readouts, self.mode, self.seed, self.device, execution
        )
        self.network = self._stepper.network or body.with_head(0)
        self.evaluator = Evaluator(self.stream, self.seed, self.readouts, execution.show)

    @property
    def readout(self) -> Readout:
        """The read-out of the first head."""
        return self.readouts[0]

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The optimiser of a network with one head."""
        return self._stepper.owners[0].optimiser

    @property
    def _answering(self) -> ManyHeads:
        average = self._stepper.average
        return self.body if average is None else average.network

    @property
    def answering(self) -> Network:
        """The network that is evaluated, with the averaged weights if there are any."""
        return self.network if self._stepper.average is None else self._answering.with_head(0)

    @cached_property
    def costs(self) -> tuple[NetworkCost, ...]:
        """For each head, the size, operations and speed of its network. Measured once."""
        return self.evaluator.costs(self._answering)

    @property
    def cost(self) -> NetworkCost:
        """The cost of the first head's network."""
        return self.costs[0]

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin with the weights of a network of this form, whatever board it was for."""
        self.body.load_state_dict(weights)
        self._prepare(self.body, self.execution)

    def next_batch(self, size: int | None = None) -> Batch:
        """The next training batch. This does not advance the stream.

        Args:
            size: number of positions; by default the configured batch size.
        """
        return self.stream.batch(self.positions_seen, size or self.config.batch_size)

    def train_to(self, positions: int, pause: Callable[[], bool] = lambda: False) -> None:
        """Train until `positions` have been seen. The last batch may be smaller.

        Args:
            pause: called after each batch; if True, training pauses and losses are not tested.
        Raises:
            TrialError: a loss is not finite; names the heads.
        """
        started = time.perf_counter()
        self.body.train()
        with self._stepper.running(), repeatable():
            while self.positions_seen < positions:
                size = min(self.config.batch_size, positions - self.positions_seen)
                self.train_on(self._ahead.batch(self.positions_seen, size))
                if pause():
                    break
        if self.positions_seen >= positions:
            rate = f"learning rate {self.config.optimiser.learning_rate:g}"
            when = f"at {self.positions_seen:,} positions ({rate})"
            self._stepper.loss_monitor.require_finite(when)
        self._train_seconds += time.perf_counter() - started

    def train_on(self, batch: Batch) -> None:
        """One step on a given batch, in the network's current mode."""
        self._stepper.step(batch, self.positions_seen, self.max_positions)
        self.positions_seen += len(batch)

    def losses(self, batch: Batch) -> Losses:
        """The losses of a batch, unweighted, with their graph."""
        return self._stepper.losses(batch)

    def evaluations(
        self, positions: PositionSet | None = None
    ) -> tuple[tuple[Evaluation, ...], float]:
        """Answers of each head and mean policy loss in nats, by default on the validation games.

        The network uses its current batch-norm statistics. Only `reports` computes them again.
        """
        asked = self.dataset.validation if positions is None else positions
        return self.evaluator.evaluate(self._answering, asked)

    def evaluate(self, positions: PositionSet | None = None) -> tuple[Evaluation, float]:
        """As `evaluations`, for the first head."""
        evaluations, policy_loss = self.evaluations(positions)
        return evaluations[0], policy_loss

    def reports(self) -> tuple[TrialReport, ...]:
        """Compute batch-norm statistics again, evaluate, and make a report on each head.

        Raises:
            TrialError: an answer is not finite.
        """
        started = time.perf_counter()
        network, validation = self._answering, self.dataset.validation
        self.evaluator.calibrate(network)
        evaluations, policy_loss = self.evaluations()
        auxiliary = self.evaluator.auxiliary_losses(network, validation, self.config.auxiliary)
        trained, health = self._stepper.loss_monitor.take(), self._stepper.health()
        watched = self.evaluator.watch(network, validation)
        point = Point(self.positions_seen, self.max_positions, self._train_seconds, started)
        return tuple(
            make_report(
                config.head_name,
                point,
                evaluations[number],
                policy_loss,
                auxiliary,
                trained[number],
                Health(*health[number], watched[number]),
            )
            for number, config in enumerate(self.configs)
        )

    def report(self) -> TrialReport:
        """As `reports`, for the first head."""
        return self.reports()[0]

    def state(self) -> dict[str, Any]:
        """Everything that an exact continuation needs, as tensors and plain values."""
        return {
            **self._identity(),
            "execution": asdict(self.execution),
            "positions_seen": self.positions_seen,
            "network": self.body.state_dict(),
            **self._stepper.state(),
            "train_seconds": self._train_seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a state of an equal trial.

        Raises:
            CheckpointError: the state has other configurations, or another dataset, seed, trunk or
                encoder.
        """
        require_same_trial(state, self.state(), self.configs)
        execution = Execution(**state["execution"])
        if execution != self.execution:
            self._prepare(self.body, execution)
        self.body.load_state_dict(state["network"])
        self._stepper.load_state(state)
        self.positions_seen = state["positions_seen"]
        self._train_seconds = state["train_seconds"]

    def head_states(self) -> tuple[dict[str, Any], ...]:
        """For each head, a state with the evaluated network alone; it cannot be resumed."""
        return tuple(
            {
                **self._identity(),
                "configs": [config.model_dump(mode="json")],
                "positions_seen": self.positions_seen,
                "network": self._answering.with_head(number).state_dict(),
            }
            for number, config in enumerate(self.configs)
        )

    def _identity(self) -> dict[str, Any]:
        return {
            "configs": [config.model_dump(mode="json") for config in self.configs],
            "mode": self.mode,
            "trunk": self._trunk_hash,
            "data": self.dataset.config.model_dump(mode="json"),
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "code_version": __version__,
            "max_positions": self.max_positions,
            "seed": self.seed,
        }
