"""One trial: step it in a plain loop, read its reports. It has never heard of Ray."""

from __future__ import annotations

import time
from collections.abc import Callable
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
from hexsearch.data.position_set import PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.errors import CheckpointError, TrialError
from hexsearch.model.auxiliary import auxiliary_losses
from hexsearch.model.cost import NetworkCost, measure_cost
from hexsearch.model.network import Network, NetworkOutput, build_network, count_parameters
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import Readout, build_readout, raw_of, win_prob_red
from hexsearch.model.value_heads import set_first_answer
from hexsearch.training.calibration import calibrate_norms
from hexsearch.training.evaluation import (
    evaluate_auxiliary,
    evaluate_batches,
    watch_answers,
)
from hexsearch.training.execution import Execution, repeatable, resolve_execution
from hexsearch.training.judgement import Health, Point, make_report
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.prior import training_prior
from hexsearch.training.report import TrialReport
from hexsearch.training.seeds import OwnGenerator, derive_seed, initial_weights_seed
from hexsearch.training.step import Losses, Stepper

_EVALUATION_BATCH = 1024
_WATCHED_BATCH = 256
_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 8, 256
_DEFAULTS = TrialConfig().model_dump(mode="json")


class Trial:
    """A network in training on one dataset, counted in positions seen.

    The same configuration, budget, seed and machine give the same numbers to the last bit,
    also when stopped after any `train_to` and continued from `state()` elsewhere.

    Args:
        budget: positions that the learning-rate schedule is laid over.
        seed: of initial weights, data order, symmetries and dropout. Variants that share it
            see the same positions in the same order.
        readout: used instead of the configuration's, which is then neither built nor held to its
            contract; the doctor looks at broken ones.
    """

    def __init__(
        self,
        config: TrialConfig,
        dataset: Dataset,
        budget: int,
        seed: int,
        device: torch.device | None = None,
        readout: Readout | None = None,
    ) -> None:
        self.config, self.dataset, self.budget, self.seed = config, dataset, budget, seed
        self.device = device or torch.device("cpu")
        self.encoder = PositionEncoder(
            dataset.config.board_size, config.encoder.perspective, config.encoder.edge_ring
        )
        self.readout = readout or build_readout(config.readout)
        network = build_network(
            config, self.encoder.planes, self.encoder.size, initial_weights_seed(seed)
        )
        builder = BatchBuilder(dataset.archive, self.encoder, dataset.config.stages, self.device)
        self._builder = builder
        self._stream = TrainingStream(
            builder,
            dataset.training(config.curriculum),
            config.curriculum,
            config.augment,
            derive_seed(seed, "order"),
            config.auxiliary,
        )
        if config.readout.start_at_prior:
            prior = training_prior(self._stream_for("prior"))
            set_first_answer(network.value_head, raw_of(self.readout, prior))
        self._prepare(network, resolve_execution(config, self.device))
        self.positions_seen = 0
        self._generator = OwnGenerator(derive_seed(seed, "dropout"), self.device)
        self._train_seconds = 0.0

    def _prepare(self, network: Network, execution: Execution) -> None:
        """Place a network and begin its optimiser, which holds views of the placed weights."""
        self.execution = execution
        self.network = execution.place(network, self.device)
        self._compiled = (
            execution.compile(self.network, self.device) if execution.compiled else None
        )
        self._ahead = ReadAhead(self._stream, execution.show)
        self._stepper = Stepper(
            self.network,
            self.config,
            self.device,
            scaled=execution.precision == "float16",
            win_prob=lambda raw: self.readout.win_prob(raw),
        )

    def _stream_for(self, purpose: str) -> TrainingStream:
        """Training positions in an order of its own, without auxiliary targets."""
        seed = derive_seed(self.seed, purpose)
        return replace(self._stream, seed=seed, auxiliary=NOTHING_ELSE)

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """What moves the weights."""
        return self._stepper.optimiser

    @property
    def answering(self) -> Network:
        """The network that is evaluated: the averaged weights where there are some."""
        average = self._stepper.average
        return self.network if average is None else average.network

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network."""
        return count_parameters(self.network)

    @cached_property
    def cost(self) -> NetworkCost:
        """Size, arithmetic and speed of the network at inference, measured once."""
        network = self.answering
        return measure_cost(
            network,
            self.encoder.planes,
            self.encoder.side,
            self.device,
            lambda planes: network(self.execution.show(planes)),
        )

    def next_batch(self, size: int | None = None) -> Batch:
        """The positions that training shows next; asking does not move on.

        Args:
            size: how many, the configured batch size by default.
        """
        return self._stream.batch(self.positions_seen, size or self.config.batch_size)

    def train_to(self, positions: int) -> None:
        """Train until `positions` have been seen; the last batch may be smaller.

        Raises:
            TrialError: the loss is no longer finite.
        """
        started = time.perf_counter()
        self.network.train()
        with self._generator.borrowed(), repeatable():
            while self.positions_seen < positions:
                size = min(self.config.batch_size, positions - self.positions_seen)
                self.train_on(self._ahead.batch(self.positions_seen, size))
        if not self._stepper.is_finite:
            raise TrialError(
                f"training loss is not finite at {self.positions_seen:,} positions "
                f"(learning rate {self.config.optimiser.learning_rate:g})",
                verdict="nan",
            )
        self._train_seconds += time.perf_counter() - started

    def train_on(self, batch: Batch) -> None:
        """One step on a batch of the caller's choice, in the mode that the network is in."""
        self._stepper.step(batch, self.losses, self.positions_seen, self.budget)
        self.positions_seen += len(batch)

    def losses(self, batch: Batch, watched: bool = True) -> Losses:
        """What a batch costs, unweighted, with its graph.

        Args:
            watched: hooks on modules have to see the pass, so that nothing compiled may run.
        """
        network: Callable[..., NetworkOutput] = self.network
        # Compiled once, for full batches: a shape that comes later must not change their kernel.
        usual = self.config.micro_batch or self.config.batch_size
        if self._compiled is not None and not watched and len(batch) == usual:
            network = self._compiled
        with self.execution.autocast(self.device):
            output = network(self.execution.show(batch.planes), bool(batch.auxiliary))
        return Losses(
            self.readout.loss(output.value_raw.float(), batch.outcome),
            policy_loss(output.policy_logits, batch.policy_target, batch.has_move),
            auxiliary_losses(output.auxiliary or {}, batch.auxiliary),
        )

    def reported(self, raw: Tensor, batch: Batch) -> Tensor:
        """[B] win_prob_red as evaluation reports it, of raw values [B] for a batch."""
        return win_prob_red(self.readout, raw, batch.complement)

    def evaluate(self, positions: PositionSet | None = None) -> tuple[Evaluation, float]:
        """Answers on positions, by default all of the validation games, and the mean policy loss.

        The network answers with the batch-norm statistics that it has; `report` renews them.
        """
        network = self.answering.eval()
        judged = self.dataset.validation if positions is None else positions
        batches = evaluation_batches(self._builder, judged, _EVALUATION_BATCH)
        return evaluate_batches(batches, lambda batch: self._answer(network, batch), self.reported)

    def _calibrate(self) -> None:
        stream = self._stream_for("calibration")
        size = _CALIBRATION_BATCH
        batches = (stream.batch(i * size, size) for i in range(_CALIBRATION_BATCHES))
        network = self.answering
        calibrate_norms(network, batches, lambda batch: self._answer(network, batch))

    def report(self) -> TrialReport:
        """Renew batch-norm statistics, evaluate, and say where training stands.

        Raises:
            TrialError: an answer is not finite.
        """
        started = time.perf_counter()
        self._calibrate()
        evaluation, validation_policy_loss = self.evaluate()
        stepper, network = self._stepper, self.answering
        return make_report(
            Point(self.positions_seen, self.budget, self._train_seconds, started),
            evaluation,
            validation_policy_loss,
            evaluate_auxiliary(
                self._builder,
                self.dataset.validation,
                self.config.auxiliary,
                network.auxiliary,
                lambda batch: network.trunk(self.execution.show(batch.planes)),
            ),
            stepper.take_losses(),
            Health(
                gradients=stepper.gradient_monitor.health(),
                activations=stepper.activation_monitor.health(),
                evaluation_activations=self._watched_answers(),
            ),
        )

    def _watched_answers(self) -> dict[str, ActivationHealth]:
        batch = next(evaluation_batches(self._builder, self.dataset.validation, _WATCHED_BATCH))
        planes = self.execution.show(batch.planes)
        return watch_answers(self.answering, planes, batch.outcome, self.readout.win_prob)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, as tensors and plain values."""
        return {
            "config": self.config.model_dump(mode="json"),
            "data": self.dataset.config.model_dump(mode="json"),
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "code_version": __version__,
            "execution": asdict(self.execution),
            "budget": self.budget,
            "seed": self.seed,
            "positions_seen": self.positions_seen,
            "network": self.network.state_dict(),
            **self._stepper.state(),
            "rng": self._generator.state,
            "train_seconds": self._train_seconds,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of an equal trial.

        Raises:
            CheckpointError: it belongs to another configuration, dataset, seed or encoder.
        """
        mine = {
            "config": self.config.model_dump(mode="json"),
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "budget": self.budget,
            "seed": self.seed,
        }
        absent = [name for name in self.state() if name not in state]
        if absent:
            raise CheckpointError(
                f"checkpoint lacks {', '.join(absent)}: it was written by hexsearch "
                f"{state.get('code_version', 'of another version')} and cannot go on"
            )
        # A setting that the file does not know was at its default: it came later.
        stored = {**state, "config": {**_DEFAULTS, **state["config"]}}
        different = [name for name, value in mine.items() if stored[name] != value]
        if different:
            raise CheckpointError(
                f"checkpoint differs from this trial in {', '.join(different)}; it cannot go on"
            )
        execution = Execution(**state["execution"])
        if execution != self.execution:
            self._prepare(self.network, execution)
        self.network.load_state_dict(state["network"])
        self._stepper.load_state(state)
        self._generator.state = state["rng"]
        self.positions_seen = state["positions_seen"]
        self._train_seconds = state["train_seconds"]

    def _answer(self, network: Network, batch: Batch) -> NetworkOutput:
        """In float32, as every later answer of these weights is given."""
        output: NetworkOutput = network(self.execution.show(batch.planes))
        return output
