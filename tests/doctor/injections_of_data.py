"""Faults of samples and splits, as functions that break one part of a healthy pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data import dataset as datasets
from hexsearch.data import position_set
from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions
from hexsearch.game.symmetry import SWAPS_COLOURS, symmetry_cells
from tests.doctor.slips import Patch, in_batches, in_encoder


def label_left_behind(patch: Patch) -> None:
    sound = PositionEncoder.outcome
    patch.setattr(
        PositionEncoder,
        "outcome",
        lambda self, red_won, symmetries: sound(self, red_won, np.zeros_like(symmetries)),
    )


def mover_left_behind(patch: Patch) -> None:
    def change(planes: Any, symmetries: Any) -> Any:
        mover = planes[:, 2]
        moved = SWAPS_COLOURS[symmetries][:, None, None] & (mover != 0.5)
        planes[:, 2] = np.where(moved, 1 - mover, mover)
        return planes

    _after_encoding(patch, change)


def colours_without_reflection(patch: Patch) -> None:
    def change(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, over: Any) -> Any:
        planes = sound(self, cells, plies, symmetries % 2, over)
        swapped = SWAPS_COLOURS[symmetries]
        planes[swapped, :2] = planes[swapped, 1::-1]
        return planes

    in_encoder(change)(patch)


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
    def change(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        batch.planes[:, 2] = batch.outcome[:, None, None]
        return batch

    in_batches(change)(patch)


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
    in_encoder(
        lambda sound, self, cells, plies, s, finished: sound(
            self, cells, plies, s, np.zeros_like(finished)
        )
    )(patch)


def smoothed_unasked(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        drawn = sound(self, cursor, size)
        return replace(drawn, smoothing=torch.full_like(drawn.smoothing, 0.4))

    patch.setattr(TrainingStream, "batch", batch)


def empty_targets_count(patch: Patch) -> None:
    sound = BatchBuilder.build

    def build(self: Any, *arguments: Any) -> Batch:
        batch = sound(self, *arguments)
        return replace(batch, has_move=torch.ones_like(batch.has_move))

    patch.setattr(BatchBuilder, "build", build)


def split_by_position(patch: Patch) -> None:
    def half(self: Dataset, second: bool) -> position_set.PositionSet:
        games = self.train_games
        middle, last = self.archive.lengths_of(games) // 2, self.archive.lengths_of(games)
        first, end = (middle, last) if second else (np.zeros_like(last), middle - 1)
        return position_set.position_set(games, first, end)

    patch.setattr(Dataset, "validation", property(lambda self: half(self, True)))
    patch.setattr(Dataset, "training", lambda self, curriculum: half(self, False))


def reports_on_training_games(patch: Patch) -> None:
    validation = property(lambda self: all_positions(self.archive, self.train_games[:50]))
    patch.setattr(Dataset, "validation", validation)


def copies_across_split(patch: Patch) -> None:
    def by_row(archive: GameArchive, split: str, *shares: object) -> Any:
        rows = np.arange(len(archive))
        return rows[
            {"train": rows % 10 < 8, "validation": rows % 10 == 8, "test": rows % 10 == 9}[split]
        ]

    patch.setattr(datasets, "split_games", by_row)


def _after_encoding(patch: Patch, change: Callable[[Any, Any], Any]) -> None:
    def encode(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, over: Any) -> Any:
        planes = change(sound(self, cells, plies, symmetries, over), symmetries)
        return np.ascontiguousarray(planes, dtype=np.float32)

    in_encoder(encode)(patch)


def _change_target(patch: Patch, change: Callable[[Any, Any, int], Any]) -> None:
    """Other policy targets, from the cells as encoded and as played, and the side of the board."""

    def changed(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        archive = stream.builder.archive
        at = archive.offsets[batch.game.numpy()].astype(np.int64) + batch.ply.numpy()
        original = archive.moves[np.where(batch.has_move.numpy(), at, 0)].astype(np.int64)
        target = change(batch.policy_target.numpy(), original, stream.builder.encoder.size)
        return replace(batch, policy_target=torch.from_numpy(np.asarray(target)))

    in_batches(changed)(patch)
