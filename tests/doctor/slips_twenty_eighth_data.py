"""Slips in the games, the draws, the labels, the planes and the targets, of the twenty-eighth set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 264
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(48).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data import archive as archive_module
from hexsearch.data import dataset as dataset_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.order import keyed_bits, without_replacement
from hexsearch.data.position_set import PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.game.board import RED
from hexsearch.game.search_values import UNKNOWN
from tests.doctor.slips import Patch, Slip, _as_shown, in_batches, patched


def _any_later_move(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """The target is drawn from all moves that the side to move still makes in the game."""
    builder, archive = stream.builder, stream.builder.archive
    games, plies = batch.game.cpu().numpy(), batch.ply.cpu().numpy()
    lengths = archive.lengths_of(games)
    left = np.maximum((lengths - plies + 1) // 2, 1)  # its moves: ply, ply + 2, ...
    samples = np.arange(cursor, cursor + len(batch), dtype=np.int64)
    pick = (keyed_bits(stream.seed, 77, samples) % left.astype(np.uint64)).astype(np.int64)
    here = archive.offsets[games].astype(np.int64)
    now = np.clip(plies, 0, lengths - 1)
    later = np.clip(plies + 2 * pick, 0, lengths - 1)
    played = torch.from_numpy(archive.moves[here + now].astype(np.int64))
    wanted = torch.from_numpy(archive.moves[here + later].astype(np.int64))
    shown = _as_shown(batch, played, wanted, builder.encoder.size)
    return replace(batch, policy_target=shown)


def _every_pass_alike(_: Any) -> Any:
    def draw_plain(self: Any, seed: int, cursor: int, size: int) -> Any:
        index = without_replacement(len(self), seed, cursor, size)
        return self.at(index, 0, seed)

    return draw_plain


def _with_some_search_values(archive: GameArchive) -> GameArchive:
    """Every second position of a game has a value of a search, near the result."""
    games = []
    for index in range(len(archive)):
        game = archive.game(index)
        plies = np.arange(len(game.moves))
        sure = 10 + 35 * plies // max(len(plies), 1)  # from 10 to 45 percent beyond 50
        values = np.where(game.winner == RED, 50 + sure, 50 - sure).astype(np.uint8)
        values[(plies + index) % 2 == 1] = UNKNOWN
        games.append(replace(game, search_values=values.tobytes()))
    return build_archive(games)


def _unknown_as_zero(_: Any) -> Any:
    def as_probabilities(percent: Any) -> Any:
        known = percent.astype(np.float32) / np.float32(100.0)
        known[percent == UNKNOWN] = 0.0
        return known

    return as_probabilities


def _stages_from_one(sound: Any) -> Any:
    # The column of a position's stage is looked up in a table whose rows are counted from 1.
    return property(lambda self: sound.func(self).roll(1))


def _slices_overlap(sound: Any) -> Any:
    def batch(self: Any, cursor: int, size: int) -> Batch:
        right: Batch = sound(self, cursor, size)
        chunk = self._chunk
        if chunk is None:
            return right
        offset = cursor - self._start
        # As if batches were size - 1 apart.
        cut: Batch = chunk.piece(offset - offset // size, size)
        return cut

    return batch


def _targets_not_turned(sound: Any) -> Any:
    def build(self: Any, wanted: Any, games: Any) -> Any:
        return sound(self, wanted, replace(games, symmetries=games.symmetries & 2))

    return build


def _recycled(patch: Patch) -> None:
    sound = PositionEncoder.encode
    kept: dict[Any, Any] = {}

    def encode(self: Any, *arguments: Any) -> Any:
        planes = sound(self, *arguments)
        last = kept.get(self)
        kept[self] = planes.copy()
        if last is not None:
            rows = np.arange(7, min(len(planes), len(last)), 8)
            planes[rows, :2] = np.maximum(planes[rows, :2], last[rows, :2])
        return planes

    patch.setattr(PositionEncoder, "encode", encode)


def _sorted_by_length(archive: GameArchive) -> GameArchive:
    order = np.argsort(archive.lengths, kind="stable")
    return build_archive(archive.game(int(index)) for index in order)


def _split_by_place(_: Any) -> Any:
    def split_games(archive: Any, split: str, validation: float, test: float, salt: str) -> Any:
        count = len(archive)
        first = count - round(count * (validation + test))
        second = count - round(count * test)
        bounds = {"train": (0, first), "validation": (first, second), "test": (second, count)}
        return np.arange(*bounds[split], dtype=np.int64)

    return split_games


SLIPS: dict[str, Slip] = {
    "policy taught any later move": Slip(
        in_batches(_any_later_move),
        "policy target|next move|later move|other (move|ply|plies)|another (move|ply)|future|"
        "moves?\\b.*(not|other|another|wrong|later|differ)",
        cause="The policy is not taught the next move but all moves that the side to move still "
        "makes in the game, each as likely (a plan; one of them is drawn each time).",
    ),
    "same positions of a game in each pass": Slip(
        patched(PositionSet, "draw_plain", _every_pass_alike),
        "pass\\b|passes|epoch|same positions|drawn again|never drawn|each game|per game|"
        "positions_per_game|repeat|rest of",
        {"curriculum": {"name": "all", "positions_per_game": 6}},
        cause="With positions_per_game, every pass draws the same positions of each game: the "
        "number of the pass is not used, so the other positions are never trained on.",
    ),
    "unknown search values are 0": Slip(
        patched(archive_module, "as_probabilities", _unknown_as_zero),
        "search",
        {"curriculum": {"name": "all", "search_value": 0.5}},
        games=_with_some_search_values,
        cause="A position without a value of the search counts as if the search had found 0% for "
        "Red, where its target should be the result alone: targets are moved towards Blue.",
    ),
    "smoothing of the stage before": Slip(
        patched(TrainingStream, "_smoothing", _stages_from_one),
        "smooth|stage",
        {"curriculum": {"name": "all", "stage_smoothing": {"early": 0.4, "middle": 0.1}}},
        cause="Stage smoothing is read with the stage's number shifted by one: middle positions "
        "get the smoothing of early ones, late ones that of middle ones, and early ones none.",
    ),
    "slices of the read-ahead overlap": Slip(
        patched(ReadAhead, "batch", _slices_overlap),
        "overlap|read.?ahead|twice|again|repeat|duplicate|consecutive|chunk|skipped|never|cursor|"
        "shift|other positions",
        cause="Batches are cut from the chunk that is built ahead with one position of overlap: "
        "each batch begins with the last position of the batch before it, and the last positions "
        "of a chunk are never trained on.",
    ),
    "auxiliary targets not turned": Slip(
        patched(TargetBuilder, "build", _targets_not_turned),
        "auxiliary|ownership|future_stones|future stones|half turn|turn(ed)?\\b|symmetr",
        {"auxiliary": {"ownership": 0.3, "future_stones": {"weight": 0.3}}},
        cause="Planes are turned by the half turn of the augmentation, the maps of the auxiliary "
        "targets (ownership, future stones) are not: they belong to other cells.",
    ),
    "stones left over in a recycled buffer": Slip(
        _recycled,
        "left ?over|stale|recycl|buffer|earlier (batch|call|position)|previous (batch|call)|batch "
        "before|(too many|extra|more|other) stones|stones (that|of|too)|both colours|reproduc|"
        "depends? on|rest of",
        cause="The planes of every eighth row come from a buffer that is used again without being "
        "cleared: stones of the batch that was encoded before lie on the board too.",
    ),
    "split by place in a sorted archive": Slip(
        patched(dataset_module, "split_games", _split_by_place),
        "split|length|short|long|hash|sorted|order|differ.*(training|validation)|distribution",
        games=_sorted_by_length,
        cause="The games are sorted by length, and the first 80% of them are the training games, "
        "the next ones the validation games: training has short games only, validation long ones.",
    ),
}
