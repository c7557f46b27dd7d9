"""Training samples as the network and the loss get them, and what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.general.regions import Columns, region
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import where
from hexsearch.doctor.hypotheses.truth import (
    SWAPS,
    Flags,
    Ints,
    Planes,
    Truth,
    inside_ring,
    same,
    truth_of,
)
from hexsearch.doctor.watching import WatchedTrial

PLIES = 4096  # more than any game has
_LARGE = 9  # side of planes from which on fewer positions are compared
_APART, _RARE = 0.1, 0.01  # shares of samples that are not turned with their board, and by chance
_SAMPLES, _BATCHES = 2048, 18  # at least so many are compared; most are fetched, not trained on


@dataclass(frozen=True)
class TrainingSamples:
    """Consecutive training batches, joined.

    Attributes:
        batch: columns of all B positions, without auxiliary targets.
        planes: [B, C, N, N] planes at the input of the network.
        target: [B] labels at the loss of the read-out, without the share of a search value.
        batch_size: positions in each batch.
        perspective: perspective of the encoder.
    """

    batch: Batch
    planes: NDArray[np.float32]
    target: NDArray[np.float32]
    batch_size: int
    perspective: Literal["absolute", "mover"]


def training_samples(trial: WatchedTrial) -> TrainingSamples:
    """The samples of the watched steps, and of the steps that would follow."""
    size = trial.config.batch_size
    batches, planes, targets = [], [], []
    for step in trial.steps:
        batches.append(step.batch)
        complete = step.planes.shape == step.batch.planes.shape
        planes.append(step.planes if complete else step.batch.planes)
        outcome, target = step.batch.outcome, step.targets
        if target is not None and target.shape == outcome.shape:
            # Search values and smoothing of the curriculum are no fault of the labels.
            outcome = step.batch.outcome_of(target)
        targets.append(outcome)
    cursor = trial.positions_seen
    while sum(map(len, batches)) < max(_SAMPLES, _BATCHES * size):
        batch = trial.fetched_batch(cursor, size)
        batches.append(batch)
        planes.append(batch.planes)
        targets.append(batch.outcome)
        cursor += size
    return TrainingSamples(
        Batch.joined([replace(batch, auxiliary={}) for batch in batches]),
        _joined(planes),
        _joined(targets),
        size,
        trial.config.encoder.perspective,
    )


def joined_samples(
    batches: Sequence[Batch], batch_size: int, perspective: Literal["absolute", "mover"]
) -> TrainingSamples:
    """Batches that no step was taken on, as samples."""
    return TrainingSamples(
        Batch.joined([replace(batch, auxiliary={}) for batch in batches]),
        _joined([batch.planes for batch in batches]),
        _joined([batch.outcome for batch in batches]),
        batch_size,
        perspective,
    )


def enough(count: int, side: int) -> int:
    """So many positions, or half as many of large planes, which have more cells to compare."""
    return count if side < _LARGE else count // 2


def position_keys(game: Ints, ply: Ints) -> Ints:
    """[P] one number for each position, from its game and its ply."""
    keys: Ints = game * PLIES + ply
    return keys


def _joined(tensors: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    joined: NDArray[np.float32] = torch.cat(list(tensors)).float().cpu().contiguous().numpy()
    return joined


@dataclass(frozen=True)
class ComparedSamples:
    """Training samples, compared with the games that they come from.

    Attributes:
        samples: the samples, B positions.
        truth: the same positions, computed from the games.
        stones: [B, 2, N, N] planes of both colours' stones, without the ring of edges.
        images: [B, 4] whether the stones are those of the game's board under each symmetry.
        symmetry: [B] one symmetry under which they are; where there is none, the one that
            `complement` implies.
    """

    samples: TrainingSamples
    truth: Truth
    stones: Planes
    images: Flags
    symmetry: Ints

    @property
    def lost(self) -> float:
        """Share of samples whose board is not the game's under any symmetry."""
        return float(1 - self.images.any(axis=1).mean())

    @property
    def by_chance(self) -> float:
        """Share of the others that may look wrong because a wrong board looks right by chance."""
        return 0.1 if self.lost > 0.01 else 0.0

    @property
    def mover_view(self) -> bool:
        """Whether boards are encoded from the perspective of the side to move."""
        return self.samples.perspective == "mover"

    @property
    def swapped(self) -> Flags:
        """[B] whether colours are exchanged, as the column `complement` implies."""
        return swapped_colours(self.samples)

    @property
    def turned_apart(self) -> bool:
        """Whether boards are shown under other symmetries than their columns belong to.

        Moves, labels and `complement` of nearly all samples fit together under one symmetry each,
        which is not that of the board in many samples; so both labels and moves look wrong.
        """
        truth, batch = self.truth, self.samples.batch
        if not truth.has_move.any():
            return False
        moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
        labels = np.stack([truth.outcome(s, self.samples.perspective) for s in range(4)], axis=1)
        of_move: Flags = ~truth.has_move[:, None] | (moves == batch.policy_target.numpy()[:, None])
        of_label: Flags = np.abs(self.samples.target[:, None] - labels) < 1e-3
        together = of_move & of_label & (SWAPS[None] == self.swapped[:, None])
        fits = [np.any(each & self.images, axis=1) for each in (of_move, of_label)]
        apart = [1 - fit[truth.has_move].mean() > _APART for fit in fits]
        known = self.images.any(axis=1).mean() > 1 - _APART
        return bool(known and together.any(axis=1).mean() > 1 - _RARE and all(apart))

    def first(self, count: int) -> ComparedSamples:
        """The first samples alone."""
        samples, rows = self.samples, slice(count)
        part = replace(
            samples,
            batch=samples.batch.rows(rows),
            planes=samples.planes[rows],
            target=samples.target[rows],
        )
        return ComparedSamples(
            part,
            self.truth.rows(np.arange(count)),
            self.stones[rows],
            self.images[rows],
            self.symmetry[rows],
        )

    @property
    def wrong_mover(self) -> Flags:
        """[B] whether the side to move is wrong on a board that is not finished."""
        entries = inside_ring(self.samples.planes, self.truth.size)[:, 2]
        expected = np.stack([self.truth.mover_plane(s) for s in range(4)], axis=1)
        gaps = np.abs(entries.reshape(len(entries), 1, -1) - expected[:, :, None]).max(axis=2)
        wrong: Flags = ~self.truth.finished & ~(self.images & (gaps < 1e-3)).any(axis=1)
        return wrong

    def place(self, wrong: Flags, among: Flags | None = None) -> str:
        """In words, which samples are wrong: all, those that meet a condition, or a random share.

        Args:
            wrong: [B] whether each sample is wrong.
            among: [B] the samples that are looked at; all of them if left out.
        """
        flags = affected(self.truth, self.symmetry)
        found = where(wrong, flags, among)
        if found.startswith(("everywhere", "exactly")):
            return found
        chosen = np.ones(len(wrong), dtype=bool) if among is None else among
        columns = {name: column[chosen] for name, column in {**flags, **self.numbers}.items()}
        learnt = region(wrong[chosen], columns)
        better = learnt.startswith("exactly") or (learnt and "random" in found)
        return learnt if better else found

    @property
    def numbers(self) -> Columns:
        """[B] numbers that a fault may depend on, by their names."""
        lengths = self.truth.archive.lengths[self.truth.game].astype(np.int64)
        rows = np.arange(len(lengths))
        batch = rows // self.samples.batch_size
        _, index, count = np.unique(
            position_keys(self.truth.game, batch), return_inverse=True, return_counts=True
        )
        stages = self.samples.batch.stage.numpy().astype(np.int64)
        _, stage, in_stage = np.unique(
            position_keys(stages, batch), return_inverse=True, return_counts=True
        )
        return {
            "ply": self.truth.ply,
            "number of plies to the end": lengths - self.truth.ply,
            "length of the game": lengths,
            "number of the game": self.truth.game,
            "row in the batch": rows % self.samples.batch_size,
            "number of the batch": batch,
            "number of positions of its game in the batch": count[index],
            "number of positions of its stage in the batch": in_stage[stage],
        }

    @property
    def keys(self) -> Columns:
        """[B] what a number may depend on alone: the numbers, and the first moves of the games."""
        archive, game = self.truth.archive, self.truth.game
        starts = archive.offsets[game].astype(np.int64)
        second = np.minimum(starts + 1, len(archive.moves) - 1)
        first = archive.moves[starts].astype(np.int64)
        opening = first * 4096 + archive.moves[second]
        return {
            "first move of the game": first,
            "opening (the first two moves of the game)": opening,
            "source of the game": archive.files[game].astype(np.int64),
            **self.numbers,
        }

    def example(self, wrong: Flags) -> str:
        """In words, one of the wrong samples, which can be looked up in its file."""
        row = int(np.flatnonzero(wrong)[0])
        archive, game = self.truth.archive, int(self.truth.game[row])
        where_from = archive.sources[int(archive.files[game])]
        return (
            f"such as ply {self.truth.ply[row]} of game {game + 1} (line "
            f"{archive.lines[game]} of {where_from})"
        )


def swapped_colours(samples: TrainingSamples) -> Flags:
    """[B] whether colours are exchanged, as the column `complement` implies."""
    complement: Flags = samples.batch.complement.numpy()
    return ~complement if samples.perspective == "mover" else complement


def compared_samples(samples: TrainingSamples, archive: GameArchive) -> ComparedSamples:
    """The training samples, compared with the games."""
    batch = samples.batch
    truth = truth_of(archive, batch.game.numpy(), batch.ply.numpy())
    stones = inside_ring(samples.planes, truth.size)[:, :2]
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    swapped = swapped_colours(samples)
    # A board may allow several symmetries. Then the other columns decide.
    fits = images & (SWAPS[None] == swapped[:, None])
    moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    exact = fits & (moves == batch.policy_target.numpy()[:, None])
    symmetry = np.where(
        exact.any(axis=1),
        exact.argmax(axis=1),
        np.where(
            fits.any(axis=1),
            fits.argmax(axis=1),
            np.where(images.any(axis=1), images.argmax(axis=1), 2 * swapped),
        ),
    )
    return ComparedSamples(samples, truth, stones, images, symmetry)
