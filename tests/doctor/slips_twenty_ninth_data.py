"""Slips in the games, the draws, the labels and the planes, of the twenty-ninth set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 203
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(49).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import archive as archive_module
from hexsearch.data import position_set as position_set_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.order import keyed_bits
from hexsearch.game.board import RED
from hexsearch.game.hashing import game_hashes
from hexsearch.game.search_values import UNKNOWN
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells
from tests.doctor.slips import Patch, Slip, in_batches, nothing, patched

_OPENING = 2  # moves of a game that its hash is taken over


def _games(archive: GameArchive) -> list[Any]:
    return [archive.game(index) for index in range(len(archive))]


def _resigned_of_blue_dropped(archive: GameArchive) -> GameArchive:
    """Every second game ends two moves early, by resignation; those that Blue won are left out."""
    kept = []
    for index, game in enumerate(_games(archive)):
        if index % 2 or len(game.moves) < 6:
            kept.append(game)
        elif game.winner == RED:
            kept.append(replace(game, moves=game.moves[:-2], finished=False, search_values=None))
    return build_archive(kept)


def _columns_from_one(archive: GameArchive) -> GameArchive:
    def moved(cell: int, size: int) -> int:
        row, column = divmod(cell, size)
        return row * size + (column + 1) % size

    return build_archive(
        replace(game, moves=tuple(moved(cell, game.size) for cell in game.moves))
        for game in _games(archive)
    )


def _half_turned_too(archive: GameArchive) -> GameArchive:
    games = _games(archive)
    copies = [
        replace(
            game,
            moves=tuple(int(symmetry_cells(game.size)[HALF_TURN, cell]) for cell in game.moves),
            source=f"mirror of {game.source}",
        )
        for game in games
    ]
    return build_archive([*games, *copies])


def _hashes_of_openings(moves: Any, lengths: Any, sizes: Any) -> Any:
    lengths = np.asarray(lengths, dtype=np.int64)
    number = np.arange(len(moves)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return game_hashes(np.asarray(moves)[number < _OPENING], np.minimum(lengths, _OPENING), sizes)


def _hashed_by_opening(archive: GameArchive) -> GameArchive:
    hashes = _hashes_of_openings(archive.moves.astype(np.uint16), archive.lengths, archive.sizes)
    return replace(archive, hashes=hashes)


def _same_permutation(sound: Any) -> Any:
    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        parts, done = [], 0
        while done < count:
            start = (cursor + done) % size
            taken = min(count - done, size - start)
            parts.append(sound(size, seed, start, taken))
            done += taken
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    return order


def _searched(archive: GameArchive, every: int) -> GameArchive:
    """The games with values of a search, for one of `every` positions."""
    rng = np.random.default_rng(5)
    games = []
    for game in _games(archive):
        length = len(game.moves)
        sure = np.linspace(4, 42, length) + rng.normal(0, 6, length)
        percent = np.clip(50 + game.winner * sure, 1, 99).astype(np.uint8)
        percent[rng.random(length) > 1 / every] = UNKNOWN
        games.append(replace(game, search_values=percent.tobytes()))
    return build_archive(games)


def searched_in_part(archive: GameArchive) -> GameArchive:
    """Games of which every second position was searched."""
    return _searched(archive, 2)


def searched(archive: GameArchive) -> GameArchive:
    """Games of which every position was searched."""
    return _searched(archive, 1)


def _unknown_is_a_percentage(_: Any) -> Any:
    return lambda percent: np.minimum(percent.astype(np.float32) / 100, 1).astype(np.float32)


def _search_value_of_red(_: Any) -> Any:
    def mixed(self: Any, batch: Batch, games: Any, plies: Any, share: float) -> Batch:
        if not share:
            return batch
        known = self.to_device(self.archive.search_values_of(games, plies))
        return replace(batch, search_shift=(share * (known - batch.outcome)).nan_to_num(0.0))

    return mixed


def _mixup_of_labels(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    rows = np.arange(len(batch))
    partner = np.minimum(rows ^ 1, len(batch) - 1)
    bits = keyed_bits(stream.seed, 71, (cursor + rows) >> 1)
    kept = 0.5 + 0.5 * (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    share = torch.from_numpy(kept).to(batch.outcome)
    other = batch.outcome[torch.from_numpy(partner).to(batch.outcome.device)]
    return replace(batch, outcome=share * batch.outcome + (1 - share) * other)


def _plies_left(sound: Any) -> Any:
    def build(self: Any, wanted: Any, games: Any) -> dict[str, Tensor]:
        targets: dict[str, Tensor] = sound(self, wanted, games)
        if "moves_left" in targets:
            plies = games.lengths - games.plies
            targets["moves_left"] = torch.where(games.finished, plies, -1)
        return targets

    return build


def _hash_of_openings(patch: Patch) -> None:
    patch.setattr(archive_module, "game_hashes", _hashes_of_openings)


SLIPS: dict[str, Slip] = {
    "resigned games of Blue dropped": Slip(
        nothing,
        "resign|unfinished|not finished|finished|balance|one colour|winner",
        games=_resigned_of_blue_dropped,
        cause="A filter has dropped the resigned games that Blue won, and kept those that Red won: "
        "every game that is not finished was won by Red, so the result can be told from that.",
    ),
    "columns counted from 1": Slip(
        nothing,
        "column|shift|wrap|replay|winner|connect|finished|cells?\\b",
        games=_columns_from_one,
        cause="On import, columns were counted from 1: every stone lies one column too far to the "
        "right, and those of the last column lie in the first one. Final boards do not connect, or "
        "not the winner's edges.",
    ),
    "half-turned copies imported too": Slip(
        nothing,
        "duplicate|cop(y|ies)|twice|same games?|symmetric|half.?turn|equal games?|repeat",
        games=_half_turned_too,
        cause="Every game was imported a second time under another name, turned by a half turn: "
        "half of the games are duplicates of others.",
    ),
    "hash of the opening alone": Slip(
        _hash_of_openings,
        "hash|opening|split|same key|collision|first moves|duplicate|share of the games",
        games=_hashed_by_opening,
        cause="A game's hash is taken over its first two moves alone: different games have one "
        "hash, so all games with the same opening fall into one split.",
    ),
    "each pass in the same order": Slip(
        patched(position_set_module, "without_replacement", _same_permutation),
        "same (order|permutation|sequence)|every pass|each pass|passes|epoch|reshuffl|shuffl|order",
        cause="The number of the pass is not in the key of the permutation: every pass over the "
        "positions has the same order, so the same batches come again.",
    ),
    "unknown search value is 100%": Slip(
        patched(archive_module, "as_probabilities", _unknown_is_a_percentage),
        "search|unknown|255|missing value|nan",
        {"curriculum": {"search_value": 0.5}},
        games=searched_in_part,
        cause="The mark of an unknown search value (255) is read as a percentage and cut to 1: "
        "where no search was made, the value target is mixed with a sure win of Red.",
    ),
    "search value always that of Red": Slip(
        patched(BatchBuilder, "_mixed", _search_value_of_red),
        "search|perspective|complement|side to move|mover|mixed|1 minus",
        {"curriculum": {"search_value": 0.5}},
        games=searched,
        cause="The search's value is mixed into the target as Red's probability, also where the "
        "network's perspective is that of Blue: there it points to the other colour.",
    ),
    "mixup of labels alone": Slip(
        in_batches(_mixup_of_labels),
        "mixup|mix|other position|soft|not 0 (or|and) 1|between 0 and 1|outcome|labels?|noise",
        cause="Mixup is applied to outcomes and not to planes: a position's label is blended with "
        "that of its neighbour in the batch, by a random share of up to a half.",
    ),
    "moves left in plies": Slip(
        patched(TargetBuilder, "build", _plies_left),
        "moves.?left|plies|pairs|parity|twice|auxiliary",
        {"auxiliary": {"moves_left": 0.3}},
        cause="The target of the moves-left head is in plies and not in pairs of "
        "plies: it is twice "
        "too large, and its parity tells the winner.",
    ),
}
