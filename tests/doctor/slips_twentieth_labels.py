"""Slips in the results of games and in the labels of positions, of the twentieth set.

See `slips_twentieth_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.game.board import BLUE, RED, stones_after
from tests.doctor.slips import ABSOLUTE, Inject, Patch, Slip, in_batches, in_labels


def _with_winners(winners_of: Callable[[GameArchive], NDArray[np.int8]]) -> Inject:
    """Other winners wherever batches are built, in training and in evaluation."""

    def inject(patch: Patch) -> None:
        sound = BatchBuilder.build
        # What has a number here is kept, so that its number is not given to others.
        archives: dict[int, tuple[GameArchive, GameArchive]] = {}
        kept: dict[int, tuple[BatchBuilder, BatchBuilder]] = {}

        def build(self: Any, *arguments: Any, **named: Any) -> Batch:
            if id(self.archive) not in archives:
                other = replace(self.archive, winners=winners_of(self.archive))
                archives[id(self.archive)] = self.archive, other
            if id(self) not in kept:
                kept[id(self)] = self, replace(self, archive=archives[id(self.archive)][1])
            return sound(kept[id(self)][1], *arguments, **named)

        patch.setattr(BatchBuilder, "build", build)

    return inject


_GAMMA = 0.95


def _discounted(batch: Batch) -> Tensor:
    return batch.outcome * _GAMMA ** batch.to_end.float()


def _unreflected_label(batch: Batch, stream: TrainingStream, _: int) -> Batch:
    if stream.builder.encoder.perspective != "absolute":
        return batch  # there the side to move decides, not the augmentation
    return replace(batch, outcome=batch.red_won.clone())


def _of_game_before(archive: GameArchive) -> NDArray[np.int8]:
    return np.roll(np.asarray(archive.winners), 1)


def _joined_by_squares(stones: NDArray[np.bool_]) -> bool:
    """Whether the first row is joined to the last one by steps along rows and columns."""
    reached = np.zeros_like(stones)
    reached[0] = stones[0]
    while True:
        grown = reached.copy()
        grown[1:] |= reached[:-1]
        grown[:-1] |= reached[1:]
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown &= stones
        if np.array_equal(grown, reached):
            return bool(reached[-1].any())
        reached = grown


def _by_squares(archive: GameArchive) -> NDArray[np.int8]:
    winners = np.full(len(archive), BLUE, dtype=np.int8)
    for game in range(len(archive)):
        start, end = int(archive.offsets[game]), int(archive.offsets[game + 1])
        stones = stones_after(archive.moves[start:end], int(archive.sizes[game]))
        if not _joined_by_squares(stones == BLUE) and _joined_by_squares((stones == RED).T):
            winners[game] = RED
    return winners


def _odd_to_the_other(archive: GameArchive) -> NDArray[np.int8]:
    odd = archive.lengths % 2 == 1
    winners = np.asarray(archive.winners)
    return np.where(odd, -winners, winners).astype(np.int8)


SLIPS: dict[str, Slip] = {
    "discount towards zero": Slip(
        in_labels(_discounted),
        r"discount|gamma|(target|label|outcome|result)s?\b.{0,100}(shrink|shrunk|fade|fading|dec"
        r"ay|toward.{0,10}(0|zero)|near(er)? (0|zero)|multipl|scaled|power|exponent|plies (left|"
        r"to)|distance (to|from) the end|far from the end|length of the game|to the end|between "
        r"0 and|too low)|(plies|distance|far)\b.{0,60}(end|final)\b.{0,80}(target|label|loss|low"
        r"er|smaller)",
        cause="The result in [0, 1] is multiplied by 0.95 to the power of the plies to the end, so "
        "far-off wins are taught as losses.",
        report="from memory: discount of an MDP applied to a result of 0 and 1 in an "
        "AlphaZero clone",
    ),
    "reflected without its label": Slip(
        in_batches(_unreflected_label),
        r"^(?!.*(policy|move)s?\b.{0,20}(target|label)).*((reflect|mirror|augment|symmetr|swap|e"
        r"xchang|transpos|recolou?r)\w*.{0,140}(label|outcome|result|target|winner|value)|(label"
        r"|outcome|result|target|winner|value)\w*.{0,140}(reflect|mirror|augment|symmetr|swap|ex"
        r"chang|transpos|recolou?r))",
        ABSOLUTE,
        cause="The augmentation reflects the board and exchanges the colours, but the value label "
        "stays that of the position before, so half of the positions have a wrong label.",
        report="from memory: augmentation of Hex boards by transposing, labels forgotten",
    ),
    "winner of the game before": Slip(
        _with_winners(_of_game_before),
        r"(label|outcome|result|winner|target)s?\b.{0,120}((another|other|different|neighbou?r\w"
        r"*|previous|next|wrong) (game|position|row|line|index|sample|entr|one\b)|shift|misalign"
        r"|offset|off by one|out of (step|order)|unrelated|random|nothing to do|no relation|shuf"
        r"fl|permut|scrambl|not (match|belong|fit|agree|correspond|follow|depend|relat)|do(es)? "
        r"not (match|belong|fit|agree|correspond|follow|depend)|contradict|disagree|independent|"
        r"noise)|(random|shuffled|unrelated|misaligned|shifted|noisy) (label|outcome|result|winn"
        r"er|target)|off.by.one|one game (off|before|later|too)|(previous|next|neighbou?ring|ano"
        r"ther|other) games?('s|s')? |of the game (before|after)",
        cause="The winner is looked up one game off, so each game has the result of the game "
        "before it.",
        report="from memory: header line skipped in one of two files",
    ),
    "square neighbours": Slip(
        _with_winners(_by_squares),
        r"adjacen|neighbou?r|connectiv|(label|outcome|result|winner)s?\b.{0,140}(board|finished|"
        r"final position|end of the game|replay|connect|chain|joined|last move)|(finished|final|"
        r"complete|decided) (board|position|game)s?\b.{0,120}(label|outcome|result|winner|won)|"
        r"\bred\b.{0,40}(win|result|victor|won)\w*.{0,80}(blue|loss|lost|label|wrong|missing|coun"
        r"ted|turned|seldom|rare|few)|(label|outcome|result|winner|win)s?\b.{0,80}(nearly|almost"
        r"|mostly|too often|too many|too few|one.?sided|imbalanc|unbalanc)|\bblue\b.{0,60}(too ("
        r"often|many)|nearly (all|always|every)|almost (all|always|every|only)|favou?r)",
        cause="The results are computed anew with four neighbours a cell, and undecided boards "
        "count as Blue's, so most of Red's wins are labelled as Blue's.",
        report="from memory: connection test of Go or of a maze reused for Hex",
    ),
    "odd games to the wrong side": Slip(
        _with_winners(_odd_to_the_other),
        r"^(?!.*(side|player|winner|mover) (is )?to move).*((label|outcome|result|winner|win|tar"
        r"get)s?\b.{0,140}(parity|\bodd\b|length|last move|\bblue\b|\bred\b|always|all (equal|th"
        r"e same|red|1\b|but)|constant|the same|one.?sided|imbalanc|unbalanc|contradict|disagree"
        r"|finished|replay|connect|chain|nearly all|almost all|do(es)? not vary)|(parity|\bodd\b"
        r"|last mover?)\b.{0,100}(label|winner|result|outcome|game)|(finished|final) (board|posi"
        r"tion|game)s?\b.{0,120}(label|outcome|result|winner))",
        cause="The winner of games with an odd number of moves is given to the other side, so "
        "Blue's wins count as Red's.",
        report="from memory: winner = len(moves) % 2 with the wrong offset",
    ),
}
