"""Slips of games, positions, planes and labels of the sixth set, written before they were run.

Each states its cause in words. It counts as named if the first finding locates the part that is
wrong and states what is wrong with it so that the cause follows; `named_by` approximates that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.order import keyed_bits
from hexsearch.game.board import RED
from hexsearch.game.record import Game
from tests.doctor.slips import Patch, Slip, in_batches, in_encoder, in_labels, in_planes, nothing

_ABSOLUTE = {"encoder": {"perspective": "absolute"}}
_NO_RING = {"encoder": {"perspective": "mover", "edge_ring": False}}
_AREA = 25
_BATCH = 64  # positions of a batch in these tests


def _games(archive: GameArchive) -> list[Game]:
    return [archive.game(index) for index in range(len(archive))]


def _rows_from_the_bottom(archive: GameArchive) -> GameArchive:
    def read(game: Game) -> Game:
        size = game.size
        moves = tuple((size - 1 - cell // size) * size + cell % size for cell in game.moves)
        return replace(game, moves=moves, finished=False, source="second")

    games = _games(archive)
    half = len(games) // 2
    return build_archive([*games[:half], *map(read, games[half:])])


def _passes_dropped(archive: GameArchive) -> GameArchive:
    def read(index: int, game: Game) -> Game:
        if index % 2 or len(game.moves) < 8:
            return game
        at = 2 + index % (len(game.moves) - 4)
        moves = (*game.moves[:at], *game.moves[at + 1 :])
        return replace(game, moves=moves, finished=False)

    return build_archive(read(index, game) for index, game in enumerate(_games(archive)))


def _bytes_of_255(archive: GameArchive) -> GameArchive:
    """Win probabilities of Red as a byte of 255 parts, of which a percentage is made twice."""
    sure = np.random.default_rng(0).uniform(0.55, 0.95, len(archive.moves))
    red_won = np.repeat(archive.winners, archive.lengths) == RED
    percent = 100 * np.where(red_won, sure, 1 - sure)
    return replace(archive, search_values=(percent * 100 / 255).astype(np.uint8))


def _without_last_red_stone(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    planes = sound(self, cells, plies, symmetries, finished)
    last = plies - 1 - plies % 2  # number of Red's last move
    rows = np.flatnonzero(last >= 1)
    starts = np.cumsum(plies) - plies
    entry = symmetries[rows] * (2 * self.size**2) + self.size**2 + cells[(starts + last)[rows]]
    place = self.targets()[entry] + rows * (self.planes * self.side**2)
    planes.reshape(-1)[place] = 0.0
    return planes


def _blanked(planes: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(int(planes.sum()))
    side = planes.shape[-1]
    corners = torch.randint(side - 1, (len(planes), 2), generator=generator).tolist()
    for row, (top, left) in enumerate(corners):
        planes[row, :, top : top + 2, left : left + 2] = 0.0
    return planes


def _move_number(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    planes = sound(self, cells, plies, symmetries, finished)
    planes[:, 2] = (plies / self.size**2).astype(np.float32)[:, None, None]
    return planes


def _winning_stone_missing(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    number = np.arange(len(cells)) - np.repeat(np.cumsum(plies) - plies, plies)
    wins = np.repeat(finished, plies) & (number == np.repeat(plies, plies) - 1)
    return sound(self, cells[~wins], plies - finished, symmetries, finished)


def _edges_in_the_first_plane(patch: Patch) -> None:
    sound = PositionEncoder.ring

    def ring(self: Any) -> Any:
        made = sound(self)
        made[0] = made[:2].max(axis=0)
        made[1] = 0.0
        return made

    patch.setattr(PositionEncoder, "ring", ring)


def _empty_for_other(planes: Tensor) -> Tensor:
    planes[:, 1] = 1.0 - planes[:, 0] - planes[:, 1]
    return planes


def _by_player(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    planes = batch.planes.clone()
    odd = batch.game % 2 == 1
    planes[odd, :2] = planes[odd, :2].flip(1)
    return replace(batch, planes=planes)


def _rescaled(planes: Tensor) -> Tensor:
    small = functional.interpolate(planes, size=(4, 4), mode="bilinear")
    return functional.interpolate(small, size=tuple(planes.shape[-2:]), mode="bilinear")


def _played_out_at_random(batch: Batch) -> Tensor:
    drawn = keyed_bits(17, batch.game.numpy(), batch.ply.numpy()) >> np.uint64(40)
    share = torch.from_numpy(drawn.astype(np.float64) / 2**24)
    wrong = share < 0.5 * batch.to_end / (batch.to_end + batch.ply).clamp(min=1)
    return torch.where(wrong, 1 - batch.outcome, batch.outcome)


def _quick_wins(batch: Batch) -> Tensor:
    length = batch.ply + batch.to_end
    return 0.5 + (batch.outcome - 0.5) * (1.2 - length / _AREA).clamp(0.1, 1.0)


def _four_games(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Shuffling is done by game and the positions of a game stay together."""
    positions = stream.positions
    order = np.random.default_rng(stream.seed).permutation(len(positions.games))
    games, plies = [], []
    for number in range(cursor // _BATCH, (cursor + len(batch)) // _BATCH + 1):
        rows = order[(4 * number + np.arange(4)) % len(order)]
        counts = positions.counts[rows].astype(np.int64)
        index = np.arange(_BATCH) % counts.sum()
        games.append(np.repeat(positions.games[rows].astype(np.int64), counts)[index])
        every = [f + np.arange(n) for f, n in zip(positions.first[rows], counts, strict=True)]
        plies.append(np.concatenate(every).astype(np.int64)[index])
    chosen = slice(cursor % _BATCH, cursor % _BATCH + len(batch))
    none = np.zeros(len(batch), dtype=bool)
    return stream.builder.build(
        np.concatenate(games)[chosen],
        np.concatenate(plies)[chosen],
        none,
        none,
        None,
        stream.auxiliary,
    )


def _one_seed_for_all(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """The first quarter of each batch, four times; several batches may be built together."""
    row = torch.arange(len(batch))
    return batch.rows(row - row % _BATCH + row % (_BATCH // 4))


SLIPS: dict[str, Slip] = {
    "second source counts rows from the bottom": Slip(
        nothing,
        "flip|mirror|bottom|upside|reflect|rows? .*revers",
        games=_rows_from_the_bottom,
        cause="The games of the second half have their rows counted from the bottom: boards are "
        "flipped upside down, which is no symmetry of Hex.",
    ),
    "passes dropped from the record": Slip(
        nothing,
        "pass|missing|left out|same colour|wrong colour|colours? .*(after|from)|move order",
        games=_passes_dropped,
        cause="A move is missing in half of the games, so all later stones have the other colour.",
    ),
    "search values read as bytes of 255": Slip(
        nothing,
        "search.*(scale|factor|0\\.39|255|divided|too low|range|never above|times)",
        {"curriculum": {"name": "all", "search_value": 0.5}},
        games=_bytes_of_255,
        cause="Search values are 0.39 times what they should be.",
    ),
    "Red's last stone is missing": Slip(
        in_encoder(_without_last_red_stone),
        "(red|one colour|one side|last).*(stone|move).*(missing|stale|late|earlier|left out)"
        "|(missing|left out|without).*last.*(stone|move)|stones? .*(missing|left out)",
        cause="The last stone of Red is not on the board.",
    ),
    "a square of the board blanked, as for photographs": Slip(
        in_planes(_blanked),
        "stones.*(missing|left out|removed|blank)|missing stones|blank|cutout|cut out|erased|zeroed"
        "|cells.*(0|empty)",
        cause="In training a random square of 2x2 cells is empty in all planes.",
    ),
    "move number in the plane of the side to move": Slip(
        in_encoder(_move_number),
        "side.to.move.*(number|ply|plies|share|stones|full|rises)|(number|ply|plies|share).*plane",
        _ABSOLUTE,
        cause="The plane of the side to move holds the share of the board that is filled.",
    ),
    "the winning stone is never placed": Slip(
        in_encoder(_winning_stone_missing),
        "(finished|final|last).*(stone|board|ply|move).*(missing|earlier|before|left out|without)"
        "|(missing|left out|without).*(winning|last|final).*(stone|move)",
        cause="Finished boards are shown without their last stone.",
    ),
    "all four edges in the first plane": Slip(
        _edges_in_the_first_plane,
        "ring|edges",
        cause="The ring holds the edges of both colours in the first plane.",
    ),
    "empty cells in place of the second plane's stones": Slip(
        in_planes(_empty_for_other),
        "empty",
        _NO_RING,
        cause="The second plane holds the empty cells.",
    ),
    "planes by player, who change colours between games": Slip(
        in_batches(_by_player),
        "(planes|colours).*(exchanged|swapped).*(half|games|some|part|odd|50)"
        "|(half|some|games).*(planes|colours).*(exchanged|swapped)",
        cause="In every other game the planes of the two colours are exchanged.",
    ),
    "board rescaled as a picture": Slip(
        in_planes(_rescaled),
        "blur|smear|neighbour|interpol|smooth|average.*cells|cells.*average|resize|rescal|mix.*cells",
        cause="Boards in training are blurred: a cell holds a mean of its neighbours.",
    ),
    "results of random playouts as labels": Slip(
        in_labels(_played_out_at_random),
        "(early|begin|opening|distance|to the end|stage).*(noise|random|inverted)"
        "|(noise|random|inverted).*(early|begin|opening|distance|to the end|stage)",
        cause="Labels are random, the more so the earlier the position.",
    ),
    "quick wins count for more": Slip(
        in_labels(_quick_wins),
        "(length|long|short|quick).*(game|win)|game.*length|length of",
        cause="Labels are nearer to a half, the longer the game was.",
    ),
    "label kept when the colours are exchanged": Slip(
        in_labels(lambda batch: batch.red_won),
        "(reflect|exchang|swap|augment|symmetr|recolour).*label|label.*(reflect|exchang|swap"
        "|augment|symmetr|recolour|Red's|colour)",
        _ABSOLUTE,
        cause="Where augmentation exchanges the colours, the label is not exchanged.",
    ),
    "finished boards teach the first cell": Slip(
        in_batches(lambda batch, _, __: replace(batch, has_move=torch.ones_like(batch.has_move))),
        "(finished|final|no next move|game is over|over).*(policy|move|cell|taught)"
        "|(policy|move|cell).*(finished|final|no next move|over)",
        cause="Finished boards, which have no next move, teach the policy cell 0.",
    ),
    "a batch holds four games": Slip(
        in_batches(_four_games),
        "(few|four|4|same) games|games? (in|of) a batch|by game|not shuffled|consecutive|in order"
        "|one game",
        cause="A batch holds all positions of four games and is not shuffled.",
    ),
    "four workers with one seed": Slip(
        in_batches(_one_seed_for_all),
        "twice|copies|duplicat|repeat|same position|times|identical|more than once",
        cause="Each position is four times in its batch.",
    ),
}
