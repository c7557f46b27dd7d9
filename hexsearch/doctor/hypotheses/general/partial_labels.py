"""Explains labels that follow another rule in one part of the positions only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.labels import affected, random_share
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Ints, Truth
from hexsearch.doctor.samples import TrainingSamples
from hexsearch.game.board import RED

Floats = NDArray[np.float32]
_NEARLY_ALL, _SAME = 0.99, 1e-3
_FEW = 20  # wrong labels that are needed
_ALL, _NEAR_HALF = 0.97, 0.08  # share of labels that a rule gives; share of wrong ones by chance


def partial_rule(samples: TrainingSamples, truth: Truth, symmetry: Ints, wrong: Flags) -> str:
    """In words, the rule of the labels in the part that holds all wrong ones; "" if unknown.

    Args:
        symmetry: [B] symmetry under which each position is encoded.
        wrong: [B] whether the label is not that of the game.
    """
    target, perspective = samples.target, samples.perspective
    if wrong.sum() < _FEW:
        return ""
    parts = {"": np.ones(len(wrong), dtype=bool), **affected(truth, symmetry)}
    holding = {name: part for name, part in parts.items() if part[wrong].mean() > _NEARLY_ALL}
    name, part = min(holding.items(), key=lambda each: int(each[1].sum()))
    right = truth.outcome(symmetry, perspective).astype(np.float32)
    if np.abs(target - (1 - right))[part].mean() < 1 - _NEARLY_ALL:
        return ""  # inverted in the whole part
    for cause, expected in _rules(truth, symmetry, perspective, samples.batch_size):
        if (np.abs(target - expected)[part] < 1e-3).mean() > _NEARLY_ALL:
            return f"{cause}, {name}" if name else cause
    return ""


def _rules(
    truth: Truth, symmetry: Ints, perspective: str, size: int
) -> Iterator[tuple[str, Floats]]:
    """Causes, and the labels that they give."""

    def of(winners: Flags, shown: Ints = symmetry) -> Floats:
        change = truth.outcome(shown, perspective) ^ truth.red_won
        label: Floats = (winners ^ change).astype(np.float32)
        return label

    for shift in (1, -1, 2, -2):
        other = truth.moved(games=shift).red_won
        which = f"{abs(shift)} places {'later' if shift > 0 else 'earlier'}"
        which = {1: "the next game", -1: "the previous game"}.get(shift, f"the game {which}")
        yield f"the label is that of {which} in the archive", of(other)
    sides = truth.red_to_move.astype(np.int64) * 2
    if perspective == "mover":
        yield (
            "the label is that of the side that would be to move (by the parity of the ply), not "
            "of the side from which the board is shown, so it is inverted where the two differ",
            of(truth.red_won, sides),
        )
    yield (
        "the label is the side that would be to move (by the parity of the ply)",
        of(truth.red_to_move),
    )
    yield (
        "the label is the side that has just moved (by the parity of the ply)",
        of(~truth.red_to_move),
    )
    starts = range(0, len(truth.game), size)
    each = np.concatenate([np.sort(truth.game[start : start + size]) for start in starts])
    for order in (each, np.sort(truth.game)):
        yield (
            "the results of a batch are in the order of its sorted games, and its positions are "
            "not: labels are those of other rows",
            of(truth.archive.winners[order] == RED),
        )


def other_smoothing(samples: TrainingSamples, truth: Truth, symmetry: Ints, wrong: Flags) -> str:
    """In words, how the curriculum's smoothing is applied in another way; empty if it is not.

    A target t of a position with smoothing s is compared as (t - s / 2) / (1 - s).
    """
    share = samples.batch.smoothing.numpy().astype(np.float64)
    if not share.any() or (share == 0)[wrong].any():
        return ""
    outcome = truth.outcome(symmetry, samples.perspective).astype(np.float64)
    forms = {
        "labels are moved towards 0 and not towards 0.5": outcome * (1 - share),
        "labels are moved towards 1 and not towards 0.5": outcome * (1 - share) + share,
        "labels are not smoothed at all": outcome,
        "labels are smoothed twice": 0.5 + (outcome - 0.5) * (1 - share) ** 2,
        "labels are moved by half of the share": 0.5 + (outcome - 0.5) * (1 - share / 2),
        "the share is that which is kept, and not that which is moved": 0.5
        + (outcome - 0.5) * share,
    }
    for words, target in forms.items():
        told = (target - 0.5 * share) / np.maximum(1 - share, 1e-9)
        if (np.abs(told - samples.target) < _SAME)[wrong].mean() > _NEARLY_ALL:
            return f"the curriculum's stage_smoothing is applied wrongly: {words}"
    return ""


def of_other_games(train_games: Ints, truth: Truth, wrong: Flags) -> str:
    """In words, whose results games have that are wrong in all of their positions.

    Args:
        train_games: numbers of the training games in the archive.
        truth, wrong: [B] positions, and whether the label of each is wrong.
    """
    winners = truth.archive.winners == RED
    place = np.searchsorted(train_games, truth.game)
    for words, index in (
        ("the number of each game among the training games", place),
        ("that number from the end on", len(train_games) - 1 - place),
    ):
        if (winners[index] == (truth.red_won ^ wrong)).mean() > _ALL:
            return (
                f"labels are those of other games: the winner is looked up by {words} in the list "
                "of all games (an index of one list is used in another)"
            )
    if abs(float(wrong.mean()) - 0.5) < _NEAR_HALF:
        return (
            "labels have nothing to do with the winner, and agree within each game: each game has "
            "the result of another one (an index into another list), or one drawn at random"
        )
    return f"labels are inverted in whole games, in {random_share(wrong)} of the positions"
