"""Looks at which positions a user's training shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.catalogue import keys_of
from hexsearch.doctor.own_training.coverage import few_positions, without_ends
from hexsearch.doctor.own_training.rows import Rows
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_MISSED = 0.15  # share of all positions that lie beyond those that are shown
_ROWS = 100  # that tell which positions are shown
_NEIGHBOURS = 6  # rows of a batch whose games are counted
_SMALL = 4  # rows of a batch that are too few for a batch norm
_AGAIN = 0.8  # share of a batch that the one before has shown
_SAME = 0.95  # share of rows that the first batch has shown already
_BROKEN_OFF = 0.7  # share of all positions below which an epoch is broken off
_SORTED = 0.3  # games of a batch, as a share of those that chance would give
_NEAR, _FOLLOW = 3, 0.5  # plies between neighbours in order, and the share that has some
_MOST = 0.97  # share of the rows that must be known to tell that a side is left out
_TELLING = 0.98  # share of rows whose side to move tells the result
_FEW_GAMES = 4  # games of a batch that are many enough, if they are drawn at random


def check_order(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Batches must differ, and show all stages, both sides and many games."""
    own = needed(pipeline.own_training)
    rows = own.rows
    if rows is None:
        return
    yield from _small_batches(own, rows)
    few = few_positions(own, rows, _all_positions(own))
    if few is not None:
        yield few
        return
    found = list(_stages(own, rows)) or list(_repeated(own, rows)) or list(_together(own, rows))
    yield from found


def _small_batches(own: OwnTraining, rows: Rows) -> Iterator[Finding]:
    sizes = np.bincount(rows.batch)
    normed = any(
        isinstance(m, _BatchNorm) for net in own.recording.network.values() for m in net.modules()
    )
    if normed and np.median(sizes) <= _SMALL:
        yield Finding.error(
            "training batches",
            f"the network has batch norms, and gets {int(np.median(sizes))} positions at once",
            "batches are too small for batch norm: its statistics are those of a few positions, so "
            "training and inference differ",
            "use batches of 64 and more, or another norm (group norm, layer norm)",
            root="batches",
        )


def _repeated(own: OwnTraining, rows: Rows) -> Iterator[Finding]:
    keys = np.array([hash(key) for key in keys_of(rows.inputs)])
    # One position is the same one under a symmetry of the augmentation.
    known = rows.found & rows.single
    keys[known] = rows.game[known] * 10_000 + rows.ply[known]
    batches = [keys[rows.batch == number] for number in range(rows.batch.max() + 1)]
    if len(batches) < 4:
        return
    same = np.mean([np.isin(each, batches[0]).mean() for each in batches[1:]])
    if same > _SAME and len(np.unique(keys)) < 0.5 * _held(rows):
        yield Finding.error(
            "training batches",
            f"all {len(batches)} batches hold the same {len(np.unique(keys))} positions",
            "every batch is the same one: the loader is made anew for each step, or its iterator "
            "is never advanced",
            "iterate over the loader, and make it once",
            root="batches",
        )
    elif len(np.unique(keys)) < 0.02 * len(keys):
        yield Finding.error(
            "training batches",
            f"{len(keys):,} rows show {len(np.unique(keys))} different positions",
            "the same few positions are shown again and again: a buffer that is overwritten, or an "
            "index that does not advance",
            "copy each board before it is stored, and draw from all positions",
            root="batches",
        )
    elif (times := _times_in_a_row(batches) // _looks(own)) > 1:
        yield Finding.error(
            "training batches",
            f"in {len(own.recording.steps)} steps each batch comes {times} times in a row",
            f"each batch is trained on {times} times, one after the other, before the next one: "
            "the loop over epochs stands inside the loop over batches, so that the network fits "
            "one batch after the other",
            "put the loop over batches inside the loop over epochs",
            root="batches",
        )
    elif period := _period(batches):
        shown, whole = len(np.unique(np.concatenate(batches[:period]))), _all_positions(own)
        if shown < _BROKEN_OFF * whole:
            yield Finding.warning(
                "training batches",
                f"after {period} batches the same ones come again, in the same order; they hold "
                f"{shown:,} of {whole:,} positions of the games",
                "each epoch is broken off at the same place, and positions are not shuffled "
                "between epochs: the same part of them is shown again and again, and the rest "
                "never (unless a few positions of each game are chosen on purpose)",
                "shuffle before each epoch (shuffle=True), or go through the whole loader",
                root="batches",
            )


def _looks(own: OwnTraining) -> int:
    """Passes of one step, which may look at a batch twice (to log, or at other weights)."""
    return max(int(np.median([len(step.passes) for step in own.recording.steps] or [1])), 1)


def _times_in_a_row(batches: list[NDArray[np.int64]]) -> int:
    """How many times each batch comes in a row; 1 if it does not come again at once."""
    # Positions of several games, which are not told apart, may be turned in between.
    same = [float(np.isin(one, other).mean()) > _AGAIN for one, other in pairwise(batches)]
    runs = np.diff(np.flatnonzero([True, *(not each for each in same), True]))
    times = int(np.median(runs[:-1])) if len(runs) > 2 else 1
    return times if (runs[:-1] == times).mean() > _SAME else 1


def _period(batches: list[NDArray[np.int64]]) -> int:
    """After how many batches the first ones come again; 0 if they do not."""
    for period in range(1, len(batches) - 1):
        pairs = zip(batches[period:], batches, strict=False)
        if all(np.array_equal(one, other) for one, other in pairs):
            return period
    return 0


def _all_positions(own: OwnTraining) -> int:
    """Positions of the games, of which each is counted once."""
    going = ~own.catalogues[0].truth.finished
    return len({*keys_of(own.catalogues[0].inputs[torch.from_numpy(going)])})


def _held(rows: Rows) -> int:
    """A number of positions that games of training certainly hold."""
    return max(int(rows.ply.max()) * 8, 2 * _ROWS)


def _stages(own: OwnTraining, rows: Rows) -> Iterator[Finding]:
    chosen = rows.found
    if chosen.sum() < _ROWS:
        return
    truth = own.catalogues[0].truth
    length = truth.archive.lengths_of(rows.game[chosen])
    told = f"of {int(chosen.sum()):,} rows whose position is known"
    last = float((rows.ply[chosen] >= length - 1).mean())
    red = float((rows.to_move(chosen) == 1).mean())
    ply = rows.ply[chosen]
    after, before = float((truth.ply > ply.max()).mean()), float((truth.ply < ply.min()).mean())
    unseen = ""
    if last > 0.9:
        unseen = "only the last positions of the games are shown, which are won already"
    elif cut := without_ends(rows, length, truth.archive.lengths_of(truth.game) - truth.ply):
        unseen = cut
    elif after > _MISSED:
        unseen = f"only openings are shown: nothing after ply {ply.max()} ({after:.0%})"
    elif before > _MISSED:
        unseen = f"only late positions are shown: nothing before ply {ply.min()} ({before:.0%})"
    if unseen:
        # A curriculum that goes back from the endings may not have come to the openings yet.
        is_early = unseen.startswith("only late") and own.recording.ended
        severity = Finding.warning if is_early else Finding.error
        yield severity(
            "training positions",
            f"{told} plies are {int(ply.min())} to {int(ply.max())} of "
            f"games of {int(length.min())} to {int(length.max())} moves",
            f"a part of each game is left out: {unseen}"
            + (", unless later steps do (a curriculum)" if is_early else ""),
            "draw positions of all plies",
            root="stages",
        )
    elif only := _one_winner(own, rows):
        yield Finding.error(
            "training positions",
            f"all games whose positions are shown were won by {only}, of games of both",
            f"only games that {only} won are trained on: a filter leaves out the others, so the "
            "value is constant",
            "train on all games, whoever won",
            root="one side",
        )
    elif owner := _winners_moves(own, rows):
        yield Finding.error(
            "training positions",
            f"in {told[3:]} it is {owner} who is to move, in {_TELLING:.0%} of them and more",
            f"only positions with {owner} of the game to move are shown (moves of one side are "
            "filtered): the side to move gives the result away, so the value learns it alone",
            "train the value on the positions of both sides; filter moves for the policy loss",
            root="one side",
        )
    elif not 0.05 < red < 0.95 and rows.found.mean() > _MOST and _tells_sides(own):
        side = "Red" if red > 0.5 else "Blue"
        yield Finding.error(
            "training positions",
            f"{told} {side} is to move in {max(red, 1 - red):.0%}",
            f"only positions with {side} to move are shown: those of the other side are left out",
            "draw positions of both sides",
            root="one side",
        )


def _winners_moves(own: OwnTraining, rows: Rows) -> str:
    """Whose turn it always is: the winner's or the loser's; empty if it is anybody's."""
    chosen = rows.found & rows.single
    if chosen.sum() < _ROWS or own.foreign.for_mover:
        return ""
    truth = rows.truth(chosen, own.catalogues[0])
    wins = truth.outcome(rows.symmetry[chosen], "board") == (rows.to_move(chosen) == 1)
    if not 0.1 < float((rows.to_move(chosen) == 1).mean()) < 0.9:
        return ""
    if wins.mean() > _TELLING:
        return "the winner"
    return "the loser" if 1 - wins.mean() > _TELLING else ""


def _tells_sides(own: OwnTraining) -> bool:
    """Whether a position and its reflection with exchanged colours have different planes.

    Scripts that show each position as that of one side do not tell who is to move.
    """
    reflected = own.changed(lambda boards, told: (-boards.transpose(0, 2, 1), -told)).inputs
    return not torch.equal(reflected, own.catalogues[0].inputs)


def _one_winner(own: OwnTraining, rows: Rows) -> str:
    """The colour that won all games that are shown, where both have won; empty if none did."""
    archive = own.catalogues[0].truth.archive
    games = rows.game[rows.found & rows.single]
    shown = archive.winners[games]
    if (
        len(shown) < _ROWS
        or len(np.unique(games)) < 2 * _FEW_GAMES
        or len(np.unique(archive.winners[own.games])) < 2
    ):
        return ""
    return "" if len(np.unique(shown)) > 1 else "Red" if shown[0] > 0 else "Blue"


def _together(own: OwnTraining, rows: Rows) -> Iterator[Finding]:
    """Report batches of neighbouring positions."""
    chosen = np.flatnonzero(rows.found & rows.single)
    total = len(own.games)
    shares, counts = [], []
    for number in np.unique(rows.batch[chosen]):
        games = rows.game[chosen[rows.batch[chosen] == number]]
        if len(games) >= _NEIGHBOURS:
            chance = total * (1 - (1 - 1 / total) ** len(games))
            counts.append(len(np.unique(games)))
            shares.append(counts[-1] / chance)
    few = len(shares) >= 3 and np.median(shares) < _SORTED
    if few and (np.median(counts) < _FEW_GAMES or np.median(shares) < _SORTED / 2):
        batch = int(np.median(np.bincount(rows.batch)))
        evidence = (
            f"batches of {batch} positions hold {np.median(shares):.0%} of the games that chance "
            "would give"
        )
        if (following := _in_order(rows)) < _FOLLOW:
            yield Finding.error(
                "training batches",
                f"{evidence}, and {following:.0%} of their rows are followed by the next "
                "position of the game",
                "positions are drawn at random from a few games only: a buffer (of replay, or of "
                "a shuffle) that holds too few positions, so that each batch shows the latest "
                "games and few results",
                "let the buffer hold the positions of hundreds of games (its size may be counted "
                "in positions, not in games), or shuffle all positions",
                root="batches",
            )
            return
        yield Finding.error(
            "training batches",
            evidence,
            "positions are not shuffled: each batch holds the positions of one or a few games in "
            "their order, which all have one result",
            "shuffle positions of all games before each epoch (shuffle=True)",
            root="batches",
        )


def _in_order(rows: Rows) -> float:
    """Share of the rows whose neighbour in the batch is a neighbour in the game, too."""
    known = rows.found & rows.single
    pairs = known[1:] & known[:-1] & (rows.batch[1:] == rows.batch[:-1])
    near = (rows.game[1:] == rows.game[:-1]) & (np.abs(np.diff(rows.ply)) <= _NEAR)
    return float(near[pairs].mean()) if pairs.any() else 1.0
