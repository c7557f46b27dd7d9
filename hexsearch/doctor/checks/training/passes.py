"""Checks of the whole stream: repeated calls, later batches, and the second pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from hexsearch.data.batches import Batch
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.truth import Flags, inside_ring, same, truth_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_LATER = 3  # later batches of the first pass that are looked at, and one of the second pass


def check_stream(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A cursor must always give one batch, passes must differ in order, late batches be right."""
    trial, stream = needed(pipeline.watched), needed(pipeline.stream)
    size, total = trial.config.batch_size, len(stream.positions)
    first = trial.stream.batch(0, size)
    between = trial.stream.batch(size, size)
    again = trial.stream.batch(0, size)
    if not _same_positions(first, again) or not torch.equal(first.planes, again.planes):
        yield Finding.error(
            "stream",
            f"two calls for the first {size} positions give different positions, or encode them "
            "differently",
            _kept_from_before(pipeline, first, between, again)
            or "batches are drawn at random without the seed, or state is kept from one call to "
            "the next: a resumed or repeated training gets other data",
            "make a batch depend on (seed, cursor) only",
            root="stream",
        )
        return
    if len(stream.positions.phases) <= 1 and total > 4 * size:
        second = trial.stream.batch(total, size)
        if _same_positions(first, second):
            yield Finding.error(
                "stream",
                f"the second pass through {total:,} positions begins with the same {size} "
                "positions as the first pass, in the same order",
                "every pass (epoch) has the same order: positions are not shuffled again",
                "add the number of the pass to the seed of the order",
                root="stream",
            )
            return
    yield from _later(pipeline, total, size)


def _kept_from_before(
    pipeline: ExaminedPipeline, first: Batch, between: Batch, again: Batch
) -> str:
    """In words, which rows hold the boards of the call before; empty if none do."""
    if first.planes.shape != between.planes.shape or not _same_positions(first, again):
        return ""
    changed = (first.planes != again.planes).flatten(1).any(dim=1).numpy()
    if _wrong(pipeline, replace(between, planes=again.planes))[changed].any():
        return ""
    rows = region(changed, {"row in the batch": np.arange(len(changed))}) or f"{changed.mean():.0%}"
    return (
        f"planes are left over from the batch before ({rows}): a buffer of planes is used again "
        "and not filled to its end, so these boards do not belong to their labels and moves"
    )


def _same_positions(one: Batch, other: Batch) -> bool:
    return torch.equal(one.game, other.game) and torch.equal(one.ply, other.ply)


def _later(pipeline: ExaminedPipeline, total: int, size: int) -> Iterator[Finding]:
    """Check boards and labels of later batches, if those of the first ones are right."""
    trial, samples = needed(pipeline.watched), needed(pipeline.samples)
    seen = len(samples.batch)
    if total < 2 * seen or _wrong(pipeline, samples.batch).any():
        return
    for number in range(_LATER + 1):
        cursor = (seen + (total - seen) * (number + 1) // (_LATER + 1)) // size * size
        cursor = cursor if number < _LATER else total + size
        wrong = _wrong(pipeline, trial.stream.batch(cursor, size))
        if wrong.any():
            yield Finding.error(
                "stream",
                f"{wrong.mean():.0%} of the {size} positions at cursor {cursor:,} have a board or "
                f"a label that is not the game's; of the first {seen:,} positions none has",
                "batches go wrong later in training: "
                + (
                    "from the second pass on (an index is not taken modulo, or a cache is stale)"
                    if number == _LATER
                    else "a buffer is reused, or an index runs past its end"
                ),
                f"compare the batch at cursor {cursor} with its games, and look for state between "
                "calls",
                root="stream",
            )
            return


def _wrong(pipeline: ExaminedPipeline, batch: Batch) -> Flags:
    """[B] whether no symmetry gives both the board and the label of a position."""
    archive, config = needed(pipeline.archive), needed(pipeline.config)
    truth = truth_of(archive, batch.game.numpy(), batch.ply.numpy())
    stones = inside_ring(batch.planes.float().numpy(), truth.size)[:, :2]
    perspective = config.encoder.perspective
    label = batch.outcome.numpy() > 0.5
    right = np.zeros(len(label), dtype=bool)
    for symmetry in range(4):
        fits = same(stones, truth.stone_planes(symmetry))
        right |= fits & (truth.outcome(symmetry, perspective) == label)
    wrong: Flags = ~right
    return wrong
