"""Slips of games, positions, planes and labels of the fifth set, written before they were run."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.game.record import Game
from tests.doctor.slips import Slip, in_batches, in_labels, in_planes, nothing

_ABSOLUTE = {"encoder": {"perspective": "absolute"}}
_LONG = 16  # plies; about a third of the games on 5x5 are longer


def _games(archive: GameArchive) -> list[Game]:
    return [archive.game(index) for index in range(len(archive))]


def _half_of_the_sources_transposed(archive: GameArchive) -> GameArchive:
    """The second source writes the row first: its moves are read with their axes exchanged."""

    def read(game: Game) -> Game:
        moves = tuple(cell % game.size * game.size + cell // game.size for cell in game.moves)
        return replace(game, moves=moves, finished=False, source="second")

    games = _games(archive)
    half = len(games) // 2
    return build_archive([*games[:half], *map(read, games[half:])])


def _truncated_games_called_finished(archive: GameArchive) -> GameArchive:
    """Every other game was cut off, and the reader sets the flag of finished games for all."""
    return build_archive(
        replace(game, moves=game.moves[: max(len(game.moves) * 2 // 3, 1)]) if index % 2 else game
        for index, game in enumerate(_games(archive))
    )


def _opening_left_out(archive: GameArchive) -> GameArchive:
    """Four stones of an opening book are on the board and not in the record."""
    return build_archive(
        replace(game, moves=game.moves[4:], finished=False)
        for game in _games(archive)
        if len(game.moves) > 6
    )


def _saved_while_played(archive: GameArchive) -> GameArchive:
    """Each game was saved at four times, and every file counts as a game."""
    return build_archive(
        replace(
            game, moves=game.moves[: len(game.moves) - back], finished=game.finished and back == 0
        )
        for game in _games(archive)[:150]
        for back in (0, 2, 3, 5)
        if len(game.moves) > 6
    )


def _on_the_padded_board(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    size = stream.builder.encoder.size
    row, column = batch.policy_target // size, batch.policy_target % size
    cells = ((row + 1) * (size + 2) + column + 1) % (size * size)
    return replace(batch, policy_target=torch.where(batch.has_move, cells, batch.policy_target))


def _as_uint8(planes: Tensor) -> Tensor:
    return planes.to(torch.uint8).float()


class _QuarterLeft:
    """The buffer of planes is filled up to three quarters; the rest is that of the last batch."""

    def __init__(self) -> None:
        self.last: Tensor | None = None

    def __call__(self, batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        planes, last = batch.planes.clone(), self.last
        self.last = batch.planes
        if last is not None and last.shape == planes.shape:
            planes[-(len(planes) // 4) :] = last[-(len(planes) // 4) :]
        return replace(batch, planes=planes)


def _one_colour_turned(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """An image library turns each channel by its own draw."""
    generator = torch.Generator().manual_seed(cursor)
    turned = torch.rand(len(batch), generator=generator) < 0.5
    planes = batch.planes.clone()
    planes[turned, 0] = planes[turned, 0].flip(1, 2)
    return replace(batch, planes=planes)


def _interpolated(batch: Batch) -> Tensor:
    generator = torch.Generator().manual_seed(int(batch.game.sum()))
    other = batch.outcome[torch.randperm(len(batch), generator=generator)]
    return 0.65 * batch.outcome + 0.35 * other


SLIPS: dict[str, Slip] = {
    "half of the sources transposed": Slip(
        nothing,
        "transpos|row.*column|column|axes|exchanged edges|wrong edges",
        games=_half_of_the_sources_transposed,
    ),
    "truncated games called finished": Slip(
        nothing,
        "not finished|nobody has connected|no (winning )?chain|truncat|cut (off|short)|finished"
        "|no winner|missing at the end",
        games=_truncated_games_called_finished,
    ),
    "opening left out of the record": Slip(
        nothing,
        "first moves|opening|missing|left out|begin|start from an empty",
        games=_opening_left_out,
    ),
    "saves of a game in progress count as games": Slip(
        nothing,
        "same (game|opening|moves)|copies|duplicat|prefix|begin alike|several times|leak|repeat"
        "|share their moves",
        games=_saved_while_played,
    ),
    "moves counted on the padded board": Slip(
        in_batches(_on_the_padded_board),
        "padded|ring|wider|margin|width|shift|counted",
    ),
    "planes stored as integers": Slip(
        in_planes(_as_uint8),
        "0\\.5|finished|integer|rounded|uint8|side.to.move|mover",
        {"encoder": {"perspective": "absolute"}, "curriculum": "penultimate_and_final"},
    ),
    "position weights applied twice": Slip(
        in_batches(lambda batch, _, __: replace(batch, weight=batch.weight.square())),
        "weight.*(twice|square)|(twice|square).*weight|weights? of the positions|stage weight",
        {"curriculum": {"name": "all", "stage_weights": {"early": 0.2, "middle": 0.5}}},
    ),
    "a quarter of the planes left from the batch before": Slip(
        in_batches(_QuarterLeft()),
        "batch before|previous batch|last batch|late by one batch|stale|of another batch",
    ),
    "labels of two positions interpolated": Slip(
        in_labels(_interpolated),
        "mix|interpolat|another (row|position)|other (row|position)|blend|label.*random"
        "|random.*label",
    ),
    "long games labelled as draws": Slip(
        in_labels(lambda b: torch.where(b.ply + b.to_end > _LONG, 0.5, b.outcome)),
        "draw|0\\.5|half a point|long games",
    ),
    "one colour turned by itself": Slip(
        in_batches(_one_colour_turned),
        "one colour|one plane|first plane|plane 0|own|turned.*colour|colour.*turned|half turn|180",
    ),
    "labels inverted until the game is over": Slip(
        in_labels(lambda b: torch.where(b.final, b.outcome, 1 - b.outcome)),
        "other side|side to move|moved last|invert|mover|perspective",
    ),
}
