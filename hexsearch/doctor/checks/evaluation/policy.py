"""Computes the policy loss of an evaluation again, and finds out what a wrong one is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.hypotheses.truth import Ints, Truth

_CLOSE = 2e-4  # relative difference of equal losses
_OFF = 2e-3  # relative difference that is reported
_BATCH_SIZES = (8, 16, 20, 24, 25, 32, 48, 50, 64, 100, 128, 256, 500, 512, 1000, 1024, 2048)
_FAR = (20.0, 1e4, 1e9)  # numbers that a mask may subtract from logits
_FACTORS = {
    "in bits, not in nats (1 / ln 2 times as large)": 1 / math.log(2),
    "a logarithm to base 10 (1 / ln 10 times as large)": 1 / math.log(10),
}


def policy_findings(
    logits: Tensor, here: Truth, reported: float, places: Ints
) -> Iterator[Finding]:
    """Recompute the policy loss of an evaluation from the same moves.

    Args:
        logits: [P, N*N] policy logits on the boards as played.
        here: the positions, which all have a next move.
        reported: the policy loss of the evaluation.
        places: [P] their places among all evaluated positions.
    """
    log_p = logits.float().log_softmax(dim=1).double().numpy()
    right = _mean(log_p, here.next_cell)
    if abs(right - reported) <= _OFF * max(right, 1.0):
        return
    others = [*_others(log_p, logits, here), *_by_batch(log_p, here, places)]
    found = next((words for words, loss in others if _equal(loss, reported)), "")
    yield Finding.error(
        "evaluation",
        f"evaluation reports a policy loss of {reported:.4f}; recomputed for the same network "
        f"and the same {len(log_p):,} moves it is {right:.4f}, of which the reported one is "
        f"{reported / right:.4f} times",
        f"the policy loss of evaluation is {found}"
        if found
        else "evaluation computes the policy loss by another formula or with other targets (cells "
        "under another symmetry), or includes positions without a next move",
        "take the mean of -log p(next move) over the positions that have a next move",
        root="policy cells",
    )


def _others(log_p: NDArray[np.float64], logits: Tensor, here: Truth) -> Iterator[tuple[str, float]]:
    """Other policy losses of the same answers, by what they are."""
    right = _mean(log_p, here.next_cell)
    for words, factor in _FACTORS.items():
        yield words, factor * right
    for name, cells in moved_cells(here.next_cell, here.size).items():
        yield f"that of other cells: moves are {name}, and the policy is not", _mean(log_p, cells)
    for symmetry in (1, 2, 3):
        words = "that of other cells: boards or moves are turned or reflected, not both"
        yield words, _mean(log_p, here.next_cells(symmetry))
    for plies in (1, -1, 2, -2):
        other = here.moved(plies=plies)
        usable = other.has_move
        words = f"that of the move {abs(plies)} ply(s) {'later' if plies > 0 else 'earlier'}"
        yield words, _mean(log_p[usable], other.next_cell[usable])
    yield "a sum over the moves, not their mean", right * len(log_p)
    games = np.unique(here.game)
    by_game = [_mean(log_p[here.game == g], here.next_cell[here.game == g]) for g in games]
    yield "a mean over games, each of which counts once", float(np.mean(by_game))
    over = len(log_p) / (len(log_p) + len(games))
    yield "divided by all positions, also those without a next move", right * over
    yield "the logarithm of a uniform policy", math.log(log_p.shape[1])
    yield from _masked(logits.double().numpy(), here)
    own = logits.float().softmax(dim=1).double().numpy()
    yield "the mean of 1 - p(next move)", 1 + _mean(own, here.next_cell)
    yield (
        "the share of moves that are not the likeliest",
        float((log_p.argmax(axis=1) != here.next_cell).mean()),
    )


def _by_batch(log_p: NDArray[np.float64], here: Truth, places: Ints) -> Iterator[tuple[str, float]]:
    """Plain means over batches of some size."""
    for size in _BATCH_SIZES:
        batches = places // size
        means = [_mean(log_p[batches == b], here.next_cell[batches == b]) for b in set(batches)]
        if len(means) > 1:
            yield (
                f"the plain mean over its batches (of {size}), not over the moves: batches with "
                "few moves, such as the last one, count as much as the others",
                float(np.mean(means)),
            )


def _masked(logits: NDArray[np.float64], here: Truth) -> Iterator[tuple[str, float]]:
    """Policy losses with a mask of legal moves, right or wrong."""
    taken = (here.boards != 0).reshape(len(logits), -1)
    cells = np.arange(taken.shape[1], dtype=np.int64)
    masks = {
        "that of a softmax over free cells only (a legal-move mask)": taken,
        "masked the wrong way round: free cells are masked, and occupied ones are not": ~taken,
    }
    for how, moved in moved_cells(cells, here.size).items():
        masks[f"masked by a mask of legal moves that is {how}"] = taken[:, moved]
    for words, hidden in masks.items():
        for far in _FAR:
            masked = torch.from_numpy(np.where(hidden, logits - far, logits))
            yield words, _mean(masked.log_softmax(dim=1).numpy(), here.next_cell)


def _mean(log_p: NDArray[np.float64], cells: Ints) -> float:
    if not len(cells):
        return math.nan
    return -float(log_p[np.arange(len(log_p)), cells].mean())


def _equal(one: float, other: float) -> bool:
    return abs(one - other) < _CLOSE * max(abs(other), 0.1)
