"""The third set of slips: of games, positions and networks. They were looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from tests.doctor.boards import symmetries_of, with_boards
from tests.doctor.slips import (
    ABSOLUTE,
    Slip,
    in_batches,
    in_labels,
    in_network,
    in_part,
    in_planes,
    nothing,
)


def _games(archive: GameArchive) -> list[Game]:
    return [archive.game(index) for index in range(len(archive))]


def _long_games_given_to_blue(archive: GameArchive) -> GameArchive:
    limit = int(np.quantile(archive.lengths, 0.65))
    return build_archive(
        replace(game, moves=game.moves[:limit], winner=BLUE, finished=False)
        if len(game.moves) > limit
        else game
        for game in _games(archive)
    )


def _resigned_by_the_other_side(archive: GameArchive) -> GameArchive:
    """Every second game is resigned, and the side that moved last is taken for the winner."""

    def resigned(index: int, game: Game) -> Game:
        if index % 2:
            return game
        moves = game.moves[: len(game.moves) - 3 - index // 2 % 2]
        last = BLUE if len(moves) % 2 == 1 else RED
        return replace(game, moves=moves, winner=last, finished=False)

    return build_archive(resigned(index, game) for index, game in enumerate(_games(archive)))


def _swap_kept_as_a_stone(archive: GameArchive) -> GameArchive:
    """In two games of five the token of a swap became one more stone at the beginning."""

    def written(index: int, game: Game) -> Game:
        free = sorted(set(range(game.size**2)) - set(game.moves))
        if index % 5 > 1 or not free:
            return game
        return replace(game, moves=(free[0], *game.moves), finished=False)

    return build_archive(written(index, game) for index, game in enumerate(_games(archive)))


def _forty_games_many_times(archive: GameArchive) -> GameArchive:
    return build_archive(archive.game(index % 40) for index in range(len(archive)))


def _final_board_everywhere(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """One board object was appended again and again while the game continued."""
    lengths = (batch.ply + batch.to_end).numpy()
    return with_boards(stream.builder, batch, symmetries_of(batch, stream, cursor), lengths)


def _mixed_with_another(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(cursor))
    return replace(batch, planes=0.65 * batch.planes + 0.35 * batch.planes[order])


def _mover_in_one_cell(planes: Tensor) -> Tensor:
    mover = planes[:, 2, 0, 0].clone()
    planes[:, 2] = 0.0
    planes[:, 2, 0, 0] = mover
    return planes


def _one_norm_in_three_places(network: Any) -> None:
    block = network.trunk.stages[0][0]
    block.norm1 = block.norm2 = network.trunk.stem[1]


SLIPS: dict[str, Slip] = {
    "games over a move limit given to Blue": Slip(
        nothing,
        "winner|unfinished|not finished|cut|truncat|limit|always Blue|long games|resign|length",
        games=_long_games_given_to_blue,
    ),
    "resigned games given to whoever moved last": Slip(
        nothing,
        "winner|resign|unfinished|not finished|moved last|last move|label",
        games=_resigned_by_the_other_side,
    ),
    "swap kept as a stone": Slip(
        nothing,
        "swap|first move|first stone|extra stone|one stone|winner|colours? (are )?exchanged"
        "|wrong edges|wrong colour|replay|label",
        games=_swap_kept_as_a_stone,
    ),
    "forty games many times": Slip(
        nothing,
        "duplicat|copies|copy|same game|repeated|few (different )?games|several times|distinct"
        "|again and again|memor",
        games=_forty_games_many_times,
    ),
    "every position shows the final board": Slip(
        in_batches(_final_board_everywhere),
        "final|finished|end of the game|last position|later|future|too many stones|added"
        "|same board|more stones",
    ),
    "mixup of the planes alone": Slip(
        in_batches(_mixed_with_another),
        "mix|instead of 1|between 0 and 1|averag|blend|scaled|added|other (row|position|board)"
        "|another|noise",
    ),
    "side to move in one cell": Slip(
        in_planes(_mover_in_one_cell), "mover|to.move|side|one cell|corner|fill", ABSOLUTE
    ),
    "half a point until the last position": Slip(
        in_labels(lambda b: torch.where(b.to_end == 0, b.outcome, 0.5)),
        "instead of 0 and 1|0\\.5|half|draw|label|only the (last|final)|only finished",
    ),
    "inverted on finished boards only": Slip(
        in_labels(lambda b: torch.where(b.final, 1 - b.outcome, b.outcome)),
        "finished|final|last position|end of|invert|label",
    ),
    "label smoothing of 0.45": Slip(
        nothing,
        "smooth|near(ly)? (0\\.5|half)|towards (0\\.5|half)|0\\.45",
        {"readout": {"name": "bce", "label_smoothing": 0.45}},
    ),
    "one batch norm in three places": Slip(
        in_network(_one_norm_in_three_places),
        "batch.?norm|shared|same module|statistics|twice|several places|eval mode|train mode",
    ),
    "value head reads one corner": Slip(
        in_part("value_head", before=lambda f: f[:, :, :1, :1].expand_as(f)),
        "corner|one cell|one place|part of the (board|map|features)|first cell|does not depend"
        "|does not see|ignores|position of|local",
    ),
    "policy rows mixed by a reshape": Slip(
        in_part("policy_head", after=lambda x: x.t().reshape(x.shape)),
        "batch|rows|other positions|mixed|reshape|transpos",
    ),
}
