"""Slips in the drawing and in the planes of training positions, of the twentieth set.

The set is one of mistakes in hexsearch's own pipeline. An author who had read no check wrote down
133 mistakes that seemed likely, with a weight each for how often researchers make them. From them
`numpy.random.default_rng(26).choice` drew 40 without replacement, with chances in proportion to the
weights, and the first 24 are the set. The causes, and the words that name them, were written before
any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet
from hexsearch.data.positions import curriculum_positions
from hexsearch.game.board import RED
from tests.doctor.slips import Patch, Slip, in_batches


class _WinnerToMove:
    """A position set without the positions in which the winner is not to move."""

    def __init__(self, positions: PositionSet, archive: GameArchive) -> None:
        self._positions, self._archive = positions, archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._positions, name)

    def __len__(self) -> int:
        return len(self._positions)

    def draw(self, seed: int, cursor: int, size: int) -> tuple[Any, Any]:
        games, plies = self._positions.draw(seed, cursor, size)
        archive = self._archive
        first = archive.setups[games].astype(np.int64)
        lengths = archive.lengths_of(games)
        by_red = archive.winners[games] == RED

        def wanted(at: Any) -> Any:
            return ((at % 2 == 1) == by_red) & (at < lengths) & (at >= first)

        # In place of what is left out, the position of the same game a ply earlier or later.
        for step in (-1, 1, -2):
            plies = np.where(~wanted(plies) & wanted(plies + step), plies + step, plies)
        return games, plies


def _winner_to_move(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        if not isinstance(self.positions, _WinnerToMove):
            kept: Any = _WinnerToMove(self.positions, self.builder.archive)
            self = replace(self, positions=kept)
        return sound(self, cursor, size)

    patch.setattr(TrainingStream, "batch", batch)


_BATCH_BEFORE = 64


def _stale_planes(patch: Patch) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        own = sound(self, cursor, size)
        kept = min(max(_BATCH_BEFORE - cursor, 0), size)  # nothing has been fetched before these
        if kept == size:
            return own
        before = sound(self, cursor + kept - _BATCH_BEFORE, size - kept).planes
        return replace(own, planes=torch.cat([own.planes[:kept], before]).contiguous())

    patch.setattr(TrainingStream, "batch", batch)


def _validation_in_training(patch: Patch) -> None:
    sound = Dataset.training

    def training(self: Any, curriculum: Any) -> PositionSet:
        sound(self, curriculum)  # its complaints
        games = np.sort(np.concatenate([self.train_games, self.games("validation")]))
        return curriculum_positions(self.archive, games, curriculum, self.config.stages)

    patch.setattr(Dataset, "training", training)


def _rolled(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    size = stream.builder.encoder.size
    margin = (batch.planes.shape[2] - size) // 2
    samples = np.arange(cursor, cursor + len(batch), dtype=np.int64)
    bits = keyed_bits(stream.seed, 26, samples) % np.uint64(size)
    shift = torch.from_numpy(bits.astype(np.int64)).to(batch.planes.device)
    rows = torch.arange(size, device=shift.device)
    source = (rows - shift[:, None]) % size  # [B, N] row that comes to each row
    planes = batch.planes.clone()
    inner = planes[:, :, margin : margin + size, margin : margin + size]
    index = source[:, None, :, None].expand(inner.shape)
    planes[:, :, margin : margin + size, margin : margin + size] = inner.gather(2, index)
    row, column = batch.policy_target // size, batch.policy_target % size
    moved = (row + shift) % size * size + column
    target = torch.where(batch.has_move, moved, batch.policy_target)
    return replace(batch, planes=planes.contiguous(), policy_target=target)


SLIPS: dict[str, Slip] = {
    "winner to move only": Slip(
        _winner_to_move,
        r"(winner|winning side|winning colou?r|later winner) (is |was |has )?(always |only )?(th"
        r"e )?(one )?to (move|play)|(side to move|mover|player to move|to move)\b.{0,120}(always"
        r"|only|every|\ball\b|constant|same|tells?|leak|gives? away|reveal|decid|predict|wins|wo"
        r"n\b|known)|(label|outcome|result|target|value)s?\b.{0,100}(constant|always|all (equal|"
        r"the same|1\b|ones|wins|but)|the same|never var|only (one|wins|1\b)|one.?sided|imbalanc"
        r"|unbalanc|hardly var|do(es)? not vary|nearly all|almost all)|(sampl|select|draw|curric"
        r"ulum|filter|position)\w*.{0,100}(\bwinner|losing|loser|\blost\b)",
        cause="Training keeps only positions in which the later winner is to move, so for the side "
        "to move the label is always a win.",
        report="from memory: learning from the winner's moves only, as for behaviour cloning",
    ),
    "stale planes": Slip(
        _stale_planes,
        r"(plane|input|board|position)s?\b.{0,120}((another|other|different|previous|earlier|wro"
        r"ng) (batch|position|sample|row|board|game)|stale|misalign|shift|out of step|unrelated|"
        r"mixed up|shuffl|permut|(not|do(es)? not) (match|belong|fit|correspond|agree|go with))|"
        r"(label|target|outcome|result|move)s?\b.{0,120}((another|other|different|previous|next|"
        r"later|earlier|wrong) (batch|position|sample|row|board|game)|misalign|shuffl|permut|scr"
        r"ambl|random|unrelated|nothing to do|no relation|mixed up|independent|noise|(not|do(es)"
        r"? not) (match|belong|fit|correspond|agree|follow|depend))|stale|out of step|off.by|(pl"
        r"ane|input|board)s?\b.{0,80}\b(before|earlier|ago|late)\b|(a|one) batch (before|earlier|"
        r"late|ago)",
        cause="The planes of a training position are those of the position a batch before it, "
        "while its targets are its own.",
        report="from memory: double buffer of a prefetcher, planes and targets "
        "swapped at other times",
    ),
    "validation games in training": Slip(
        _validation_in_training,
        r"\bleak|overlap|(validation|held.?out|evaluation|test) (game|position|set|split|data)s?"
        r"\b.{0,100}(seen|in (the )?train|among|shared|drawn|trained on|also|part of|not held)|t"
        r"rain\w*\b.{0,80}(on|draw|drawn|contain|include|see|use|share|hold|from)\w*\b.{0,40}(va"
        r"lidation|held.?out|evaluat\w+|test)\b|split\b.{0,60}(by position|share|common|mix|not "
        r"(kept|respected|hold))",
        cause="Training draws positions of the validation games too, so the report is about games "
        "on which the network has been trained.",
        report="from memory: train_test_split of positions instead of games",
    ),
    "rolled rows": Slip(
        in_batches(_rolled),
        r"(row|board|stone|plane|cell|input|position)s?\b.{0,100}(\broll|shift|translat|cyclic|w"
        r"rap|displac|permut|scrambl|shuffl|\bmoved|tor(n|us))|(\broll|shift|translat|cyclic|wra"
        r"p|displac|permut|scrambl)\w*.{0,100}(row|board|stone|plane|cell|input)|(augment|symmet"
        r"r)\w*.{0,120}(not (a|one|keep|valid|those)|invalid|no symmetr|wrong|other than|none of"
        r"|break|do(es)? not keep|none that|unlike)",
        cause="The augmentation rolls the rows of the board around by a random number, which is no "
        "symmetry of Hex.",
        report="from memory: random shift of images used for boards",
    ),
}
