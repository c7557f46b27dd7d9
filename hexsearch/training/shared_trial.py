"""K value heads in training on one trunk: what costs K trials apart costs little more than one.

Heads on one trunk see the same features of the same positions at the same step, so what is left
between them is the head. Trained apart, two seeds of one head differ as much as two heads do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hexsearch import __version__
from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import (
    NOTHING_ELSE,
    Batch,
    BatchBuilder,
    TrainingStream,
    evaluation_batches,
)
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import ENCODER_VERSION, PositionEncoder
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.errors import CheckpointError, TrialError
from hexsearch.model.cost import NetworkCost, measure_cost
from hexsearch.model.many_heads import ManyHeads, build_many_heads
from hexsearch.model.network import count_parameters
from hexsearch.model.readout import win_prob_red
from hexsearch.training.calibration import calibrate_norms
from hexsearch.training.evaluation import evaluate_auxiliary, evaluate_heads, watch_answers
from hexsearch.training.execution import repeatable, resolve_execution
from hexsearch.training.frozen_trunk import FrozenTrunk
from hexsearch.training.heads import check_contenders
from hexsearch.training.judgement import Health, Point, make_report
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.report import TrialReport
from hexsearch.training.seeds import derive_seed, initial_weights_seed
from hexsearch.training.shared_step import Mode, SharedStepper

_EVALUATION_BATCH = 1024
_WATCHED_BATCH = 256
_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 8, 256


class SharedTrial:
    """Value heads in training on one trunk on one dataset, counted in positions seen.

    Same configuration, budget, seed and machine: same bits, also when stopped after any
    `train_to` and continued from `state()`. A head starts with the weights that it would have
    in a `Trial` of the same seed, and sees the same positions in the same order.

    Args:
        configs: one for each head, equal but for `value_head` and `readout`.
        budget: positions that the learning-rate schedule is laid over.
        trunk: of a checkpoint, to stay as it is; None trains one from its first weights.
    Raises:
        ConfigError: the heads cannot share a trunk, or not this one.
    """

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        dataset: Dataset,
        budget: int,
        seed: int,
        mode: Mode = "joint",
        device: torch.device | None = None,
        trunk: FrozenTrunk | None = None,
    ) -> None:
        check_contenders(configs, mode, frozen=trunk is not None)
        self._trunk_hash = None if trunk is None else trunk.content_hash
        self.configs, self.dataset = list(configs), dataset
        self.budget, self.seed, self.mode = budget, seed, mode
        self.device = device or torch.device("cpu")
        base = configs[0]
        encoder = PositionEncoder(
            dataset.config.board_size, base.encoder.perspective, base.encoder.edge_ring
        )
        network = build_many_heads(
            configs, encoder.planes, encoder.size, initial_weights_seed(seed)
        )
        if trunk is not None:
            trunk.require_fit(base, dataset.config.board_size)
            trunk.load_into(network)
        execution = resolve_execution(base, self.device)
        if execution.precision == "float16":  # which would need a loss scale for every head
            execution = replace(execution, precision="float32")
        self.execution = execution
        self.network: ManyHeads = execution.place(network, self.device)
        self._stepper = SharedStepper(self.network, configs, seed, mode, self.device, execution)
        self.positions_seen = 0
        self._builder = BatchBuilder(dataset.archive, encoder, dataset.config.stages, self.device)
        self._stream = TrainingStream(
            self._builder,
            dataset.training(base.curriculum),
            base.curriculum,
            base.augment,
            derive_seed(seed, "order"),
            base.auxiliary,
        )
        self._ahead = ReadAhead(self._stream, execution.show)
        self._train_seconds = 0.0

    @property
    def answering(self) -> ManyHeads:
        """The network that is evaluated: the averaged weights where there are some."""
        average = self._stepper.average
        return self.network if average is None else average.network

    @property
    def parameters(self) -> list[int]:
        """Trainable numbers of the network that each head is part of."""
        return [
            count_parameters(self.network.with_head(number)) for number in range(len(self.configs))
        ]

    @cached_property
    def costs(self) -> list[NetworkCost]:
        """Of the network that each head is part of, measured once, without autocast."""
        network, encoder = self.answering, self._builder.encoder
        alone = [network.with_head(number) for number in range(len(self.configs))]
        return [measure_cost(one, encoder.planes, encoder.side, self.device, one) for one in alone]

    def train_to(self, positions: int) -> None:
        """Train until `positions` have been seen; the last batch may be smaller.

        Raises:
            TrialError: a loss is no longer finite; names the heads.
        """
        started = time.perf_counter()
        self.network.train()
        with repeatable():
            while self.positions_seen < positions:
                size = min(self.configs[0].batch_size, positions - self.positions_seen)
                batch = self._ahead.batch(self.positions_seen, size)
                self._stepper.step(batch, self.positions_seen, self.budget)
                self.positions_seen += size
        diverged = self._stepper.diverged
        if diverged:
            heads = [config.value_head.name for config in self.configs]
            names = [*heads, "the policy", *self.configs[0].auxiliary.weights]
            raise TrialError(
                f"training loss of {', '.join(names[number] for number in diverged)} is not "
                f"finite at {self.positions_seen:,} positions (learning rate "
                f"{self.configs[0].optimiser.learning_rate:g})",
                verdict="nan",
            )
        self._train_seconds += time.perf_counter() - started

    def evaluate(self) -> tuple[list[Evaluation], float]:
        """Each head's answers on every validation position, and the mean policy loss in nats."""
        network = self.answering.eval()

        def answer(batch: Batch) -> tuple[list[Tensor], Tensor]:
            features, policy_logits = network.shared(self.execution.show(batch.planes))
            return [
                win_prob_red(readout, network.value_raw(number, features), batch.complement)
                for number, readout in enumerate(self._stepper.readouts)
            ], policy_logits

        batches = evaluation_batches(self._builder, self.dataset.validation, _EVALUATION_BATCH)
        return evaluate_heads(batches, answer)

    def report(self) -> list[TrialReport]:
        """Renew batch-norm statistics, evaluate, and say where each head stands.

        Raises:
            TrialError: an answer is not finite.
        """
        started = time.perf_counter()
        self._calibrate()
        evaluations, validation_policy_loss = self.evaluate()
        trained, network = self._stepper.take_losses(), self.answering
        auxiliary = evaluate_auxiliary(
            self._builder,
            self.dataset.validation,
            self.configs[0].auxiliary,
            network.auxiliary,
            lambda batch: network.trunk(self.execution.show(batch.planes)),
        )
        point = Point(self.positions_seen, self.budget, self._train_seconds, started)
        return [
            make_report(
                point,
                evaluations[number],
                validation_policy_loss,
                auxiliary,
                trained[number],
                Health(gradients, activations, self._watched_answers(number)),
                whose=f" of {self.configs[number].value_head.name}",
            )
            for number, (gradients, activations) in enumerate(self._stepper.health())
        ]

    def _watched_answers(self, number: int) -> dict[str, ActivationHealth]:
        batch = next(evaluation_batches(self._builder, self.dataset.validation, _WATCHED_BATCH))
        network, readout = self.answering.with_head(number), self._stepper.readouts[number]
        planes = self.execution.show(batch.planes)
        return watch_answers(network, planes, batch.outcome, readout.win_prob)

    def _calibrate(self) -> None:
        """Renew the statistics of what trains; a frozen trunk keeps those that it was judged by."""
        seed = derive_seed(self.seed, "calibration")
        stream = replace(self._stream, seed=seed, auxiliary=NOTHING_ELSE)
        size, network = _CALIBRATION_BATCH, self.answering

        def forward(batch: Batch) -> None:
            features, _ = network.shared(self.execution.show(batch.planes))
            for number in range(len(self.configs)):
                network.value_raw(number, features)

        batches = (stream.batch(i * size, size) for i in range(_CALIBRATION_BATCHES))
        network.eval()
        calibrate_norms(network.heads if network.frozen else network, batches, forward)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, as tensors and plain values."""
        return {
            **self._identity(),
            "code_version": __version__,
            "positions_seen": self.positions_seen,
            "network": self.network.state_dict(),
            **self._stepper.state(),
            "train_seconds": self._train_seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of an equal training.

        Raises:
            CheckpointError: it belongs to other heads, or another dataset, seed or encoder.
        """
        different = [name for name, mine in self._identity().items() if state.get(name) != mine]
        if different:
            raise CheckpointError(
                f"checkpoint differs from this comparison in {', '.join(different)}; it cannot "
                "go on"
            )
        self.network.load_state_dict(state["network"])
        self._stepper.load_state(state)
        self.positions_seen = state["positions_seen"]
        self._train_seconds = state["train_seconds"]

    def head_states(self) -> list[dict[str, Any]]:
        """For each head what `analyze` and `predict` need of a trial: the network that answers."""
        common = {
            "data": self.dataset.config.model_dump(mode="json"),
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "code_version": __version__,
            "budget": self.budget,
            "seed": self.seed,
            "positions_seen": self.positions_seen,
        }
        return [
            {
                **common,
                "config": config.model_dump(mode="json"),
                "network": self.answering.with_head(number).state_dict(),
            }
            for number, config in enumerate(self.configs)
        ]

    def _identity(self) -> dict[str, Any]:
        return {
            "configs": [config.model_dump(mode="json") for config in self.configs],
            "mode": self.mode,
            "trunk": self._trunk_hash,
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "execution": asdict(self.execution),
            "budget": self.budget,
            "seed": self.seed,
        }
