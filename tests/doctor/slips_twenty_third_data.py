"""Slips in the chunks, labels, weights and planes of batches, of the twenty-third set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 178
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(32).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import batches as batches_module
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.data.order import keyed_bits
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.data.stages import STAGE_NAMES
from hexsearch.game.board import BLUE
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells
from tests.doctor.slips import Slip, in_batches, in_encoder, patched

_ERASING_SEED = 31
_BATCH = 64


def _erased_in_place(sound: Any) -> Any:
    def batch(self: Any, cursor: int, size: int) -> Batch:
        piece: Batch = sound(self, cursor, size)
        planes = piece.planes if self._chunk is None else self._chunk.planes
        side = planes.shape[2]
        cell = int(keyed_bits(_ERASING_SEED, cursor)[0] % np.uint64(side * side))
        planes[:, :2, cell // side, cell % side] = 0.0
        return piece

    return batch


def _start_of_chunk(sound: Any) -> Any:
    def batch(self: Any, cursor: int, size: int) -> Batch:
        piece: Batch = sound(self, cursor, size)
        return piece if self._chunk is None else self._chunk.piece(0, size)

    return batch


def _sorted_without_labels(batch: Batch, _: Any, cursor: int) -> Batch:
    parts = enumerate(batch.parts(_BATCH))
    order = [number * _BATCH + part.ply.argsort(stable=True) for number, part in parts]
    return replace(batch.rows(torch.cat(order)), outcome=batch.outcome)


def owners_by_colour(sound: Any) -> Any:
    def build(self: Any, wanted: Any, games: Any) -> dict[str, Tensor]:
        targets: dict[str, Tensor] = sound(self, wanted, games)
        if "ownership" in targets:
            owner = targets["ownership"]
            swapped = (games.symmetries >= LONG_DIAGONAL)[:, None]
            targets["ownership"] = torch.where(swapped & (owner > 0), 3 - owner, owner)
        return targets

    return build


def _with_sum_of_one(sound: Any) -> Any:
    def weights(*arguments: Any) -> Any:
        found = sound(*arguments)
        return (found / found.sum()).astype(np.float32)

    return weights


def weights_in_order(order: Callable[[Sequence[str]], Iterable[str]]) -> Any:
    """Weights of the stages, given to them in another order of their names."""

    def make(sound: Any) -> Any:
        def weights(phase: Any, wanted: Any, *arguments: Any) -> Any:
            exchanged = zip(STAGE_NAMES, order(STAGE_NAMES), strict=True)
            given = {name: wanted.get(other, 1.0) for name, other in exchanged}
            return sound(phase, given, *arguments)

        return weights

    return make


def _move_before(sound: Any) -> Any:
    def build(self: Any, games: Any, plies: Any, turn: Any, *arguments: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, games, plies, turn, *arguments, **more)
        swapped = batch.complement.cpu().numpy()
        if self.encoder.perspective == "mover":
            swapped = ~swapped
        symmetries = turn + 2 * swapped.astype(np.int64)
        places = self.archive.offsets[games].astype(np.int64) + plies - 1
        before = self.archive.moves.take(np.maximum(places, 0))
        shown = self.to_device(symmetry_cells(self.encoder.size)[symmetries, before])
        return replace(batch, policy_target=torch.where(batch.has_move, shown, 0))

    return build


def _without_last_stone(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    position = np.repeat(np.arange(len(plies)), plies)
    number = np.arange(len(cells)) - (np.cumsum(plies) - plies)[position]
    kept = number < plies[position] - 1
    return sound(self, cells[kept], np.maximum(plies - 1, 0), symmetries, finished)


SLIPS: dict[str, Slip] = {
    "erased cells pile up in the chunk": Slip(
        patched(ReadAhead, "batch", _erased_in_place),
        r"in.?place|eras|blank|cut.?out|(read.?ahead|chunk).{0,120}(plane|input|chang|modif|alter"
        r"|writ|differ|not (those|what|equal))|(plane|stone|cell|input|edge|ring)s?\b.{0,120}(mis"
        r"s|lost|lack|empty|zero|remov|overwritten|modif|not (those|of|what)|differ|disagree|othe"
        r"r|chang|fewer|written)|(differ|other|not (those|the same)|depend|unlike)\w*.{0,80}(read"
        r".?ahead|chunk|read before|batches before)",
        cause="Each batch that the read-ahead gives blanks a cell in place in the planes of the "
        "whole chunk, so later batches of a chunk lack ever more stones and edges.",
        report="own imagination",
    ),
    "owners by colour and not by plane": Slip(
        patched(TargetBuilder, "build", owners_by_colour),
        r"owner|(auxiliary|cell).{0,100}(colou?r|swap|exchang|wrong|reflect|symmetr|perspective|r"
        r"evers|not (those|the|what)|disagree|class)",
        {"auxiliary": {"ownership": 1.0}},
        cause="The classes of the ownership target are not exchanged in reflected positions, so "
        "they name Blue and Red there and not the first and second plane.",
        report="own imagination",
    ),
    "stage weights with sum one": Slip(
        patched(batches_module, "stage_weights", _with_sum_of_one),
        r"(stage|sample|position|loss|importance)?.{0,20}weights?\b.{0,100}(mean|sum|average|scal"
        r"e|normali|third|small|below|not 1|other than|not (those|what|the)|differ|low|too)|(mean"
        r"|sum|average|scale)\w*.{0,60}weights?\b|value loss.{0,100}(third|scale|small|weak|facto"
        r"r|times|low)",
        {"curriculum": {"stage_weights": {"late": 2.0}}},
        cause="Stage weights are divided by their sum, so their mean over the samples is about a "
        "third and not 1, and the value loss is too weak beside the policy loss.",
        report="own imagination",
    ),
    "stage weights in reverse order": Slip(
        patched(batches_module, "stage_weights", weights_in_order(reversed)),
        r"stage.{0,40}weight|weight.{0,60}(stage|early|late|middle)|(early|late|middle)\b.{0,80}w"
        r"eigh|(weights?|importance)\b.{0,100}(revers|exchang|swap|wrong|order|not (those|the|wha"
        r"t)|other than|differ|configur)",
        {"curriculum": {"stage_weights": {"late": 3.0}}},
        cause="Stage weights are given to the stages in reverse order, so early positions have "
        "the weight of late ones.",
        report="own imagination",
    ),
    "policy learns the move before": Slip(
        patched(BatchBuilder, "build", _move_before),
        r"(last|previous|earlier|preceding|past|already|move before|played before|one (ply|move) "
        r"(too )?(early|earlier|before|back|behind))|occupied|(policy|move)( target)?s?\b.{0,120}"
        r"(ply|not (the|that|those) (next|move|one|play|follow)|wrong (move|ply|cell)|off.by|shif"
        r"t|disagree|illegal|not (empty|legal|next)|stone|another (move|ply)|does not follow|diff"
        r"er)",
        {"policy_head": {"weight": 1.0}},
        cause="The policy target is the move that led to the position and not the move that "
        "follows, so it lies on an occupied cell.",
        report="own imagination",
    ),
    "first batch of a chunk over and over": Slip(
        patched(ReadAhead, "batch", _start_of_chunk),
        r"(same|repeat|again|identical|duplicat|first|one|few)\w*.{0,100}(batch|position|sample|c"
        r"hunk|game)|(batch|position|sample|chunk|stream|read.?ahead|game)\w*.{0,120}(same|repeat"
        r"|again|identical|duplicat|not advanc|over and over|several times|many times|does not mo"
        r"ve|first|never (seen|drawn|reach|read|train)|not (those|the) (of|next)|skip|few)|read.?"
        r"ahead|cursor",
        cause="The read-ahead always gives the first batch of its chunk, so the network trains "
        "on one batch 32 times and never sees the rest of the chunk.",
        report="own imagination",
    ),
    "last stone is not shown": Slip(
        in_encoder(_without_last_stone),
        r"(last|latest|newest|one|final|winning|recent) (stone|move|ply)|off.by.one|(plane|board|"
        r"stone|encod|input|position)\w*.{0,120}(not (those|the|what|of|all)|wrong|miss|lack|diff"
        r"er|disagree|replay|fewer|one (ply|move|stone)|earlier|previous|before|behind|do(es)? no"
        r"t (follow|match|fit|belong|show|hold))|(ply|plies|move)s? (too )?(early|earlier|behind|"
        r"before|late)",
        cause="The planes lack the last stone: positions are shown as they were one ply earlier.",
        report="own imagination",
    ),
    "winner compared with Blue": Slip(
        patched(batches_module, "RED", lambda _: BLUE),
        r"(label|result|outcome|winner|target|red_won|win)s?\b.{0,120}(revers|invert|exchang|swap"
        r"|wrong|opposite|flip|other (colour|color|side|player)|loser|blue|disagree|contradict|no"
        r"t (the|that|those|what)|replay|differ|archive|negat)|(revers|invert|exchang|swap|wrong|"
        r"opposite|flip|negat|loser)\w*.{0,80}(label|result|outcome|winner|target|red_won|win)",
        cause="red_won is true where Blue won, in training and evaluation, since winners are "
        "compared with BLUE.",
        report="own imagination",
    ),
    "batch sorted by ply without its labels": Slip(
        in_batches(_sorted_without_labels),
        r"sort|misalign|shuffl|permut|(other|another|wrong|different|neighbour) (position|row|sam"
        r"ple|board|game)s?|(label|result|outcome|target|winner)s?\b.{0,120}(order|of (other|anot"
        r"her|different)|not (those|the|that|of|match|what|belong)|wrong|random|disagree|contradi"
        r"ct|mix|do(es)? not (follow|match|fit|belong|agree|depend)|noise|chance|differ|replay|ar"
        r"chive|unrelated|independen)|(wrong|random|mixed|noisy)\w*.{0,40}(label|result|outcome|t"
        r"arget)",
        cause="Training batches are sorted by ply but their outcomes are not, so outcomes belong "
        "to other positions.",
        report="own imagination",
    ),
}
