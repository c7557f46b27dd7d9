"""The check of a policy that wants to play where stones lie already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.policies import log_softmax
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_FEW, _PLIES = 100, 4  # positions that are needed, and stones on each
_SPENT, _TIMES = 0.5, 1.6  # share of the probability on stones, also as times the share of cells
_SAME = 0.5  # share of positions with the same likeliest cell, above which the policy is constant


def check_occupied(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report a policy whose favourite cells are occupied, on boards as played or as encoded."""
    observed, size = needed(pipeline.observed), needed(pipeline.examined).size
    rows = np.flatnonzero((observed.played >= 0) & (observed.evaluation.ply >= _PLIES))
    if len(rows) < _FEW or observed.policy.shape[1] < size * size:
        return
    logits = observed.policy[rows, : size * size].astype(np.float64)
    favourite = logits.argmax(axis=1)
    if np.bincount(favourite).max() > _SAME * len(rows):
        return
    shares = np.exp(log_softmax(logits))
    stones, red = observed.positions.stones[rows], observed.evaluation.ply[rows] % 2 == 1
    for boards in (stones, np.where(red[:, None, None], stones.transpose(0, 2, 1), stones)):
        taken = boards.reshape(len(rows), -1) != 0
        spent, usual = float((shares * taken).sum(axis=1).mean()), float(taken.mean())
        if spent < max(_SPENT, _TIMES * usual):
            continue
        chosen = float(taken[np.arange(len(rows)), favourite].mean())
        yield Finding.error(
            "policy cells",
            f"on {len(rows):,} positions the policy gives {spent:.0%} to occupied cells, which are "
            f"{usual:.0%} of all, and its likeliest cell is occupied in {chosen:.0%}",
            "the policy wants to play where stones lie: in training the boards held the stone of "
            "the move already (a sample that was stored after its move, or a board that was not "
            "copied, so that all samples of a game hold its last one)",
            "store a copy of the board before the move is made, with the move that is then made",
            root="shown later",
        )
        return
