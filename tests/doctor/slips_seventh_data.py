"""Slips of games, positions, planes and labels of the seventh set, written before they were run.

See `slips_sixth_data` for what counts as named: the first finding locates the part that is wrong
and states what is wrong with it so that the cause follows; `named_by` approximates that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import position_set as drawing
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.order import without_replacement
from hexsearch.data.positions import stage_of
from hexsearch.game.board import RED
from tests.doctor.slips import ABSOLUTE, Patch, Slip, in_batches, in_encoder, nothing

_SEARCHED = {"curriculum": {"name": "all", "search_value": 0.5}}
_WEIGHED = {"curriculum": {"name": "all", "stage_weights": {"early": 0.25, "late": 2.0}}}
_BATCH = 64  # positions of a batch in these tests


def _with_search_values(archive: GameArchive) -> GameArchive:
    """Search values that differ from one ply to the next."""
    sure = np.random.default_rng(3).integers(52, 98, len(archive.moves))
    red_won = np.repeat(archive.winners, archive.lengths) == RED
    return replace(archive, search_values=np.where(red_won, sure, 100 - sure).astype(np.uint8))


def _search_of_the_next_position(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    archive = stream.builder.archive
    games, plies = batch.game.numpy(), batch.ply.numpy()
    later = np.minimum(plies + 1, archive.lengths_of(games).astype(np.int64))
    known = torch.from_numpy(archive.search_values_of(games, later))
    known = torch.where(batch.complement, 1.0 - known, known)
    shift = (0.5 * (known - batch.outcome)).nan_to_num(0.0).float()
    return replace(batch, search_shift=shift)


def _four_bits(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    return sound(self, cells & 15, plies, symmetries, finished)


def _turned_in_the_cache(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """A cached array is turned in place, so in every second pass the move is not turned with it."""
    second = (cursor + torch.arange(len(batch))) // len(stream.positions) % 2 == 1
    planes = batch.planes.clone()
    planes[second] = planes[second].flip(2, 3)
    return replace(batch, planes=planes)


def _first_half_of_each_game(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    games, plies = batch.game.numpy(), batch.ply.numpy() // 2
    none = np.zeros(len(games), dtype=bool)
    return stream.builder.build(games, plies, none, none, None, stream.auxiliary)


def _one_order_for_all_passes(patch: Patch) -> None:
    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        index = np.arange(cursor, cursor + count) % size
        return without_replacement(size, seed, 0, size)[index]

    patch.setattr(drawing, "without_replacement", order)


def _a_result_lost(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    half = len(games) // 2
    winners = [game.winner for game in games]
    shifted = [*winners[:half], *winners[half + 1 :], winners[0]]
    return build_archive(
        replace(game, winner=winner) for game, winner in zip(games, shifted, strict=True)
    )


def _half_a_ring(patch: Patch) -> None:
    sound = PositionEncoder.ring

    def ring(self: Any) -> Any:
        made = sound(self)
        made[1] = 0.0
        return made

    patch.setattr(PositionEncoder, "ring", ring)


def _weights_by_moves_left(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """The stage is looked up with the plies to the end in place of the stones."""
    builder = stream.builder
    stages = stage_of(batch.to_end.numpy(), builder.encoder.size, builder.stages)
    own = np.ones(3, dtype=np.float32)
    for stage in range(3):
        rows = batch.stage == stage
        if bool(rows.any()):
            own[stage] = float(batch.weight[rows][0])
    return replace(batch, weight=torch.from_numpy(own[stages]))


def _moves_made(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    if not batch.auxiliary:
        return batch
    known = batch.auxiliary["moves_left"] >= 0
    made = torch.where(known, (batch.ply + 1) // 2, batch.auxiliary["moves_left"])
    return replace(batch, auxiliary={**batch.auxiliary, "moves_left": made})


def _fading(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
    planes = sound(self, cells, plies, symmetries, finished)
    number = np.arange(len(cells)) - np.repeat(np.cumsum(plies) - plies, plies)
    age = np.repeat(plies, plies) - 1 - number
    row = np.repeat(np.arange(len(plies)), plies)
    entry = np.repeat(symmetries, plies) * (2 * self.size**2) + number % 2 * self.size**2 + cells
    place = self.targets()[entry] + row * (self.planes * self.side**2)
    planes.reshape(-1)[place] = np.float32(0.9) ** age
    return planes


def _side_of_the_first_row(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    planes = batch.planes.clone()
    first = torch.arange(len(batch)) // _BATCH * _BATCH
    planes[:, 2] = planes[first, 2]
    return replace(batch, planes=planes)


def _never_augmented(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        return sound(replace(self, augment=False) if self.augment else self, cursor, size)

    patch.setattr(TrainingStream, "batch", batch)


def _plane_of_the_next_row(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    planes = batch.planes.clone()
    planes[:, 1] = planes[:, 1].roll(-1, 0)
    return replace(batch, planes=planes)


def _last_move_first(archive: GameArchive) -> GameArchive:
    def read(index: int) -> Any:
        game = archive.game(index)
        if index % 2 == 0:
            return game
        return replace(game, moves=game.moves[::-1], finished=False, source="second")

    return build_archive(read(index) for index in range(len(archive)))


def _scaled_weights(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    return replace(batch, weight=batch.weight / 3)


def _label_of_the_first_copy(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Positions are grouped by the first two moves, and a group has the label of its first game."""
    archive = stream.builder.archive
    starts = archive.offsets[batch.game.numpy()].astype(np.int64)
    opening = archive.moves[starts].astype(np.int64) * 256 + archive.moves[starts + 1]
    every = archive.offsets[:-1].astype(np.int64)
    of_all = archive.moves[every].astype(np.int64) * 256 + archive.moves[every + 1]
    first = {int(key): index for index, key in reversed(list(enumerate(of_all)))}
    chosen = np.array([first[int(key)] for key in opening])
    red_won = torch.from_numpy(archive.winners[chosen] == RED).float()
    outcome: Tensor = torch.where(batch.complement, 1 - red_won, red_won)
    return replace(batch, outcome=outcome)


SLIPS: dict[str, Slip] = {
    "search value of the next position": Slip(
        in_batches(_search_of_the_next_position),
        "search.*(later|next|another ply|other ply|one ply|shift)",
        _SEARCHED,
        games=_with_search_values,
        cause="The search's value of the position one ply later is mixed into the target.",
    ),
    "cell numbers kept in four bits": Slip(
        in_encoder(_four_bits),
        "(stones|cells|moves).*(16|four bits|other cells|another cell|missing|moved|shift|wrong)",
        cause="A cell number of 16 or more loses its highest bit: its stone lies 16 cells earlier.",
    ),
    "board turned in the cache, its move not": Slip(
        in_batches(_turned_in_the_cache),
        "pass.*(turn|policy|move|planes)|(turn|policy|move|planes).*pass",
        cause="In the second pass boards are turned by a half turn and their moves are not.",
    ),
    "plies drawn from the first half of each game": Slip(
        in_batches(_first_half_of_each_game),
        "first half|early|opening|(late|finished|end|last).*(never|not|missing|left out|no )"
        "|never.*(late|finished|end)",
        cause="Positions of the second half of each game are never drawn.",
    ),
    "one order for all passes": Slip(
        _one_order_for_all_passes,
        "(same|one|equal).*order|order.*(same|repeat|each pass|every pass)|pass.*(repeat|same)",
        cause="Every pass over the positions has the same order.",
    ),
    "a result lost in the middle of the list": Slip(
        nothing,
        "(winner|result|label).*(another game|next game|neighbour|shift|later|following|one game)",
        games=_a_result_lost,
        cause="From game 300 on each game has the winner of the next one.",
    ),
    "ring of the second colour left empty": Slip(
        _half_a_ring,
        "ring|edge",
        cause="The ring holds the edges of the first plane only.",
    ),
    "stage weights that sum to 1": Slip(
        in_batches(_scaled_weights),
        "weight.*(third|0\\.33|1/3|3 times|factor|scale|divided|mean|sum)",
        _WEIGHED,
        cause="The weights of positions are a third of what they should be.",
    ),
    "stage weights by moves left": Slip(
        in_batches(_weights_by_moves_left),
        "weight.*(stage|to the end|moves left|late|early|revers|exchang|other position)",
        _WEIGHED,
        cause="A position has the weight of the stage that its plies to the end would give.",
    ),
    "moves left counts the moves made": Slip(
        in_batches(_moves_made),
        "moves.?left.*(made|ply|plies|played|begin|stones|not|other|wrong)",
        {"auxiliary": {"moves_left": 0.1}},
        cause="The target of the moves-left head is the number of moves made.",
    ),
    "stones fade with their age": Slip(
        in_encoder(_fading),
        "(stone|plane).*(fade|age|older|0\\.9|scale|value|ply|plies|recent|not 1|between)",
        cause="A stone is shown as 0.9 to the power of its age.",
    ),
    "side to move of the first row for the whole batch": Slip(
        in_batches(_side_of_the_first_row),
        "side.to.move.*(row|batch|constant|same|other|another|wrong)|plane 3.*(row|batch|constant)",
        ABSOLUTE,
        cause="The plane of the side to move is that of the first position of the batch.",
    ),
    "augmentation switched off by a flag": Slip(
        _never_augmented,
        "augment|never turned|half turn|symmetr",
        cause="Augmentation is configured, and no position is ever turned.",
    ),
    "second plane of the next row": Slip(
        in_batches(_plane_of_the_next_row),
        "plane.*(next row|another row|other row|later row|row.* later|another position)"
        "|(stones|colour).*(next row|another row|other row|another position)",
        cause="The second plane belongs to the next position of the batch.",
    ),
    "moves listed from last to first": Slip(
        nothing,
        "revers|backwards|last to first|order of (the )?moves|end to (the )?(start|beginning)",
        games=_last_move_first,
        cause="The moves of every other game are in reverse order.",
    ),
    "label of the first game with the same opening": Slip(
        in_batches(_label_of_the_first_copy),
        "label.*(another game|other game|opening|first game|same moves|two moves)",
        cause="The label is the result of the first game that began with the same two moves.",
    ),
}
