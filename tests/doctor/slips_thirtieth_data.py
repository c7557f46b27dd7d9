"""Slips in the games, the draws, the labels, the planes and the weights, of the thirtieth set.

From 248 mistakes that seemed likely, with a weight each, `numpy.random.default_rng(51).choice`
drew 24. The causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from hexsearch.data import auxiliary as auxiliary_module
from hexsearch.data import batches as batches_module
from hexsearch.data import dataset as dataset_module
from hexsearch.data import device as device_module
from hexsearch.data import encoder as encoder_module
from hexsearch.data import positions as positions_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.stages import stage_of
from tests.doctor.slips import Patch, Slip, in_batches, in_encoder, in_labels, patched

_SET_UP = 6  # leading moves of each game that were set up


def _drawn_once(sound: Any) -> Any:
    def keyed_bits(seed: int, key: int, samples: Any) -> Any:
        # One draw for all positions that are built together.
        return sound(seed, key, np.full_like(samples, samples[0]))

    return keyed_bits


def _aged_from_the_end(patch: Patch) -> None:
    build, encode_game = BatchBuilder.build, PositionEncoder.encode_game
    lengths: list[Any] = []

    def built(self: Any, games: Any, *arguments: Any, **more: Any) -> Any:
        lengths.append(self.archive.lengths_of(games))
        try:
            return build(self, games, *arguments, **more)
        finally:
            lengths.pop()

    def encoded(
        self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any, unordered: Any
    ) -> Any:
        planes = encode_game(self, cells, plies, symmetries, finished, unordered)
        if not self.history or not lengths:
            return planes
        position = np.repeat(np.arange(len(plies)), plies)
        number = np.arange(len(cells)) - (np.cumsum(plies) - plies)[position]
        known = number >= unordered[position]
        position, number = position[known], number[known]
        age = lengths[-1][position] - 1 - number
        place = self.history_places()[symmetries[position], cells[known]]
        planes.reshape(len(plies), -1)[position, place] = self.recency()[age]
        return planes

    patch.setattr(BatchBuilder, "build", built)
    patch.setattr(PositionEncoder, "encode_game", encoded)


def _recoloured_only(patch: Patch) -> None:
    sound = encoder_module.symmetry_cells  # type: ignore[attr-defined]

    def symmetry_cells(size: int) -> Any:
        return sound(size)[[0, 1, 0, 1]]  # the reflections leave the cells where they are

    for module in (encoder_module, batches_module, device_module, auxiliary_module):
        patch.setattr(module, "symmetry_cells", symmetry_cells)
    for name in ("_targets", "_history_places"):  # their caches hold the sound tables
        patch.setattr(encoder_module, name, cache(getattr(encoder_module, name).__wrapped__))


def _finals_not_reflected(sound: Any) -> Any:
    def build(self: Any, *arguments: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, *arguments, **more)
        if self.encoder.perspective != "mover":
            return batch
        reflected = batch.final & ~batch.complement
        return replace(batch, outcome=torch.where(reflected, 1.0 - batch.outcome, batch.outcome))

    return build


def _by_length(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    archive = stream.builder.archive
    lengths = archive.lengths_of(batch.game.cpu().numpy())
    factors = torch.from_numpy((archive.lengths.mean() / lengths).astype(np.float32))
    return replace(batch, weight=batch.weight * factors.to(batch.weight.device))


def _stage_by_the_end(sound: Any) -> Any:
    def build(
        self: Any,
        games: Any,
        plies: Any,
        turn: Any,
        swap: Any,
        weights: Any = None,
        *more: Any,
        **named: Any,
    ) -> Batch:
        batch: Batch = sound(self, games, plies, turn, swap, None, *more, **named)
        left = self.archive.lengths_of(games) - plies
        stage = stage_of(left, self.encoder.size, self.stages)
        batch = replace(batch, stage=self.to_device(stage))
        if weights is None:
            return batch
        return replace(batch, weight=self.to_device(weights.take(stage)))

    return build


def _full_ring(sound: Any) -> Any:
    def ring(self: Any) -> Any:
        planes = sound(self)
        if self.edge_ring:
            planes[0, 0, :] = planes[0, -1, :] = 1.0
            planes[1, :, 0] = planes[1, :, -1] = 1.0
        return planes

    return ring


def _with_set_up_stones(archive: GameArchive) -> GameArchive:
    """The first stones of each game were set up: their order is that of the cells."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        moves = list(game.moves)
        count = min(_SET_UP, len(moves) - 2)
        moves[0:count:2] = sorted(moves[0:count:2])
        moves[1:count:2] = sorted(moves[1:count:2])
        games.append(replace(game, moves=tuple(moves), setup=count))
    return build_archive(games)


def _from_ply_0(sound: Any) -> Any:
    def bounds(archive: Any, *arguments: Any) -> Any:
        return sound(replace(archive, setups=np.zeros_like(archive.setups)), *arguments)

    return bounds


def _without_the_end(patch: Patch) -> None:
    bounds = positions_module._bounds
    curriculum_positions = positions_module.curriculum_positions
    training: list[bool] = []

    def bounds_before(archive: Any, games: Any, *arguments: Any) -> Any:
        first, last = bounds(archive, games, *arguments)
        return first, np.minimum(last, archive.lengths_of(games) - 1) if training else last

    def chosen(*arguments: Any) -> Any:
        training.append(True)
        try:
            return curriculum_positions(*arguments)
        finally:
            training.pop()

    patch.setattr(positions_module, "_bounds", bounds_before)
    patch.setattr(dataset_module, "curriculum_positions", chosen)


SLIPS: dict[str, Slip] = {
    "one symmetry for a whole batch": Slip(
        patched(batches_module, "keyed_bits", _drawn_once),
        "symmetr|augment|half turn|\\bturn(s|ed)?\\b|same (bit|draw|orientation)|cut into|"
        "read.?ahead|depends? on.*(batch|size|cut)",
        cause="The random symmetry is drawn once for all positions that are built together, not "
        "for each position: whole batches are turned, or none of their positions.",
    ),
    "history counted from the end of the game": Slip(
        _aged_from_the_end,
        "history|recen|\\bage|last (stone|move)|end of the game|length|future|leak",
        {"encoder": {"perspective": "mover", "history": True}},
        cause="The history plane counts the age of a stone from the end of the game and not from "
        "the position: the last stone does not have 1, and the plane tells how long the game will "
        "still last.",
    ),
    "recoloured but not reflected": Slip(
        _recoloured_only,
        "reflect|mirror|transpos|diagonal|symmetr|perspective|top to bottom|edges|side to move|"
        "orient|colours",
        {"encoder": {"perspective": "mover"}},
        cause="Where Red is to move, the colours are exchanged but the board is not reflected: the "
        "side to move then connects left to right, against the edges that it is shown.",
    ),
    "planes divided by 255": Slip(
        in_encoder(lambda sound, self, *arguments: sound(self, *arguments) / np.float32(255.0)),
        "255|scale|divid|planes?\\b.*(not|other|differ|small|1|value)|input|tiny|stones?\\b.*"
        "(not|value|0\\.00)|ring",
        cause="Planes are divided by 255 as if they were images: a stone is 0.004 and not 1.",
    ),
    "reflected finals keep their label": Slip(
        patched(BatchBuilder, "build", _finals_not_reflected),
        "final|finished|label|outcome|end of the game|target|last position",
        {"encoder": {"perspective": "mover"}},
        cause="A finished position that is reflected by the random symmetry has its colours "
        "exchanged, but its label is that of the position as it was: it is the wrong winner.",
    ),
    "positions weighted by the length of their game": Slip(
        in_batches(_by_length),
        "weight|length|long|short",
        cause="The value loss of a position is weighted by 1 / length of its game (times the mean "
        "length), which nobody configured: positions of short games count more.",
    ),
    "early positions are labelled 50%": Slip(
        in_labels(lambda batch: torch.where(batch.stage == 0, 0.5, batch.outcome)),
        "early|label|outcome|target|0\\.5|50 ?%|smooth|draw",
        cause="The label of every early position is 0.5 and not the result of its game: the value "
        "learns nothing about early positions.",
    ),
    "stage by plies to the end": Slip(
        patched(BatchBuilder, "build", _stage_by_the_end),
        "stage|early|late\\b|middle|weight",
        {"curriculum": {"name": "all", "stage_weights": {"early": 0.5, "late": 2.0}}},
        cause="The stage of a position is computed from the plies that are left and not from the "
        "stones on the board: positions near the end count as early, in weights and in reports.",
    ),
    "ring with its corners": Slip(
        patched(PositionEncoder, "ring", _full_ring),
        "ring|corner|edge",
        {"encoder": {"perspective": "mover", "edge_ring": True}},
        cause="All four corners of the edge ring are stones of both colours, also the acute ones, "
        "which should be empty.",
    ),
    "positions among set-up stones": Slip(
        patched(positions_module, "_bounds", _from_ply_0),
        "set.?up|never occurred|setup|first (ply|plies|moves|positions)|begin",
        games=_with_set_up_stones,
        cause="Positions among the set-up stones of a game are drawn as if they had been played: "
        "they never occurred, and their next move is the next stone of the list.",
    ),
    "last position never drawn": Slip(
        _without_the_end,
        "final|finished|last (position|ply)|never drawn|missing|end of",
        cause="The last position of each game is never trained on: the range of plies ends one too "
        "early, while the validation positions have it.",
    ),
}
