"""Slips in the split, the drawing, the planes and the labels, of the twenty-first set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 133
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(27).choice` drew 40, and
the first 24 are the set. But one of these does no harm (a batch norm whose momentum is None), so
the next of the draw stands in its place. The causes, and the words that name them, were written
before any run of a check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data import dataset as dataset_module
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet, position_set
from tests.doctor.slips import ABSOLUTE, Inject, Patch, Slip, in_batches, in_encoder


class _Drawn:
    """The positions of a stream with another drawing."""

    def __init__(self, inner: PositionSet, change: Callable[..., Any], stream: Any) -> None:
        self.inner, self.change, self.stream = inner, change, stream

    def draw(self, seed: int, cursor: int, size: int) -> Any:
        return self.change(self.inner, self.stream, seed, cursor, size)

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)


def _in_draws(change: Callable[..., Any]) -> Inject:
    """Other (game, ply) of the training samples."""

    def inject(patch: Patch) -> None:
        sound = TrainingStream.batch

        def batch(self: Any, cursor: int, size: int) -> Batch:
            if isinstance(self.positions, _Drawn):
                return sound(self, cursor, size)
            drawn: Any = _Drawn(self.positions, change, self)
            return sound(replace(self, positions=drawn), cursor, size)

        patch.setattr(TrainingStream, "batch", batch)

    return inject


def _by_length(positions: PositionSet, stream: Any, seed: int, cursor: int, size: int) -> Any:
    """The game is drawn by the square of its number of positions, then one of its positions."""
    sets = positions.phase_at(cursor).sets if positions.phases else (positions,)
    chosen = sets[0]
    counts = chosen.counts.astype(np.float64)
    share = np.cumsum(counts**2)
    samples = np.arange(cursor, cursor + size, dtype=np.int64)
    draw = (keyed_bits(seed, 271, samples) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    row = np.minimum(np.searchsorted(share, draw * share[-1], side="right"), len(share) - 1)
    inside = keyed_bits(seed, 272, samples) % chosen.counts[row].astype(np.uint64)
    games = chosen.games[row].astype(np.int64)
    return games, chosen.first[row].astype(np.int64) + inside.astype(np.int64)


def _no_side(sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
    planes = sound(self, cells, plies, symmetries, finished)
    if self.perspective == "absolute":
        planes[:, 2] = 0.0
    return planes


def _last_mover(patch: Patch) -> None:
    sound = BatchBuilder.build

    def build(self: Any, *arguments: Any, **more: Any) -> Batch:
        batch = sound(self, *arguments, **more)
        red = batch.ply % 2 == 0  # Blue begins, so after an even number of moves Red was the last
        outcome = (red ^ batch.complement).float()
        return replace(batch, red_won=red.float(), outcome=outcome)

    patch.setattr(BatchBuilder, "build", build)


def _quarter(batch: Batch, stream: Any, cursor: int) -> Batch:
    samples = np.arange(cursor, cursor + len(batch), dtype=np.int64)
    turned = torch.from_numpy((keyed_bits(stream.seed, 90, samples) & np.uint64(1)).astype(bool))
    turned = turned.to(batch.planes.device)
    size = stream.builder.encoder.size
    planes = torch.where(
        turned[:, None, None, None], torch.rot90(batch.planes, 1, (2, 3)), batch.planes
    )
    row, column = batch.policy_target // size, batch.policy_target % size
    target = torch.where(
        turned & batch.has_move, (size - 1 - column) * size + row, batch.policy_target
    )
    auxiliary = {}
    for name, each in batch.auxiliary.items():
        if each.ndim == 2:
            maps = each.view(len(each), size, size)
            rotated = torch.rot90(maps, 1, (1, 2)).reshape(len(each), -1)
            each = torch.where(turned[:, None], rotated, each)
        auxiliary[name] = each
    return replace(batch, planes=planes.contiguous(), policy_target=target, auxiliary=auxiliary)


def _winner_to_move(positions: PositionSet, stream: Any, seed: int, cursor: int, size: int) -> Any:
    games, plies = positions.draw(seed, cursor, size)
    to_end = stream.builder.archive.lengths_of(games) - plies
    step = np.where(to_end == 0, -1, 1)
    return games, np.where(to_end % 2 == 0, plies + step, plies)


def _corners(batch: Batch, stream: Any, cursor: int) -> Batch:
    if not stream.builder.encoder.edge_ring:
        return batch
    planes = batch.planes.clone()
    planes[:, :2, 0, 0] = 1.0
    planes[:, :2, -1, -1] = 1.0
    return replace(batch, planes=planes)


def _lost_shard(patch: Patch) -> None:
    sound = dataset_module.curriculum_positions  # type: ignore[attr-defined]

    def positions(archive: Any, games: Any, *more: Any) -> Any:
        shards = 4
        each = len(games) // shards
        read = [games[n * each : (n + 1) * each] for n in range(shards - 1)]
        return sound(archive, np.concatenate(read), *more)

    patch.setattr(dataset_module, "curriculum_positions", positions)


def _all_games(self: Dataset) -> Any:
    return np.sort(np.concatenate([self.train_games, self.validation_games]))


def _with_validation(patch: Patch) -> None:
    def training(self: Any, curriculum: Any) -> Any:
        return dataset_module.curriculum_positions(  # type: ignore[attr-defined]
            self.archive, _all_games(self), curriculum, self.config.stages
        )

    patch.setattr(Dataset, "training", training)


def _one_too_late(patch: Patch) -> None:
    def moves(self: Any, offsets: Any, counts: Any) -> Any:
        index = np.repeat(offsets + 1 - (np.cumsum(counts) - counts), counts)
        index += np.arange(len(index))
        return self.archive.moves.take(index, mode="clip")

    patch.setattr(BatchBuilder, "_moves", moves)


def _by_positions(patch: Patch) -> None:
    def held(archive: Any, games: Any) -> Any:
        """The ply of each game that is held out."""
        setups = archive.setups[games].astype(np.int64)
        room = (archive.lengths_of(games) - setups + 1).astype(np.uint64)
        return setups + (keyed_bits(46, games) % room).astype(np.int64)

    def validation(self: Any) -> Any:
        if "_held_out" not in self.__dict__:
            games = _all_games(self)
            plies = held(self.archive, games)
            self.__dict__["_held_out"] = position_set(games, plies, plies)
        return self.__dict__["_held_out"]

    def draw(inner: PositionSet, stream: Any, seed: int, cursor: int, size: int) -> Any:
        games, plies = inner.draw(seed, cursor, size)
        archive = stream.builder.archive
        clash = plies == held(archive, games)
        step = np.where(plies < archive.lengths_of(games), 1, -1)
        return games, np.where(clash, plies + step, plies)

    _with_validation(patch)
    patch.setattr(Dataset, "validation", property(validation))
    _in_draws(draw)(patch)


SLIPS: dict[str, Slip] = {
    "long games are drawn too often": Slip(
        _in_draws(_by_length),
        "(long|length|short)\\w*.{0,80}(often|represent|weight|sampl|draw|proportion|share|bias|ra"
        "re)|(sampl|draw|share|distribut|often|uneven|unequal)\\w*.{0,80}(long|length|short|per ga"
        "me|some games|of games)|games?.{0,60}(uneven|unequal|too often|over.?represent|not equal)",
        cause="Games are drawn by the square of their length, so long games are over-represented.",
        report="own imagination",
    ),
    "side to move is missing": Slip(
        in_encoder(_no_side),
        "(side|player|colour|color|who|turn)\\b.{0,30}\\bto.(move|play)|(plane|channel) (2"
        "|3|three|third).{0,60}(zero|constant|empty|never)|(third|last) plane.{0,60}(zero|constant"
        "|empty)|(constant|empty|all.zero|dead) (plane|channel)",
        ABSOLUTE,
        cause="The side-to-move plane of the absolute encoding is always zero.",
        report="own imagination",
    ),
    "label by the last mover": Slip(
        _last_mover,
        "(label|result|outcome|winner|target|red_won)s?\\b.{0,120}(side to move|mover|parity|ply|p"
        "lies|who (is|has)|last (mov|stone)|just moved|not the (winner|game)|disagree|replay|wrong"
        "|contradict|within (a|one) game|of one game|changes?\\b|archive|(not|differ).{0,30}game)|"
        "(side to move|parity|mover|ply).{0,80}(label|result|outcome|winner|target)",
        ABSOLUTE,
        cause="The result of a position is that of the colour that moved last before it, and not "
        "that of the winner of the game.",
        report="own imagination",
    ),
    "quarter turns as augmentation": Slip(
        in_batches(_quarter),
        "rotat|90|quarter|symmetr|augment|(turn|mirror|reflect|flip|transpos)\\w*.{0,80}(wrong|not|"
        "edge|board|colour|color)|(edge|ring|connect)\\w*.{0,80}(wrong|exchang|swap|rotat)",
        cause="Half of the training samples are rotated by 90 degrees, which is no symmetry of "
        "the Hex board.",
        report="own imagination",
    ),
    "only plies at which the winner is to move": Slip(
        _in_draws(_winner_to_move),
        r"(winner|side|colour|color|player|mover)\b.{0,40}to (move|play)|(mover|side to move).{0,6"
        r"0}(win|always|result|tell)|parity|every (second|other) (ply|position)|odd|(always|only|a"
        r"ll).{0,40}(won|win|wins|1|one)\b.{0,40}(mover|to move)?|(outcome|label|target|result)s?"
        r"\b.{0,60}(constant|all (the )?same|all 1|all equal|one class|never vary|do not vary|alwa"
        r"ys)",
        {"curriculum": {"name": "last_k", "k": 6}},
        cause="Training positions are thinned by two plies counted from the end, so that in all "
        "of them the winner is to move, and none is final.",
        report="own imagination",
    ),
    "corners of the ring in training only": Slip(
        in_batches(_corners),
        "corner|\\bring\\b|\\bedges?\\b|(plane|input|encod)\\w*.{0,100}(train|evaluat|differ|not th"
        "ose|unlike|other)|(train|evaluat)\\w*.{0,80}(plane|input|encod)\\w*.{0,60}(differ|other|no"
        "t|unlike|disagree)",
        cause="In training the acute corners of the edge ring are set for both colours, in "
        "evaluation they are empty.",
        report="own imagination",
    ),
    "last quarter of the games is never read": Slip(
        _lost_shard,
        r"(games?|positions?|samples?|data|archive|part|quarter|shard|share)\b.{0,120}(never|not ("
        r"draw|seen|read|us|train|reach|cover|sampl)|miss|left out|skip|lost|drop|omit|unused|with"
        r"out|less than|only|few)|(never|only|skip|drop|los|omit|leav)\w*.{0,60}(games|positions|s"
        r"hard|quarter|data)",
        cause="The last quarter of the training games is never drawn, since one of four shards is "
        "not read.",
        report="own imagination",
    ),
    "validation games in training, again": Slip(
        _with_validation,
        r"leak|overlap|contaminat|split|(validation|held.?out|evaluat)\w*.{0,80}((in|among|part of"
        r"|also|within) .{0,30}train|seen in|trained on|memor)|train\w*.{0,80}(hold|contain|includ"
        r"|draw|on|share|common|sees)\w*.{0,60}(validation|held.?out|evaluated) ?(game|position)?",
        cause="The validation games are among the games that are trained on.",
        report="own imagination",
    ),
    "first move of each game is skipped": Slip(
        _one_too_late,
        r"(first|next|one) (move|stone|ply)|off.by.one|offset|shift|leak|one (place|ply|move) (too"
        r" )?(late|later|ahead|on|further)|(plane|board|stone|encod|input|position)\w*.{0,120}(not"
        r" (those|the|what|of)|wrong|other|swap|exchang|miss|lack|differ|disagree|next|later|repla"
        r"y|do not (follow|match|fit|belong))|(colour|color)s?\b.{0,60}(swap|exchang|wrong|revers)",
        cause="Moves are read one place too late, so boards lack the first stone, show the next "
        "move, and give all stones the other colour.",
        report="own imagination",
    ),
    "split by positions": Slip(
        _by_positions,
        r"leak|overlap|contaminat|split|same games?|(validation|held.?out|evaluat)\w*.{0,80}((in|a"
        r"mong|part of|also|within) .{0,30}train|seen in|trained on|memor)|train\w*.{0,80}(hold|co"
        r"ntain|includ|draw|on|share|common|sees)\w*.{0,60}(validation|held.?out|evaluated) ?(game"
        r"|position)?",
        cause="Training and validation are split by positions and not by games, so neighbours of "
        "each validated position are trained on.",
        report="own imagination",
    ),
}
