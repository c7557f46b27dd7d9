"""Checks of policy answers: which reading of the cells agrees best with the moves played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.policies import (
    PROBABILITIES,
    policy_scores,
    uniform_likelihood,
)
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline

_FEW = 100  # boards that are needed
_SAME = 0.8  # share of boards with one favourite cell


def check_policy_cells(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Of a trained network that has learnt moves at all."""
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    if pipeline.loaded is not None and pipeline.loaded.config.policy_head.weight == 0:
        return
    constant = list(constant_policy(observed, examined.size))
    yield from constant
    if constant:
        return
    shown_for_mover = pipeline.foreign is not None and pipeline.foreign.for_mover
    for finding in policy_findings("policy cells", observed, examined.size):
        if shown_for_mover and "where Red is to move" in finding.cause:
            yield replace(
                finding,
                severity="info",
                cause="the policy belongs to the board as the mover is shown it, reflected for "
                "Red, as is usual where the value belongs to the side to move",
                remedy="carry the policy back to the real board wherever moves are played from it",
            )
        else:
            yield finding


def constant_policy(observed: Observed, size: int) -> Iterator[Finding]:
    """A policy that prefers one cell everywhere, or cells that are taken."""
    moving = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[moving]
    if len(moving) < _FEW or logits.shape[1] < size * size:
        return
    favourite = logits[:, : size * size].argmax(axis=1)
    cell = int(np.bincount(favourite).argmax())
    share = float((favourite == cell).mean())
    stones = observed.positions.stones.reshape(len(observed.played), -1)[moving]
    taken = float((stones[np.arange(len(moving)), favourite] != 0).mean())
    played = float((observed.played[moving] == cell).mean())
    if share > _SAME and played < share / 2:
        yield Finding(
            "policy cells",
            "error",
            f"cell {cell} is the likeliest move on {share:.0%} of {len(moving):,} boards, and the "
            f"likeliest cell is occupied on {taken:.0%}; it was played on {played:.0%}",
            f"the policy always prefers the same cell ({cell}): it was taught a constant target, "
            "as where the move is lost and cell 0 stands for it",
            "look at how next moves become policy targets",
            root="policy cells",
        )


def policy_findings(check: str, observed: Observed, size: int) -> Iterator[Finding]:
    """The reading under which the moves played are clearly likelier, if there is one."""
    scores = policy_scores(observed, size)
    if len(scores) < 2:
        return
    uniform = uniform_likelihood(size)
    best = max(scores[1:], key=lambda score: score.gain)
    learnt = best.likelihood > uniform + 0.1
    if best.gain > max(0.05, 4 * best.noise) and learnt:
        kind = "the policy's cells are numbered in another way than the board's"
        if best.name == PROBABILITIES:
            kind = "a softmax is applied twice to the policy"
        elif "the move" in best.name:
            kind = "the policy belongs to another ply"
        yield Finding(
            check,
            "error",
            f"moves that were played have a mean log probability of {best.likelihood:.2f} if the "
            f"policy is read {best.name}, {scores[0].likelihood:.2f} as it is ({uniform:.2f} if "
            "drawn at random)",
            f"{kind}: it has to be read {best.name}",
            "use row * N + column for planes and policy alike, under one symmetry",
            root="policy cells",
        )
