"""Slips in the games, the split, the draws, the planes and the targets, of the twenty-seventh set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 274
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(44).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data import dataset as dataset_module
from hexsearch.data import positions as positions_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.order import keyed_bits, without_replacement
from hexsearch.data.position_set import PositionSet
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells
from tests.doctor.slips import ABSOLUTE, Patch, Slip, in_labels, nothing, patched

_WINDOW = 256


def _winners_of_neighbours(archive: GameArchive) -> GameArchive:
    winners = np.roll(archive.winners, 1)
    return build_archive(
        replace(archive.game(index), winner=int(winners[index])) for index in range(len(archive))
    )


def _with_turned_copies(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    turned = [
        replace(
            game,
            moves=tuple(int(symmetry_cells(game.size)[HALF_TURN][cell]) for cell in game.moves),
        )
        for game in games
    ]
    return build_archive([*games, *turned])


def _split_by_index(_: Any) -> Any:
    def split(
        archive: GameArchive, split: str, validation: float, test: float, salt: str
    ) -> NDArray[np.int64]:
        bits = keyed_bits(0, np.arange(len(archive)))
        draw = (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        if split == "test":
            chosen = draw < test
        elif split == "validation":
            chosen = (draw >= test) & (draw < test + validation)
        else:
            chosen = draw >= test + validation
        return np.flatnonzero(chosen)

    return split


def _in_windows(_: Any) -> Any:
    """A shuffle buffer: positions are in the order of the games, and shuffled 256 at a time."""

    def draw_plain(self: Any, seed: int, cursor: int, size: int) -> Any:
        total = len(self)
        samples = np.arange(cursor, cursor + size, dtype=np.int64)
        passes, place = samples // total, samples % total
        index = np.empty(size, dtype=np.int64)
        windows = place // _WINDOW
        for which in np.unique(np.stack([passes, windows]), axis=1).T.tolist():
            here = (passes == which[0]) & (windows == which[1])
            low = which[1] * _WINDOW
            width = min(_WINDOW, total - low)
            own = int(keyed_bits(seed, *which)[0] >> np.uint64(1))
            index[here] = low + without_replacement(width, own, 0, width)[place[here] - low]
        return self.at(index, passes, seed)

    return draw_plain


def _game_by_game(_: Any) -> Any:
    """Games in random order, and all positions of a game one after the other."""

    def draw_plain(self: Any, seed: int, cursor: int, size: int) -> Any:
        total, rows = len(self), len(self.games)
        slots = (self.counts if self.slots is None else self.slots).astype(np.int64)
        samples = np.arange(cursor, cursor + size, dtype=np.int64)
        passes, place = samples // total, samples % total
        index = np.empty(size, dtype=np.int64)
        for number in np.unique(passes).tolist():
            order = without_replacement(rows, seed, number * rows, rows)
            ends = np.cumsum(slots[order])
            here = passes == number
            at = np.searchsorted(ends, place[here], side="right")
            row = order[at]
            index[here] = self.ends[row] - (ends[at] - place[here])
        return self.at(index, passes, seed)

    return draw_plain


def _last_k_positions(sound: Any) -> Any:
    """`last_k` as the last k positions, the final one included."""

    def bounds(archive: GameArchive, games: Any, rule: Any, stages: Any) -> Any:
        first, last = sound(archive, games, rule, stages)
        if rule.name == "last_k":
            setups = archive.setups[games].astype(np.int64)
            from_end = archive.lengths_of(games) - (rule.k - 1)
            first = np.maximum(from_end, np.maximum(setups, rule.first_ply))
        return first, last

    return bounds


def _seeded_by_cursor(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        return sound(replace(self, seed=self.seed + cursor), cursor, size)

    patch.setattr(TrainingStream, "batch", batch)


def _no_history(_: Any) -> Any:
    def forgetful(self: Any, planes: Tensor, bits: Any) -> Tensor:
        cut = planes.clone()
        cut[:, -1] = 0.0
        return cut

    return forgetful


def _planes_not_reflected(sound: Any) -> Any:
    def build(
        self: Any, games: Any, plies: Any, turn: Any, swap: Any, *rest: Any, **more: Any
    ) -> Batch:
        batch: Batch = sound(self, games, plies, turn, swap, *rest, **more)
        plain: Batch = sound(self, games, plies, turn, np.zeros_like(swap), *rest, **more)
        return replace(
            batch,
            planes=plain.planes,
            policy_target=plain.policy_target,
            auxiliary=plain.auxiliary,
        )

    return build


def _plies_from_the_start(sound: Any) -> Any:
    def build(self: Any, wanted: Any, games: Any) -> dict[str, Tensor]:
        targets: dict[str, Tensor] = sound(self, wanted, games)
        if "moves_left" in targets:
            targets["moves_left"] = torch.where(games.finished, (games.plies + 1) // 2, -1)
        return targets

    return build


def _split_by_index_of_game(patch: Patch) -> None:
    patch.setattr(dataset_module, "split_games", _split_by_index(None))


SLIPS: dict[str, Slip] = {
    "winner of the neighbour": Slip(
        nothing,
        "winner|connect|replay|labels?\\b.*(game|shift|other|agree|wrong)|outcomes?\\b.*(agree|"
        "wrong|other)|result",
        games=_winners_of_neighbours,
        cause="The winners were joined to the games with an offset of one row: each game has the "
        "winner of the game before it, which often is not the colour that connects.",
    ),
    "split by index, with turned copies": Slip(
        _split_by_index_of_game,
        "split|both (parts|sets)|symmetric|turned|cop(y|ies)|duplicate|leak|overlap|same games?\\b|"
        "training games?\\b.*validation|validation games?\\b.*training",
        games=_with_turned_copies,
        cause="The file holds every game a second time under the half turn, and the split draws "
        "by the index of a game and not by its hash: one copy of a game is for training and the "
        "other for validation.",
    ),
    "target is Red's win": Slip(
        in_labels(lambda batch: batch.red_won),
        "perspective|red.?s? (win|won)|red_won|side to move|mover|complement|outcome|labels?\\b|"
        "value targets?",
        cause="The value is taught whether Red won and not whether the side to move wins, although "
        "planes are in the perspective of the side to move, whichever colour it has.",
    ),
    "history cut off in training": Slip(
        patched(TrainingStream, "_forgetful", _no_history),
        "history|recency|recent|last plane",
        {"encoder": {"history": True}},
        cause="The history plane is set to 0 for every position of training, in place of every "
        "eighth; in evaluation it is there. So its weights are never trained but are used.",
    ),
    "shuffled in windows": Slip(
        patched(PositionSet, "draw_plain", _in_windows),
        "shuffl|window|buffer|order of the games|neighbouring|same games?\\b|few games|correlat|"
        "games (in|of) a batch|consecutive|alike|one after (the other|another)|random order",
        cause="The stream runs through the archive in the order of its games and is shuffled only "
        "within windows of 256 positions: a batch holds positions of a dozen games.",
    ),
    "games one after the other": Slip(
        patched(PositionSet, "draw_plain", _game_by_game),
        "shuffl|same games?\\b|few games|correlat|games (in|of) a batch|consecutive|"
        "one after (the other|another)|whole games|random order|neighbouring|in sequence",
        cause="Games are shuffled but positions are not: all positions of a game follow each "
        "other in the stream, so a batch holds the positions of a few games.",
    ),
    "last k positions": Slip(
        patched(positions_module, "_bounds", _last_k_positions),
        "last_k|\\bodd\\b|(winner|side) (is )?to move|side to move (tells|gives)|leak|more often|"
        "range",
        {"curriculum": {"name": "last_k", "k": 4}},
        cause="last_k takes the last k positions with the final one among them, so its range is "
        "odd: the winner is to move in two of three positions, and the side to move tells the "
        "winner without a look at the board.",
    ),
    "seed moves with the cursor": Slip(
        _seeded_by_cursor,
        "read.?ahead|chunk|cursor|how .*(cut|built|read)|seed|resum|repeatable|reproduc|depends? on"
        "|not (all|every|each)|with replacement|twice|pass",
        cause="The stream is seeded by its seed plus the cursor at which a chunk is built: the "
        "positions of a batch depend on how far batches are read ahead, and a pass does not "
        "draw every position once.",
    ),
    "label reflected, planes not": Slip(
        patched(BatchBuilder, "build", _planes_not_reflected),
        "reflect|mirror|symmetr|augment|swap|exchang|labels?\\b|outcome|colours?",
        ABSOLUTE,
        cause="Where the augmentation reflects a position, the outcome and the flag for the "
        "colours are exchanged, but the planes are not reflected and keep their colours: half of "
        "the labels belong to another board.",
    ),
    "moves_left from the start": Slip(
        patched(TargetBuilder, "build", _plies_from_the_start),
        "moves.?left|moves left|plies (from|since) the (start|beginning)|auxiliary target|played",
        {"auxiliary": {"moves_left": 0.1}},
        cause="The target of moves_left counts the pairs of plies since the start of the game and "
        "not those to its end.",
    ),
}
