"""One trial: step it in a plain loop, read its reports. It has never heard of Ray."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch import __version__
from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import Batch, BatchBuilder, TrainingStream, evaluation_batches
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import ENCODER_VERSION, PositionEncoder
from hexsearch.errors import CheckpointError, TrialError
from hexsearch.model.network import (
    Network,
    NetworkOutput,
    build_network,
    count_parameters,
)
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import build_readout, win_prob_red
from hexsearch.training.calibration import calibrate_norms
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors import ActivationMonitor, GradientMonitor, judge
from hexsearch.training.optim import build_optimiser, clip_gradients, set_learning_rate
from hexsearch.training.report import TrialReport

LOOK_EVERY = 50  # steps between two looks of the monitors
_EVALUATION_BATCH = 1024
_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 8, 256


class Trial:
    """A network in training on one dataset, counted in positions seen.

    The same configuration, budget, seed and machine give the same numbers to the last bit,
    also when stopped after any `train_to` and continued from `state()` elsewhere.

    Args:
        budget: positions that the learning-rate schedule is laid over.
        seed: of initial weights, data order, symmetries and dropout. Variants that share it
            see the same positions in the same order.
    """

    def __init__(
        self,
        config: TrialConfig,
        dataset: Dataset,
        budget: int,
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        self.config, self.dataset, self.budget, self.seed = config, dataset, budget, seed
        self.device = device or torch.device("cpu")
        self.encoder = PositionEncoder(
            dataset.config.board_size, config.encoder.perspective, config.encoder.edge_ring
        )
        self.readout = build_readout(config.readout)
        network = build_network(
            config, self.encoder.planes, self.encoder.size, initial_weights_seed(seed)
        )
        # Channels last: 1.4 times as fast as the default on a CPU, and what tensor cores want.
        self.network: Network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = build_optimiser(self.network, config.optimiser, self.device)
        self.gradient_monitor = GradientMonitor(self.network, config.optimiser.clip)
        self.activation_monitor = ActivationMonitor(self.network)
        self.positions_seen = 0
        self._steps = 0
        builder = BatchBuilder(dataset.archive, self.encoder, dataset.config.stages, self.device)
        self._builder = builder
        self._stream = TrainingStream(
            builder,
            dataset.training(config.curriculum),
            config.curriculum,
            config.augment,
            _derive(seed, "order"),
        )
        generator = torch.Generator(self.device).manual_seed(_derive(seed, "dropout"))
        self._rng_state = generator.get_state()
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._summed_steps = 0
        self._train_seconds = 0.0

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network."""
        return count_parameters(self.network)

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
        with self._own_randomness():
            while self.positions_seen < positions:
                size = min(self.config.batch_size, positions - self.positions_seen)
                batch = self.next_batch(size)
                self._step(batch)
                self.positions_seen += size
        if not bool(torch.isfinite(self._sums).all()):
            raise TrialError(
                f"training loss is not finite at {self.positions_seen:,} positions "
                f"(learning rate {self.config.optimiser.learning_rate:g})",
                verdict="nan",
            )
        self._train_seconds += time.perf_counter() - started

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Value loss of each position [B] and mean policy loss, unweighted, with their graph."""
        output = self._forward(batch)
        value = self.readout.loss(output.value_raw.float(), batch.outcome)
        return value, policy_loss(output.policy_logits, batch.policy_target, batch.has_move)

    def reported(self, raw: Tensor, batch: Batch) -> Tensor:
        """[B] win_prob_red as evaluation reports it, of raw values [B] for a batch."""
        return win_prob_red(self.readout, raw, batch.complement)

    def _step(self, batch: Batch) -> None:
        look = self._steps % LOOK_EVERY == 0
        disarm = self.activation_monitor.watch() if look else None
        set_learning_rate(self.optimiser, self.config.optimiser, self.positions_seen / self.budget)
        losses, policy = self.losses(batch)
        value = (losses * batch.weight).mean()
        loss = self.config.value_weight * value
        if self.config.policy_head.weight:
            loss = loss + self.config.policy_head.weight * policy
        if disarm is not None:
            disarm()
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = clip_gradients(self.network, self.config.optimiser.clip)
        if look:
            self.gradient_monitor.before_step(norm)
        self.optimiser.step()
        if look:
            self.gradient_monitor.after_step()
        # Kept on the device: reading it here would wait for the step to end.
        self._sums += torch.stack([losses.detach().mean(), policy.detach()])
        self._summed_steps += 1
        self._steps += 1

    @torch.inference_mode()
    def evaluate(self) -> tuple[Evaluation, float]:
        """Answers on every validation position, and the mean policy loss.

        The network answers with the batch-norm statistics that it has; `report` renews them.
        """
        self.network.eval()
        parts: dict[str, list[Tensor]] = {name: [] for name in _EVALUATED}
        policy_sum, moves = torch.zeros((), device=self.device), 0
        for batch in evaluation_batches(self._builder, self.dataset.validation, _EVALUATION_BATCH):
            output = self._forward(batch)
            count = int(batch.has_move.sum())
            policy_sum += count * policy_loss(
                output.policy_logits, batch.policy_target, batch.has_move
            )
            moves += count
            parts["win_prob_red"].append(self.reported(output.value_raw, batch))
            for name in _EVALUATED[1:]:
                parts[name].append(getattr(batch, name))
        arrays = {name: torch.cat(tensors).cpu().numpy() for name, tensors in parts.items()}
        arrays["win_prob_red"] = arrays["win_prob_red"].astype(np.float64)
        arrays["red_won"] = arrays["red_won"].astype(np.float64)
        return Evaluation(**arrays), float(policy_sum) / max(moves, 1)

    def _calibrate(self) -> None:
        stream = replace(self._stream, seed=_derive(self.seed, "calibration"))
        size = _CALIBRATION_BATCH
        batches = (stream.batch(i * size, size) for i in range(_CALIBRATION_BATCHES))
        calibrate_norms(self.network, batches, self._forward)

    def report(self) -> TrialReport:
        """Renew batch-norm statistics, evaluate, and say where training stands.

        Raises:
            TrialError: an answer is not finite.
        """
        started = time.perf_counter()
        self._calibrate()
        evaluation, validation_policy_loss = self.evaluate()
        if not np.isfinite(evaluation.win_prob_red).all():
            raise TrialError(
                f"win_prob_red is not finite at {self.positions_seen:,} positions", verdict="nan"
            )
        metrics = evaluation.metrics()
        red_share = float(evaluation.red_won.mean())
        gradients, activations = self.gradient_monitor.health(), self.activation_monitor.health()
        verdict = judge(
            gradients,
            activations,
            answer_spread=float(evaluation.win_prob_red.std()),
            value_loss=metrics.overall.value_loss,
            prior_loss=red_share * (1 - red_share),
            progress=self.positions_seen / self.budget,
        )
        steps = max(self._summed_steps, 1)
        train_value, train_policy = (float(total) / steps for total in self._sums)
        self._sums.zero_()
        self._summed_steps = 0
        return TrialReport(
            positions_seen=self.positions_seen,
            metrics=metrics,
            policy_loss=validation_policy_loss,
            train_value_loss=train_value,
            train_policy_loss=train_policy,
            gradients=gradients,
            activations=activations,
            verdict=verdict,
            game_losses=evaluation.game_losses(),
            timings={
                "train_s": round(self._train_seconds, 3),
                "evaluate_s": round(time.perf_counter() - started, 3),
                "positions_per_s": round(self.positions_seen / max(self._train_seconds, 1e-9), 1),
            },
        )

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit-exactly, as tensors and plain values."""
        return {
            "config": self.config.model_dump(mode="json"),
            "data": self.dataset.config.model_dump(mode="json"),
            "archive": self.dataset.archive.content_hash,
            "encoder_version": ENCODER_VERSION,
            "code_version": __version__,
            "budget": self.budget,
            "seed": self.seed,
            "positions_seen": self.positions_seen,
            "steps": self._steps,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self._rng_state,
            "gradient_monitor": self.gradient_monitor.state(),
            "activation_monitor": self.activation_monitor.state(),
            "sums": self._sums,
            "summed_steps": self._summed_steps,
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
        different = [name for name, value in mine.items() if state[name] != value]
        if different:
            raise CheckpointError(
                f"checkpoint differs from this trial in {', '.join(different)}; it cannot go on"
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._rng_state = state["rng"]
        self.gradient_monitor.load_state(state["gradient_monitor"])
        self.activation_monitor.load_state(state["activation_monitor"])
        self.positions_seen = state["positions_seen"]
        self._steps = state["steps"]
        self._sums = state["sums"].to(self.device)
        self._summed_steps = state["summed_steps"]
        self._train_seconds = state["train_seconds"]

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """torch's generator in this trial's state; the caller's is put back afterwards."""
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            if on_gpu:
                torch.cuda.set_rng_state(self._rng_state, self.device)
            else:
                torch.set_rng_state(self._rng_state)
            yield
            self._rng_state = (
                torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()
            )

    def _forward(self, batch: Batch) -> NetworkOutput:
        wanted = self.config.precision
        halved = wanted == "bfloat16" or (wanted == "auto" and self.device.type == "cuda")
        planes = batch.planes.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=halved):
            output: NetworkOutput = self.network(planes)
        return output


_EVALUATED = ("win_prob_red", "red_won", "stage", "to_end", "final", "game")


def initial_weights_seed(seed: int) -> int:
    """What `build_network` is seeded with in a trial of this seed."""
    return _derive(seed, "weights")


def _derive(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, below 2**62."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2
