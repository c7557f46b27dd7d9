"""Evaluates value heads on one trunk: their answers on held-out positions, and their health."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.data.batch import Batch
from hexsearch.data.batches import NOTHING_ELSE, TrainingStream, evaluation_batches
from hexsearch.data.position_set import PositionSet
from hexsearch.model.auxiliary import auxiliary_losses, counted
from hexsearch.model.cost import NetworkCost, measure_cost
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network, taught
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import Readout, win_prob_red
from hexsearch.training.calibration import calibrate_norms
from hexsearch.training.metrics import Evaluation, reduce
from hexsearch.training.monitors.activations import ActivationHealth, ActivationMonitor
from hexsearch.training.seeds import derive_seed

# Positions that are answered together. On a GPU small networks wait for kernels to be launched, so
# larger batches are faster there.
_BATCH = {"cpu": 1024, "cuda": 4096}
_WATCHED_BATCH = 256
_REDUCED_THERE = frozenset({"cuda"})  # devices on which metrics are computed at once
_BUILT = {"cpu": 1024, "cuda": 16_384}  # positions whose planes are built together
_CALIBRATION_BATCHES, _CALIBRATION_BATCH = 8, 256
_AUXILIARY_POSITIONS = 4096  # positions for the losses of auxiliary heads, at most
_COLUMNS: dict[str, type[np.generic]] = {  # of a batch, and what an evaluation has them as
    "red_won": np.float64,
    "stage": np.int8,
    "to_end": np.int64,
    "final": np.bool_,
    "game": np.int64,
    "ply": np.int64,
}


def on_host(columns: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Columns in one copy. float64 holds float32, and integers below 2**53, exactly."""
    together = torch.cat([column.double() for column in columns]).cpu().numpy()
    ends = np.cumsum([len(column) for column in columns])
    return np.split(together, ends[:-1])


@dataclass(frozen=True)
class Evaluator:
    """Calibrates, evaluates and monitors a network, in float32 like all answers.

    Attributes:
        stream: stream of training positions.
        seed: seed of the trial, from which the positions for calibration are drawn.
        readouts: read-outs of the heads, in order.
        show: function that brings planes [B, C, N, N] into the network's memory format.
    """

    stream: TrainingStream
    seed: int
    readouts: Sequence[Readout]
    show: Callable[[Tensor], Tensor]

    def calibrate(self, network: ManyHeads) -> None:
        """Compute the batch-norm statistics again, except those of a frozen trunk."""
        seed, size = derive_seed(self.seed, "calibration"), _CALIBRATION_BATCH
        stream = replace(self.stream, seed=seed, auxiliary=NOTHING_ELSE)

        def batches() -> Iterator[Batch]:  # built together, and only if there are statistics
            yield from stream.batch(0, _CALIBRATION_BATCHES * size).parts(size)

        network.eval()
        trained = nn.ModuleList(network.heads) if network.frozen else network
        calibrate_norms(trained, batches(), lambda batch: self._answer(network, batch))

    @torch.inference_mode()
    def evaluate(
        self, network: ManyHeads, positions: PositionSet
    ) -> tuple[tuple[Evaluation, ...], float]:
        """Answers of each head, and the mean policy loss in nats.

        A GPU is not waited for in a batch. Metrics are computed there, and at the end everything is
        copied to the host together.
        """
        network.eval()
        columns: dict[str, list[Tensor]] = {name: [] for name in _COLUMNS}
        answers: list[list[Tensor]] = []
        policy_sums, moves = [], []
        for batch in self._batches(positions):
            raws, policy_logits = self._answer(network, batch)
            answers.append([self.reported(raw, batch, n) for n, raw in enumerate(raws)])
            count = batch.has_move.sum()
            policy = policy_loss(policy_logits, batch.policy_target, batch.has_move)
            policy_sums.append(count * policy)
            moves.append(count)
            for name in _COLUMNS:
                columns[name].append(getattr(batch, name))
        mean_policy_loss = torch.stack(policy_sums).sum() / torch.stack(moves).sum().clamp(min=1)
        known = {name: torch.cat(parts) for name, parts in columns.items()}
        given = [torch.cat(list(parts)) for parts in zip(*answers, strict=True)]
        there = [reduce(answer, known) for answer in given] if self._is_reduced_there else []
        figures = [column for reduced in there for column in reduced.columns]
        rows = iter(on_host([*known.values(), *given, mean_policy_loss[None], *figures]))
        arrays = {name: next(rows).astype(kind) for name, kind in _COLUMNS.items()}
        evaluations = tuple(Evaluation(win_prob_red=next(rows), **arrays) for _ in given)
        read_policy_loss = float(next(rows)[0])
        for evaluation, reduced in zip(evaluations, there, strict=False):
            evaluation.keep(reduced.filled([next(rows) for _ in reduced.columns]))
        return evaluations, read_policy_loss

    @property
    def _is_reduced_there(self) -> bool:
        """Whether metrics are computed on the device. On a CPU they are when somebody asks."""
        return self.stream.builder.device.type in _REDUCED_THERE

    def reported(self, raw: Tensor, batch: Batch, number: int = 0) -> Tensor:
        """[B] win_prob_red from raw values [B] of a head for a batch."""
        return win_prob_red(self.readouts[number], raw, batch.complement)

    @torch.inference_mode()
    def auxiliary_losses(
        self, network: ManyHeads, positions: PositionSet, wanted: AuxiliaryConfig
    ) -> dict[str, float]:
        """Mean loss of each auxiliary head on every n-th position; ignored entries are left out."""
        if not wanted.weights:
            return {}
        network.eval()
        every = -(-len(positions) // _AUXILIARY_POSITIONS)
        sums: dict[str, list[Tensor]] = {name: [] for name in wanted.weights}
        counts: dict[str, list[Tensor]] = {name: [] for name in wanted.weights}
        size = self._of_device(_BATCH)
        for batch in evaluation_batches(self.stream.builder, positions, size, every, wanted):
            features = network.trunk(self.show(batch.planes))
            losses = auxiliary_losses(taught(network.auxiliary, features), batch.auxiliary)
            for name, loss in losses.items():
                count = counted(batch.auxiliary[name])
                counts[name].append(count)
                sums[name].append(loss * count)
        means = [
            torch.stack(each).sum() / torch.stack(counts[name]).sum().clamp(min=1)
            for name, each in sums.items()
        ]
        return dict(zip(sums, torch.stack(means).tolist(), strict=True))

    @torch.inference_mode()
    def watch(
        self, network: ManyHeads, positions: PositionSet
    ) -> list[dict[str, ActivationHealth]]:
        """For each head, the activations of its network on the first few positions, by place."""
        batch = next(evaluation_batches(self.stream.builder, positions, _WATCHED_BATCH))
        planes, health = self.show(batch.planes), []
        for number, readout in enumerate(self.readouts):
            alone = network.with_head(number).eval()
            monitor = ActivationMonitor(alone, readout.win_prob)
            with monitor.watching(batch.outcome):
                alone(planes)
            health.append(monitor.health())
        return health

    def costs(self, network: ManyHeads) -> tuple[NetworkCost, ...]:
        """For each head: size, arithmetic and speed of its network."""
        builder = self.stream.builder

        def cost_of(alone: Network) -> NetworkCost:
            planes, side = builder.encoder.planes, builder.encoder.side
            return measure_cost(
                alone, planes, side, builder.device, lambda batch: alone(self.show(batch))
            )

        return tuple(cost_of(network.with_head(n)) for n in range(len(self.readouts)))

    def _batches(self, positions: PositionSet) -> Iterator[Batch]:
        """All positions in order, in batches whose planes are built several at a time."""
        for built in evaluation_batches(self.stream.builder, positions, self._of_device(_BUILT)):
            shown = replace(built, planes=self.show(built.planes))
            yield from shown.parts(self._of_device(_BATCH))

    def _of_device(self, sizes: Mapping[str, int]) -> int:
        return sizes.get(self.stream.builder.device.type, sizes["cpu"])

    def _answer(self, network: ManyHeads, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """Raw values [B] of each head, and policy logits [B, N*N]."""
        features, policy_logits = network.shared(self.show(batch.planes))
        heads = range(len(self.readouts))
        return [network.value_raw(number, features) for number in heads], policy_logits
