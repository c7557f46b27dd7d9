"""Builds planes with torch on the training device, equal bit for bit to those built by numpy.

The games are stored on the device once (one byte for each move). For each batch only the indices
of its games and plies are copied to the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.auxiliary import TargetBuilder, WholeGames
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.order import Indices
from hexsearch.data.stages import first_plies
from hexsearch.game.board import RED
from hexsearch.game.symmetry import symmetry_cells


class DeviceGames:
    """The games of an archive on a device, with the tables that turn them into planes."""

    def __init__(
        self,
        archive: GameArchive,
        encoder: PositionEncoder,
        stages: StagesConfig,
        device: torch.device,
    ) -> None:
        self._encoder = encoder
        self._device = device
        # The moves are copied once, since torch cannot use a read-only memory map.
        narrow = archive.moves.astype(np.int16 if archive.moves.itemsize > 1 else np.uint8)
        self._moves = torch.from_numpy(narrow).to(device)
        self._offsets = torch.from_numpy(archive.offsets.astype(np.int64)).to(device)
        self._red_won = torch.from_numpy(archive.winners == RED).to(device)
        self._finished = torch.from_numpy(archive.finished.astype(bool)).to(device)
        self._targets = torch.from_numpy(encoder.targets().astype(np.int64)).to(device)
        self._cells = torch.from_numpy(symmetry_cells(encoder.size).copy()).to(device)
        self._ring = torch.from_numpy(encoder.ring()).to(device)
        self._setups = torch.from_numpy(archive.setups.astype(np.int64)).to(device)
        self._recency = torch.from_numpy(encoder.recency().copy()).to(device)
        self._places = torch.from_numpy(encoder.history_places().copy()).to(device)
        self._lengths = archive.lengths_of
        self._auxiliary_targets = TargetBuilder(encoder, device)
        self._middle, self._late = first_plies(encoder.size, stages)[1:3]

    def build(
        self,
        games: Indices,
        plies: Indices,
        turn: NDArray[np.bool_],
        swap: NDArray[np.bool_],
        weights: NDArray[np.float32] | None,
        auxiliary: AuxiliaryConfig,
    ) -> dict[str, Any]:
        """The fields of a Batch by name; see BatchBuilder.build."""
        # Computed on the CPU: to ask the device for this sum would wait for it.
        stones = int(plies.sum())
        game, ply = self._to_device(games), self._to_device(plies)
        turned, swapped = self._to_device(turn), self._to_device(swap)
        offset = self._offsets[game]
        to_end = self._offsets[game + 1] - offset - ply
        has_move = to_end > 0
        final = ~has_move & self._finished[game]
        mover_sees = self._encoder.perspective == "mover"
        reflect = torch.where(final, swapped, ply % 2 == 1) if mover_sees else swapped
        symmetry = turned.long() + 2 * reflect.long()
        following = self._moves[torch.where(has_move, offset + ply, offset)].long()
        red_won = self._red_won[game]
        shown_red_won = red_won ^ reflect
        outcome = (~shown_red_won if mover_sees else shown_red_won).float()
        stage = (ply >= self._middle).to(torch.int8) + (ply >= self._late).to(torch.int8)
        if weights is None:
            weight = torch.ones(len(games), dtype=torch.float32, device=self._device)
        else:
            weight = self._to_device(weights)[stage.long()]
        taught: dict[str, Tensor] = {}
        if auxiliary.weights:
            played = self._whole_games(game, ply, symmetry, int(self._lengths(games).sum()))
            taught = self._auxiliary_targets.build(auxiliary, played)
        return {
            "planes": self._planes(offset, ply, symmetry, final, self._setups[game], stones),
            "policy_target": torch.where(has_move, self._cells[symmetry, following], 0),
            "has_move": has_move,
            "outcome": outcome,
            "search_shift": torch.zeros_like(outcome),
            "complement": ~reflect if mover_sees else reflect,
            "red_won": red_won.float(),
            "stage": stage,
            "to_end": to_end,
            "final": final,
            "game": game,
            "ply": ply,
            "smoothing": torch.zeros_like(outcome),
            "weight": weight,
            "auxiliary": taught,
        }

    def _whole_games(self, game: Tensor, ply: Tensor, symmetry: Tensor, moves: int) -> WholeGames:
        offset = self._offsets[game]
        length = self._offsets[game + 1] - offset
        first = offset - torch.cumsum(length, 0) + length
        index = torch.repeat_interleave(first, length, output_size=moves)
        index += torch.arange(moves, device=self._device)
        return WholeGames(
            cells=self._moves[index].long(),
            lengths=length,
            plies=ply,
            symmetries=symmetry,
            red_won=self._red_won[game],
            finished=self._finished[game],
        )

    def _planes(
        self,
        offset: Tensor,
        ply: Tensor,
        symmetry: Tensor,
        final: Tensor,
        setup: Tensor,
        stones: int,
    ) -> Tensor:
        encoder = self._encoder
        batch, area = len(ply), encoder.size**2
        planes = self._ring.expand(batch, -1, -1, -1).contiguous()
        position = torch.repeat_interleave(
            torch.arange(batch, device=self._device), ply, output_size=stones
        )
        starts = torch.cumsum(ply, 0) - ply
        number = torch.arange(stones, device=self._device) - starts[position]
        cells = self._moves[offset[position] + number].long()
        entry = self._targets[symmetry[position] * (2 * area) + (number & 1) * area + cells]
        # Assignment by index would copy the number 1 from the CPU, and wait for the copy.
        planes.view(-1).index_fill_(0, entry + position * planes[0].numel(), 1.0)
        if encoder.perspective == "absolute":
            mover = ((ply % 2 == 1) ^ (symmetry >= 2)).float()
            planes[:, 2] = torch.where(final, 0.5, mover)[:, None, None]
        if encoder.history:
            place = self._places[symmetry[position], cells] + position * planes[0].numel()
            recency = self._recency[ply[position] - 1 - number]
            recency = torch.where(number >= setup[position], recency, 0.0)
            planes.view(-1).index_copy_(0, place, recency)
        return planes

    def _to_device(self, array: NDArray[np.generic]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)
