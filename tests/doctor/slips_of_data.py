"""Slips in games, positions, planes, labels and moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.position_set import PositionSet
from tests.doctor.slips import (
    ABSOLUTE,
    Inject,
    Patch,
    Slip,
    in_batches,
    in_encoder,
    in_labels,
    in_moves,
    in_planes,
    nothing,
)


def _without_last_stone(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    ends = np.cumsum(plies)
    kept = np.ones(len(cells), dtype=bool)
    kept[ends[plies > 0] - 1] = False
    planes = sound(self, cells[kept], np.maximum(plies - 1, 0), symmetries, finished)
    if self.perspective == "absolute":
        planes[:, 2] = sound(self, cells, plies, symmetries, finished)[:, 2]
    return planes


def _in_one_plane(planes: Tensor) -> Tensor:
    planes[:, 0] = planes[:, 1] = planes[:, 0] + planes[:, 1]
    return planes


def _mover(planes: Tensor, change: Any) -> Tensor:
    planes[:, 2] = change(planes[:, 2])
    return planes


def _sorted_by_winner(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """A thousand positions that Red wins, then a thousand that Blue wins, and so on."""
    wanted = (cursor + torch.arange(len(batch))) // 1024 % 2
    rows = torch.arange(len(batch))
    for winner in (0, 1):
        here = (wanted == winner).nonzero().flatten()
        there = (batch.red_won == winner).nonzero().flatten()
        if len(here) and len(there):
            rows[here] = there[torch.arange(len(here)) % len(there)]
    return batch.rows(rows)


def _only_last(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    archive, games = stream.builder.archive, batch.game.numpy()
    lengths = (archive.offsets[games + 1] - archive.offsets[games]).astype(np.int64)
    rng = np.random.default_rng(cursor)
    turn, swap = rng.random(len(games)) < 0.5, rng.random(len(games)) < 0.5
    return stream.builder.build(games, lengths, turn, swap)


def _few_of_the_games(patch: Patch) -> None:
    sound = PositionSet.at
    patch.setattr(
        PositionSet,
        "at",
        lambda self, index, passes=0, seed=0: sound(
            self, index % max(len(self) // 10, 1), passes, seed
        ),
    )


def _label_of_the_next_game(patch: Patch) -> None:
    sound = BatchBuilder.build

    def build(self: Any, games: Any, *rest: Any) -> Batch:
        batch = sound(self, games, *rest)
        winners = self.archive.winners
        differs = torch.from_numpy(winners[games] != winners[(games + 1) % len(winners)])
        return replace(
            batch,
            outcome=torch.where(differs, 1 - batch.outcome, batch.outcome),
            red_won=torch.where(differs, 1 - batch.red_won, batch.red_won),
        )

    patch.setattr(BatchBuilder, "build", build)


def edges_exchanged(patch: Patch) -> None:
    sound = PositionEncoder.ring
    patch.setattr(PositionEncoder, "ring", lambda self: sound(self)[::-1].copy())


def _half_of_the_winners(archive: GameArchive) -> GameArchive:
    winners = archive.winners.copy()
    winners[::2] *= -1
    return replace(archive, winners=winners)


def _standardised(planes: Tensor) -> Tensor:
    return (planes - planes.mean()) / planes.std()


def _shuffled(batch: Batch) -> Tensor:
    generator = torch.Generator().manual_seed(int(batch.game.sum()))
    return batch.outcome[torch.randperm(len(batch), generator=generator)]


def _absolute(inject: Inject, named_by: str) -> Slip:
    return Slip(inject, named_by, ABSOLUTE)


SLIPS: dict[str, Slip] = {
    "policy taught the move after next": Slip(in_moves(2), "later|plies|ply|next move"),
    "policy taught the last move": Slip(in_moves(-1), "last move|previous|earlier|ply|next move"),
    "planes are not turned, moves are": Slip(
        in_encoder(lambda sound, self, c, p, s, f: sound(self, c, p, s & 2, f)), "turn|symmetr|180"
    ),
    "board stale by one move": Slip(
        in_encoder(_without_last_stone), "ply|last stone|last move|late|earlier|missing|behind"
    ),
    "stones of both colours in both planes": Slip(
        in_planes(_in_one_plane), "both colours|colour|added"
    ),
    "labels cast to int after smoothing": Slip(
        in_labels(lambda b: (0.9 * b.outcome + 0.05).int()), "every label|all labels|always 0"
    ),
    "labels standardised over the batch": Slip(
        in_labels(lambda b: (b.outcome - b.outcome.mean()) / b.outcome.std()), "label"
    ),
    "labels shuffled within the batch": Slip(in_labels(_shuffled), "row|random|order|shuffl"),
    "positions sorted by winner": Slip(
        in_batches(_sorted_by_winner), "sorted|winner|in a row|not mixed|order"
    ),
    "a tenth of the games": Slip(
        _few_of_the_games, "part of the games|small part|few games|never shown|tenth"
    ),
    "only last positions": Slip(in_batches(_only_last), "finished|last|final|same stage"),
    "label of the next game": Slip(
        _label_of_the_next_game, "other game|another game|next game|neighbour|random|games"
    ),
    "planes standardised": Slip(in_planes(_standardised), "scaled|standard|normali|instead of 1"),
    "side to move inverted": _absolute(
        in_planes(lambda p: _mover(p, lambda m: 1 - m)), "mover|to.move"
    ),
    "side to move left out": _absolute(
        in_planes(lambda p: _mover(p, lambda m: 0 * m)), "mover|to.move"
    ),
    "half of the winners misread": Slip(nothing, "winner|label", games=_half_of_the_winners),
    "edges exchanged in the ring": Slip(edges_exchanged, "ring|edge"),
    "labels discounted by moves to the end": Slip(
        in_labels(lambda b: 0.5 + (b.outcome - 0.5) * 0.9**b.to_end),
        "label|instead of 0 and 1|discount",
    ),
}
