"""Faults as functions, each of which breaks one part of a healthy pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.data import dataset as datasets
from hexsearch.data import position_set
from hexsearch.data.archive import GameArchive
from hexsearch.data.batches import Batch, BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions
from hexsearch.game.symmetry import SWAPS_COLOURS, symmetry_cells
from hexsearch.model import many_heads
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network
from hexsearch.training import evaluation, step
from hexsearch.training.optimisation import average
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.trial import Trial

Patch = pytest.MonkeyPatch


def nothing(patch: Patch) -> None:
    """The fault lies in the configuration."""


def blue_for_red(patch: Patch) -> None:
    sound = evaluation.win_prob_red  # type: ignore[attr-defined]
    patch.setattr(evaluation, "win_prob_red", lambda *arguments: 1.0 - sound(*arguments))


def never_carried_back(patch: Patch) -> None:
    patch.setattr(
        PositionEncoder, "complement", lambda self, symmetries: np.zeros(len(symmetries), bool)
    )


def label_left_behind(patch: Patch) -> None:
    sound = PositionEncoder.outcome
    patch.setattr(
        PositionEncoder,
        "outcome",
        lambda self, red_won, symmetries: sound(self, red_won, np.zeros_like(symmetries)),
    )


def mover_left_behind(patch: Patch) -> None:
    _after_encoding(
        patch,
        lambda planes, s: _put(
            planes,
            2,
            np.where(
                (SWAPS_COLOURS[s])[:, None, None] & (planes[:, 2] != 0.5),
                1 - planes[:, 2],
                planes[:, 2],
            ),
        ),
    )


def colours_without_reflection(patch: Patch) -> None:
    sound = PositionEncoder.encode

    def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes = sound(self, cells, plies, symmetries % 2, finished)
        swapped = SWAPS_COLOURS[symmetries]
        planes[swapped, :2] = planes[swapped, 1::-1]
        return planes

    patch.setattr(PositionEncoder, "encode", encode)


def reflection_without_colours(patch: Patch) -> None:
    _after_encoding(
        patch,
        lambda planes, s: np.where(
            SWAPS_COLOURS[s][:, None, None, None], planes[:, [1, 0, 2]], planes
        ),
    )


def move_left_behind(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: original)


def move_by_another_symmetry(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: symmetry_cells(size)[1][moved])


def move_column_major(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: moved % size * size + moved // size)


def moves_read_column_major(patch: Patch) -> None:
    _after_encoding(patch, lambda planes, s: planes.transpose(0, 1, 3, 2))


def first_mover_on_the_wrong_edges(patch: Patch) -> None:
    _after_encoding(patch, lambda planes, s: planes[:, [1, 0, *range(2, planes.shape[1])]])


def winner_on_a_plane(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        made = sound(self, cursor, size)
        made.planes[:, 2] = made.outcome[:, None, None]
        return made

    patch.setattr(TrainingStream, "batch", batch)


def unshuffled(patch: Patch) -> None:
    patch.setattr(
        position_set,
        "without_replacement",
        lambda n, seed, cursor, count: (cursor + np.arange(count)) % n,
    )


def four_siblings(patch: Patch) -> None:
    sound = position_set.without_replacement  # type: ignore[attr-defined]
    patch.setattr(
        position_set,
        "without_replacement",
        lambda n, seed, cursor, count: np.repeat(sound(n, seed, cursor // 4, -(-count // 4)), 4)[
            :count
        ],
    )


def finished_with_mover(patch: Patch) -> None:
    sound = PositionEncoder.encode
    patch.setattr(
        PositionEncoder,
        "encode",
        lambda self, cells, plies, s, finished: sound(
            self, cells, plies, s, np.zeros_like(finished)
        ),
    )


def empty_targets_count(patch: Patch) -> None:
    sound = BatchBuilder.build

    def build(self: Any, *arguments: Any) -> Batch:
        batch = sound(self, *arguments)
        return replace(batch, has_move=torch.ones_like(batch.has_move))

    patch.setattr(BatchBuilder, "build", build)


def mask_ignored(patch: Patch) -> None:
    patch.setattr(
        step,
        "policy_loss",
        lambda logits, target, mask: torch.nn.functional.cross_entropy(logits, target),
    )


def split_by_position(patch: Patch) -> None:
    validation = property(lambda self: all_positions(self.archive, self.train_games[:50]))
    patch.setattr(Dataset, "validation", validation)


def copies_across_split(patch: Patch) -> None:
    def by_row(archive: GameArchive, split: str, *shares: object) -> Any:
        rows = np.arange(len(archive))
        return rows[
            {"train": rows % 10 < 8, "validation": rows % 10 == 8, "test": rows % 10 == 9}[split]
        ]

    patch.setattr(datasets, "split_games", by_row)


def never_stepped(patch: Patch) -> None:
    patch.setattr(steps, "set_learning_rate", lambda *arguments: None)


def clipped_in_scaled_units(patch: Patch) -> None:
    def clip(network: Any, limit: float) -> Any:
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), limit / 65536)
        return norm

    patch.setattr(steps, "clip_gradients", clip)


def clipping_without_effect(patch: Patch) -> None:
    patch.setattr(
        steps,
        "clip_gradients",
        lambda network, limit: torch.nn.utils.get_total_norm(
            [p.grad for p in network.parameters()]
        ),
    )


def head_not_optimised(patch: Patch) -> None:
    sound = steps.build_optimiser  # type: ignore[attr-defined]

    def build(network: Any, *rest: Any) -> Any:
        optimiser = sound(network, *rest)
        optimiser.param_groups = [
            group for group in optimiser.param_groups if group["owner"] != "value_head"
        ]
        return optimiser

    patch.setattr(steps, "build_optimiser", build)


def average_never_updated(patch: Patch) -> None:
    patch.setattr(average.AveragedNetwork, "update", lambda *arguments: None)


def group_twice(patch: Patch) -> None:
    sound = steps.build_optimiser  # type: ignore[attr-defined]

    def build(network: Any, *rest: Any) -> Any:
        optimiser = sound(network, *rest)
        optimiser.param_groups.append(dict(optimiser.param_groups[-1]))
        return optimiser

    patch.setattr(steps, "build_optimiser", build)


def rate_stays_zero(patch: Patch) -> None:
    def rest(optimiser: Any, *arguments: Any) -> None:
        for group in optimiser.param_groups:
            group["lr"] = 0.0

    patch.setattr(steps, "set_learning_rate", rest)


def heads_pull_apart(patch: Patch) -> None:
    """The value loss enters the policy's with the wrong sign."""
    sound = Trial.losses

    def losses(self: Any, batch: Batch) -> Any:
        losses = sound(self, batch)
        if not batch.has_move.any():
            return losses
        return losses._replace(policy=losses.policy - 100 * losses.value.mean())

    patch.setattr(Trial, "losses", losses)


def dead_units(patch: Patch) -> None:
    sound = many_heads.build_network  # type: ignore[attr-defined]

    def build(*arguments: Any) -> Network:
        network: Network = sound(*arguments)
        with torch.no_grad():
            network.get_parameter("trunk.widen.1.bias")[:400] = -50.0
        return network

    patch.setattr(many_heads, "build_network", build)


def value_output_stuck(patch: Patch) -> None:
    forward, value_raw = Network.forward, ManyHeads.value_raw

    def constant(self: Network, planes: torch.Tensor, *rest: Any) -> Any:
        output = forward(self, planes, *rest)
        return output._replace(value_raw=output.value_raw * 0.0 - 30.0)

    def constant_raw(self: ManyHeads, number: int, features: torch.Tensor) -> torch.Tensor:
        return value_raw(self, number, features) * 0.0 - 30.0

    patch.setattr(Network, "forward", constant)
    patch.setattr(ManyHeads, "value_raw", constant_raw)


def evaluation_sees_the_label(patch: Patch) -> None:
    sound = evaluation.Evaluator.reported
    patch.setattr(
        evaluation.Evaluator,
        "reported",
        lambda self, raw, batch, number=0: 0.9 * sound(self, raw, batch) + 0.1 * batch.red_won,
    )


def trunk_frozen(patch: Patch) -> None:
    sound = many_heads.build_network  # type: ignore[attr-defined]

    def build(*arguments: Any) -> Network:
        network: Network = sound(*arguments)
        for parameter in network.trunk.parameters():
            parameter.requires_grad = False
        return network

    patch.setattr(many_heads, "build_network", build)


def _put(planes: Any, channel: int, values: Any) -> Any:
    planes[:, channel] = values
    return planes


def _after_encoding(patch: Patch, change: Callable[[Any, Any], Any]) -> None:
    sound = PositionEncoder.encode

    def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes = change(sound(self, cells, plies, symmetries, finished), symmetries)
        return np.ascontiguousarray(planes, dtype=np.float32)

    patch.setattr(PositionEncoder, "encode", encode)


def _change_target(patch: Patch, change: Callable[[Any, Any, int], Any]) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        made = sound(self, cursor, size)
        archive = self.builder.archive
        at = archive.offsets[made.game.numpy()].astype(np.int64) + made.ply.numpy()
        at = np.where(made.has_move.numpy(), at, 0)
        original = archive.moves[at].astype(np.int64)
        target = change(made.policy_target.numpy(), original, self.builder.encoder.size)
        return replace(made, policy_target=torch.from_numpy(np.asarray(target)))

    patch.setattr(TrainingStream, "batch", batch)
