"""Slips of games, positions, planes and labels that were taken from public reports.

The eighth set is a yardstick that its author did not make up: each slip is a mistake that somebody
reported of a board-game network or of a training script, brought into the form of this pipeline.
`report` names the thread; "forum" stands for a mistake that is asked about again and again, on
Stack Overflow and elsewhere, and was written from memory. All were written down, with their
causes, before any of them was run. A slip counts as named if the first finding locates the part
that is wrong and states what is wrong with it so that the cause follows; `named_by` approximates
that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data import position_set as drawing
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.order import keyed_bits
from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from hexsearch.game.symmetry import symmetry_cells
from tests.doctor.slips import (
    ABSOLUTE,
    Patch,
    Slip,
    in_batches,
    in_encoder,
    in_labels,
    nothing,
)
from tests.doctor.slips_seventh_data import _with_search_values

_MOVER = {"encoder": {"perspective": "mover", "edge_ring": False}}
_SEARCHED = {"curriculum": {"name": "all", "search_value": 0.5}}
_SEARCHED_MOVER = {**_SEARCHED, **_MOVER}


def _up_to_99(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, over: Any) -> Any:
    planes = sound(self, cells, plies, symmetries, over)
    planes[:, 2] *= 99.0
    return planes


def _last_stone_missing(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, over: Any
) -> Any:
    """The plane of the side that has just moved is that of one ply before."""
    planes = sound(self, cells, plies, symmetries, over)
    rows = np.flatnonzero(plies >= 1)
    last = np.cumsum(plies)[rows] - 1
    colour = (plies[rows] - 1) % 2
    entry = symmetries[rows] * (2 * self.size**2) + colour * self.size**2 + cells[last]
    planes.reshape(-1)[self.targets()[entry] + rows * (self.planes * self.side**2)] = 0.0
    return planes


def _viewed(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, over: Any) -> Any:
    """Planes in the last axis, brought into the second one by a view, not a transposition."""
    planes = sound(self, cells, plies, symmetries, over)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).reshape(planes.shape)


def _moved_by(symmetry: Callable[[Batch], Tensor]) -> Any:
    """Policy targets that are the played moves under a symmetry of our choice."""

    def change(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        archive = stream.builder.archive
        at = archive.offsets[batch.game.numpy()].astype(np.int64) + batch.ply.numpy()
        played = archive.moves[np.where(batch.has_move.numpy(), at, 0)].astype(np.int64)
        table = np.array(symmetry_cells(stream.builder.encoder.size), dtype=np.int64)
        target = torch.from_numpy(table[symmetry(batch).numpy(), played])
        return replace(batch, policy_target=torch.where(batch.has_move, target, 0))

    return in_batches(change)


def _without_reflection(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    reflection = torch.tensor(np.array(symmetry_cells(stream.builder.encoder.size))[2]).long()
    moved = ~batch.complement & batch.has_move  # boards of Red, which are reflected
    target = torch.where(moved, reflection[batch.policy_target], batch.policy_target)
    return replace(batch, policy_target=target)


def _beginnings(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    none = np.zeros(len(batch), dtype=bool)
    plies = np.zeros(len(batch), dtype=np.int64)
    begun = stream.builder.build(batch.game.numpy(), plies, none, none, None, stream.auxiliary)
    return replace(batch, planes=begun.planes)


def _shuffled_labels(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(cursor))
    return replace(batch, outcome=batch.outcome[order])


def _searched(change: Callable[[Tensor, Batch], Tensor], weight: float = 0.5) -> Any:
    """Other search values in the target; `change` gets those of the network's side."""

    def changed(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        known = batch.outcome + batch.search_shift / 0.5
        there = batch.search_shift != 0
        shift = torch.where(there, weight * (change(known, batch) - batch.outcome), 0.0)
        return replace(batch, search_shift=shift)

    return in_batches(changed)


def _odd_games(batch: Batch) -> Tensor:
    """The sign is that of the player whose turn it would be after the end."""
    odd = (batch.ply + batch.to_end) % 2 == 1
    return torch.where(odd, 1 - batch.outcome, batch.outcome)


def _in_order(patch: Patch, index: Callable[[NDArray[np.int64], int], NDArray[np.int64]]) -> None:
    """Draw positions by an order of our own, from their numbers in the stream and their count."""

    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        return index(np.arange(cursor, cursor + count, dtype=np.int64), size) % size

    patch.setattr(drawing, "without_replacement", order)


def _small_buffer(patch: Patch) -> None:
    def shuffled(number: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        key = (keyed_bits(7, number // 16) >> np.uint64(9)).astype(np.int64) % 16
        return number // 16 * 16 + (number % 16 ^ key)

    _in_order(patch, shuffled)


def _written_again(patch: Patch) -> None:
    """Each dump of a chunk of 400 positions writes all earlier ones again."""
    sound = drawing.without_replacement  # type: ignore[attr-defined]

    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        index = np.asarray(sound(size, seed, cursor, count)).astype(np.int64)
        number = np.arange(cursor, cursor + count)
        share = (keyed_bits(5, number) >> np.uint64(40)).astype(np.float64) / 2**24
        return index // 400 * 400 + (index % 400 * share).astype(np.int64)

    patch.setattr(drawing, "without_replacement", order)


def _copies_of_the_last(archive: GameArchive) -> GameArchive:
    """A list that is cleared and filled again stands twenty times in the buffer."""
    last = [min(index // 20 * 20 + 19, len(archive) - 1) for index in range(len(archive))]
    return build_archive(archive.game(index) for index in last)


def _with_eight_neighbours(archive: GameArchive) -> GameArchive:
    return build_archive(_ended_early(archive.game(index)) for index in range(len(archive)))


def _ended_early(game: Game) -> Game:
    """The game ends when stones of one colour connect their edges, with diagonals as neighbours."""
    size = game.size
    stones: dict[int, set[tuple[int, int]]] = {BLUE: set(), RED: set()}
    for ply, cell in enumerate(game.moves):
        mover = BLUE if ply % 2 == 0 else RED
        stones[mover].add(divmod(cell, size))
        axis = 0 if mover == BLUE else 1  # Blue connects top to bottom
        reached = {at for at in stones[mover] if at[axis] == 0}
        waiting = list(reached)
        while waiting:
            row, column = waiting.pop()
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
            new = near & stones[mover] - reached
            reached |= new
            waiting += new
        if any(at[axis] == size - 1 for at in reached):
            return replace(game, moves=game.moves[: ply + 1], winner=mover)
    return game


SLIPS: dict[str, Slip] = {
    "plane with values up to 99": Slip(
        in_encoder(_up_to_99),
        "plane.*(99|scale|times|factor|larger|normalis)",
        ABSOLUTE,
        cause="The plane of the side to move holds 0 and 99, in training and in evaluation.",
        report="glinscott/leela-chess#602",
    ),
    "plane of the side that moved is a ply behind": Slip(
        in_encoder(_last_stone_missing),
        "last (stone|move)|one ply (earlier|before|behind)|newest|stone.*missing",
        _MOVER,
        cause="The last stone is missing: the plane of the side that just moved is not updated.",
        report="michaelnny/alpha_zero#4",
    ),
    "augmented board with the move as played": Slip(
        _moved_by(lambda batch: 2 * (~batch.complement).long()),
        "(policy|move).*(turn|half turn|symmetr|augment)|(turn|symmetr).*(policy|move)",
        _MOVER,
        cause="Boards that augmentation turned have policy targets that are not turned.",
        report="suragnair/alpha-zero-general#70",
    ),
    "returns of the first player for both": Slip(
        in_labels(lambda batch: 1.0 - batch.red_won),
        "label.*(one side|Red to move|Red is to move|odd pl|Blue's|one colour|absolute|mover)",
        _MOVER,
        cause="The label is Blue's result, also where Red is to move: inverted on Red's turns.",
        report="google-deepmind/open_spiel#1396",
    ),
    "value of the end taken for 0": Slip(
        in_labels(lambda batch: torch.where(batch.final, 0.5, batch.outcome)),
        "finish|end of the game|final|over",
        cause="Finished boards have the label of a draw.",
        report="werner-duvaud/muzero-general#122",
    ),
    "last term in place of the sum": Slip(
        _searched(lambda known, _: known, weight=1.0),
        "search.*(alone|weight|twice|whole|1\\.0|factor|share|0\\.5|in place)",
        _SEARCHED,
        games=_with_search_values,
        cause="The target is the search's value alone; the result has no weight in it.",
        report="lightvector/KataGo#33",
    ),
    "always the starting position": Slip(
        in_batches(_beginnings),
        "(empty|no stones|without stones|first position|start|beginning|ply 0|constant)",
        cause="Every board in training is the empty one.",
        report="Akababa/Chess-Zero#1",
    ),
    "buffer of references to the last game": Slip(
        nothing,
        "cop(y|ies)|same game|duplicate|identical|times|repeat",
        games=_copies_of_the_last,
        cause="Each game stands twenty times in the data.",
        report="Itomigna2/Muesli-lunarlander#1",
    ),
    "shuffle buffer smaller than a game": Slip(
        _small_buffer,
        "shuffl|order|same game|few games|neighbour|one game|game.*batch|consecutive",
        cause="Positions are shuffled among 16 neighbours only, so a batch holds few games.",
        report="leela-zero/leela-zero#766",
    ),
    "earlier records written again with each dump": Slip(
        _written_again,
        "(more|less) often|frequen|draw|repeat|times|unequal|uneven|missing|not.*once",
        cause="Early positions of a chunk are drawn more often, late ones hardly ever.",
        report="glinscott/leela-chess#118",
    ),
    "sign of the player after the end": Slip(
        in_labels(_odd_games),
        "label.*(odd|length|Blue won|won by|winner|side to move|one colour|result)",
        _MOVER,
        cause="Labels are inverted in games of odd length, which are those that Blue won.",
        report="suragnair/alpha-zero-general#273",
    ),
    "canonical board reflected, its move not": Slip(
        in_batches(_without_reflection),
        "(policy|move).*(reflect|transpos|mirror|row|Red|axes|perspective|swap)",
        _MOVER,
        cause="Boards of Red are reflected, and the policy's target is not reflected back.",
        report="suragnair/alpha-zero-general#44",
    ),
    "search value of the other player": Slip(
        _searched(lambda known, batch: torch.where(batch.complement, 1 - known, known)),
        "search.*(invert|other side|opponent|one side|Blue|colour|1 -|complement)",
        _SEARCHED_MOVER,
        games=_with_search_values,
        cause="Where Blue is to move, the search's value is mixed in from Red's side.",
        report="werner-duvaud/muzero-general#108",
    ),
    "view in place of a permutation of axes": Slip(
        in_encoder(_viewed),
        "reshape|view|axes|order|permut|mixed|scrambl|other cells|another cell",
        ABSOLUTE,
        cause="Planes with the channel last are read as if the channel came first.",
        report="forum",
    ),
    "labels shuffled apart from the boards": Slip(
        in_batches(_shuffled_labels),
        "label.*(another row|other row|row|random|order|shuffl|another position|permut)",
        cause="Labels are shuffled within the batch, and boards are not.",
        report="forum",
    ),
    "results by eight neighbours": Slip(
        nothing,
        "connect|finished|winner|not won|neighbour|diagonal",
        games=_with_eight_neighbours,
        cause="Games end at a chain in which diagonal cells count as neighbours.",
        report="google-deepmind/open_spiel#762",
    ),
    "search probability through a sigmoid": Slip(
        _searched(lambda known, _: known.sigmoid()),
        "search.*(sigmoid|formula|scale|between 0\\.5|not the|other|transform)",
        _SEARCHED,
        games=_with_search_values,
        cause="The search's value is already a probability, and a sigmoid is applied to it.",
        report="official-stockfish/nnue-pytorch, from memory",
    ),
}
