"""The check of a policy that wants to play where stones lie already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.policies import log_softmax, uniform_likelihood
from hexsearch.doctor.hypotheses.truth import Flags, Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.board import BLUE, RED

Floats = NDArray[np.float64]
Stones = NDArray[np.int8]
_FEW, _PLIES = 100, 4  # positions that are needed, and stones on each
_SPENT, _TIMES = 0.5, 1.6  # share of the probability on stones, also as times the share of cells
_MASKED = -200.0  # log probability of a masked cell
_NEARLY = 0.02  # share that is next to none
_ALIKE = 1e-6  # difference of logits that are one
_KNOWS = 0.3  # nats above a uniform policy from which on a policy knows the moves
_SAME = 0.5  # share of positions with the same likeliest cell, above which the policy is constant


def check_occupied(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report a policy whose favourite cells are occupied, on boards as played or as encoded."""
    observed, size = needed(pipeline.observed), needed(pipeline.examined).size
    rows = np.flatnonzero((observed.played >= 0) & (observed.evaluation.ply >= _PLIES))
    if len(rows) < _FEW or observed.policy.shape[1] < size * size:
        return
    logits = observed.policy[rows, : size * size].astype(np.float64)
    stones, red = observed.positions.stones[rows], observed.evaluation.ply[rows] % 2 == 1
    if half := _masked_in_part(logits, stones.reshape(len(rows), -1), red):
        yield half
        return
    favourite = logits.argmax(axis=1)
    if np.bincount(favourite).max() > _SAME * len(rows):
        return
    shares = np.exp(log_softmax(logits))
    for boards in (stones, np.where(red[:, None, None], stones.transpose(0, 2, 1), stones)):
        taken = boards.reshape(len(rows), -1) != 0
        spent, usual = float((shares * taken).sum(axis=1).mean()), float(taken.mean())
        if spent < max(_SPENT, _TIMES * usual):
            continue
        chosen = float(taken[np.arange(len(rows)), favourite].mean())
        told = (
            f"on {len(rows):,} positions the policy gives {spent:.0%} to occupied cells, which are "
            f"{usual:.0%} of all, and its likeliest cell is occupied in {chosen:.0%}"
        )
        yield _wants_stones(told, logits, taken, observed.played[rows], size)
        return


def _masked_in_part(logits: Floats, stones: Stones, red: Flags) -> Finding | None:
    """The finding for a mask that leaves out the stones of one side.

    Args:
        logits, stones: [P, N*N].
        red: [P] whether Red is to move.
    """
    masked = log_softmax(logits) < _MASKED
    mover = np.where(red, RED, BLUE)[:, None]
    for names, own in (
        (("of the side to move", "of the other side"), stones == mover),
        (("of Red", "of Blue"), stones == RED),
    ):
        others = (stones != 0) & ~own
        shares = float(masked[own].mean()), float(masked[others].mean())
        if max(shares) < 1 - _NEARLY or min(shares) > _NEARLY:
            continue
        covered, bare = names if shares[0] > shares[1] else names[::-1]
        return Finding.error(
            "policy cells",
            f"on {len(logits):,} positions {max(shares):.0%} of the cells with stones {covered} "
            f"have a probability of 0, and {min(shares):.0%} of those with stones {bare}",
            f"the mask of occupied cells covers the stones {covered} alone: the policy can play "
            f"where stones {bare} lie",
            "mask the cells with stones of either side, as in training",
            root="policy cells",
        )
    return None


def _wants_stones(told: str, logits: Floats, taken: Flags, played: Ints, size: int) -> Finding:
    """The finding for a policy whose favourite cells are occupied.

    Args:
        told: shares of the probability, in words.
        logits, taken: [P, N*N] logits, and whether a cell holds a stone.
        played: [P] cells of the next moves.
    """
    at = np.arange(len(logits))
    if np.ptp(logits[~taken]) < _ALIKE < np.ptp(logits[taken]):
        return Finding.error(
            "policy cells",
            f"{told}; all free cells have one logit, {float(logits[~taken][0]):.3g}",
            "the mask of legal moves is inverted: free cells are masked, and occupied ones not",
            "mask the cells that hold a stone",
            root="shown later",
        )
    negated = log_softmax(-logits)[at, played].mean()
    if negated > uniform_likelihood(size) + _KNOWS:
        return Finding.error(
            "policy cells",
            f"{told}; with the sign of all logits changed the moves played have a mean log "
            f"probability of {negated:.2f}, and {uniform_likelihood(size):.2f} under a uniform "
            "policy",
            "the sign of the policy is wrong: its logits are negated at inference, or its loss "
            "was maximised in training",
            "return the logits as they are, and minimise minus the log probability of the move",
            root="shown later",
        )
    among = log_softmax(np.where(taken, -np.inf, logits))
    moves = among[at, played]
    by_chance = -np.log((~taken).sum(axis=1)).mean()
    if np.isfinite(moves).all() and moves.mean() > by_chance + _KNOWS:
        return Finding.warning(
            "policy cells",
            f"{told}; among free cells the moves played have a mean log probability of "
            f"{moves.mean():.2f}, and {by_chance:.2f} if all are alike",
            "the policy knows the moves among free cells, and was never taught that occupied "
            "cells are none (training masks them): its logits there mean nothing, and no mask "
            "is applied at inference",
            "mask occupied cells at inference as in training",
            root="shown later",
        )
    return Finding.error(
        "policy cells",
        told,
        "the policy wants to play where stones lie: in training the boards held the stone of "
        "the move already (a sample that was stored after its move, or a board that was not "
        "copied, so that all samples of a game hold its last one)",
        "store a copy of the board before the move is made, with the move that is then made",
        root="shown later",
    )
