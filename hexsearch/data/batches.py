"""Builds batches of positions on a device. Planes are built from moves when they are needed.

The content of a batch depends on (seed, cursor) alone, so training can resume at any point of the
stream. No loader process is needed: one core builds planes hundreds of times faster than it
trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.auxiliary import TargetBuilder, WholeGames
from hexsearch.data.batch import Batch
from hexsearch.data.device import DeviceGames
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.order import keyed_bits
from hexsearch.data.positions import Indices, PositionSet, stage_of
from hexsearch.data.stages import STAGE_NAMES
from hexsearch.data.weights import stage_weights
from hexsearch.errors import GamesError
from hexsearch.game.board import RED
from hexsearch.game.symmetry import symmetry_cells

NOTHING_ELSE = AuxiliaryConfig()  # no auxiliary targets
_TURN_AND_SWAP = 7  # key that makes the bits for symmetries independent of those that draw plies


@dataclass(frozen=True)
class BatchBuilder:
    """Builds batches of one archive for one encoder on one device."""

    archive: GameArchive
    encoder: PositionEncoder
    stages: StagesConfig
    device: torch.device
    backend: Literal["auto", "numpy", "torch"] = "auto"  # auto: numpy on a CPU, torch on a GPU

    def __post_init__(self) -> None:
        wrong = np.unique(self.archive.sizes[self.archive.sizes != self.encoder.size])
        if len(wrong):
            names = ", ".join(f"{size}x{size}" for size in wrong)
            own = f"{self.encoder.size}x{self.encoder.size}"
            raise GamesError(f"the archive holds {names} games, but the encoder is for {own}")

    def build(
        self,
        games: Indices,
        plies: Indices,
        turn: NDArray[np.bool_],
        swap: NDArray[np.bool_],
        weights: NDArray[np.float32] | None = None,
        auxiliary: AuxiliaryConfig = NOTHING_ELSE,
        search_value: float = 0.0,
    ) -> Batch:
        """A batch of the given positions.

        Args:
            turn: [B] whether to turn the position by a half turn.
            swap: [B] whether to reflect the position and exchange its colours.
            weights: weight of each stage, in the order of STAGE_NAMES; all 1 if left out.
            auxiliary: heads whose targets are built.
            search_value: share of the search's value in the target, where there is one.
        """
        if self.backend == "torch" or (self.backend == "auto" and self.device.type != "cpu"):
            built = self._on_device.build(games, plies, turn, swap, weights, auxiliary)
            return self._mixed(Batch(**built), games, plies, search_value)
        archive, encoder = self.archive, self.encoder
        offsets = archive.offsets[games].astype(np.int64)
        lengths = archive.offsets[games + 1].astype(np.int64) - offsets
        final = (plies == lengths) & archive.finished[games].astype(bool)
        if encoder.perspective == "mover":  # the side to move decides, while there is one
            swap = np.where(final, swap, plies % 2 == 1)
        symmetries = turn + 2 * swap.astype(np.int64)
        has_move = plies < lengths
        following = archive.moves.take(np.where(has_move, offsets + plies, offsets))
        shown_move = symmetry_cells(encoder.size)[symmetries, following]
        red_won = archive.winners[games] == RED
        stage = stage_of(plies, encoder.size, self.stages)
        zeros = np.zeros(len(games), np.float32)
        moves, setups = self._moves(offsets, plies), archive.setups[games].astype(np.int64)
        arrays = {
            "planes": encoder.encode_game(moves, plies, symmetries, final, setups),
            "policy_target": np.where(has_move, shown_move, 0),
            "has_move": has_move,
            "outcome": encoder.outcome(red_won, symmetries),
            "search_shift": zeros,
            "complement": encoder.complement(symmetries),
            "red_won": red_won.astype(np.float32),
            "stage": stage,
            "to_end": lengths - plies,
            "final": final,
            "game": games,
            "ply": plies,
            "smoothing": zeros,
            "weight": zeros + 1 if weights is None else weights.take(stage),
        }
        columns: dict[str, Any] = {name: self.to_device(array) for name, array in arrays.items()}
        batch = self._mixed(Batch(**columns), games, plies, search_value)
        if not auxiliary.weights:
            return batch
        played = self._whole_games(games, plies, symmetries)
        return replace(batch, auxiliary=self._targets.build(auxiliary, played))

    def _whole_games(self, games: Indices, plies: Indices, symmetries: Indices) -> WholeGames:
        """All moves of the games that the positions come from, on the device."""
        archive, offsets = self.archive, self.archive.offsets[games].astype(np.int64)
        lengths = archive.offsets[games + 1].astype(np.int64) - offsets
        return WholeGames(
            cells=self.to_device(self._moves(offsets, lengths).astype(np.int64)),
            lengths=self.to_device(lengths),
            plies=self.to_device(plies),
            symmetries=self.to_device(symmetries),
            red_won=self.to_device(archive.winners[games] == RED),
            finished=self.to_device(archive.finished[games].astype(bool)),
        )

    def _moves(self, offsets: Indices, counts: Indices) -> NDArray[np.integer[Any]]:
        """The first `counts` moves of each game, game by game."""
        index = np.repeat(offsets - (np.cumsum(counts) - counts), counts)
        index += np.arange(len(index))
        return self.archive.moves.take(index)

    def _mixed(self, batch: Batch, games: Indices, plies: Indices, share: float) -> Batch:
        """The batch with a value target that mixes outcome and search value."""
        if not share:
            return batch
        known = self.to_device(self.archive.search_values_of(games, plies))
        known = torch.where(batch.complement, 1.0 - known, known)
        return replace(batch, search_shift=(share * (known - batch.outcome)).nan_to_num(0.0))

    @cached_property
    def _targets(self) -> TargetBuilder:
        return TargetBuilder(self.encoder, self.device)

    @cached_property
    def _on_device(self) -> DeviceGames:
        return DeviceGames(self.archive, self.encoder, self.stages, self.device)

    def to_device(self, array: NDArray[np.generic]) -> Tensor:
        """A copy of an array on the device."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cpu":
            return tensor
        # A copy from pinned memory can overlap with the previous step.
        return tensor.pin_memory().to(self.device, non_blocking=True)


@dataclass(frozen=True)
class TrainingStream:
    """An endless stream of training batches, a function of (seed, cursor)."""

    builder: BatchBuilder
    positions: PositionSet
    curriculum: CurriculumConfig
    augment: bool
    seed: int
    auxiliary: AuxiliaryConfig = NOTHING_ELSE

    def batch(self, cursor: int, size: int) -> Batch:
        """The `size` positions that follow the first `cursor` ones of the stream."""
        games, plies = self.positions.draw(self.seed, cursor, size)
        samples = np.arange(cursor, cursor + size, dtype=np.int64)
        bits = keyed_bits(self.seed, _TURN_AND_SWAP, samples)
        turn, swap = (bits & np.uint64(1)).astype(bool), (bits & np.uint64(2)).astype(bool)
        if not self.augment:
            turn = np.zeros_like(turn)
            if self.builder.encoder.perspective == "absolute":
                swap = np.zeros_like(swap)
        weights = self._weights(cursor)
        share = self.curriculum.search_value
        batch = self.builder.build(games, plies, turn, swap, weights, self.auxiliary, share)
        if self.builder.encoder.history:
            batch = replace(batch, planes=self._forgetful(batch.planes, bits))
        if not self.curriculum.stage_smoothing:
            return batch
        return replace(batch, smoothing=self._smoothing[batch.stage.long()])

    def _forgetful(self, planes: Tensor, bits: NDArray[np.uint64]) -> Tensor:
        """Planes in which the history of every eighth position is cut off.

        A board without a list of moves has no history, and a search goes on from it. So a network
        must have seen positions of which none, or only the last one to four plies, are known.
        """
        recency = self.builder.encoder.recency()
        plies = np.maximum((bits >> np.uint64(5)) & np.uint64(7), 3).astype(np.int64) - 3
        cut = (bits >> np.uint64(2)) & np.uint64(7) == 0
        limits = self.builder.to_device(np.where(cut, recency[plies], np.float32(0.0)))
        history = planes[:, -1]
        kept = torch.where(history > limits[:, None, None], history, 0.0)
        return torch.cat([planes[:, :-1], kept[:, None]], dim=1)

    @cached_property
    def _smoothing(self) -> Tensor:
        shares = [self.curriculum.stage_smoothing.get(name, 0.0) for name in STAGE_NAMES]
        return torch.tensor(shares, dtype=torch.float32, device=self.builder.device)

    def _weights(self, cursor: int) -> NDArray[np.float32] | None:
        if not self.curriculum.stage_weights:
            return None
        return self._weights_by_phase[self.positions.phase_at(cursor).start]

    @cached_property
    def _weights_by_phase(self) -> dict[int, NDArray[np.float32]]:
        builder = self.builder
        phases = self.positions.phases or (self.positions.phase_at(0),)
        return {
            phase.start: stage_weights(
                phase, self.curriculum.stage_weights, builder.encoder.size, builder.stages
            )
            for phase in phases
        }


def evaluation_batches(
    builder: BatchBuilder,
    positions: PositionSet,
    size: int,
    every: int = 1,
    auxiliary: AuxiliaryConfig = NOTHING_ELSE,
) -> Iterator[Batch]:
    """Batches of all positions in order, without augmentation. The last batch may be shorter.

    In the `mover` perspective a finished position has no side to move. The hash of its game
    decides from which side it is encoded, independently of the winner.

    Args:
        every: take only every n-th position.
        auxiliary: heads whose targets are built.
    """
    for start in range(0, len(positions), size * every):
        index = np.arange(start, min(start + size * every, len(positions)), every, dtype=np.int64)
        games, plies = positions.at(index)
        as_is = np.zeros(len(index), dtype=bool)
        swap = as_is
        if builder.encoder.perspective == "mover":
            swap = (builder.archive.hashes[games] & np.uint64(1)).astype(bool)
        yield builder.build(games, plies, as_is, swap, None, auxiliary)
