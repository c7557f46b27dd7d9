"""Checks of the stream as a whole: the same batch when asked again, later batches, other passes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.data.batches import Batch
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Flags, same, stone_planes_of, truth_of
from hexsearch.doctor.pipeline import ExaminedPipeline

_LATER = 3  # places of the first pass, and one of the second, that are looked at again


def check_stream(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """What a cursor gives, now and again, near and far."""
    trial, stream = pipeline.watched, pipeline.stream
    assert trial is not None and stream is not None and pipeline.shown is not None
    size, total = trial.config.batch_size, len(stream.positions)
    first, again = trial.stream.batch(0, size), trial.stream.batch(0, size)
    if not torch.equal(_key(first), _key(again)) or not torch.equal(first.planes, again.planes):
        yield Finding(
            "stream",
            "error",
            f"asked twice for the first {size} positions, training is given other ones, or the "
            "same ones shown in another way",
            "batches are drawn at random without the seed, or something is kept from one call to "
            "the next: a resumed or repeated training sees other data",
            "let a batch depend on (seed, cursor) alone",
            root="stream",
        )
        return
    if len(stream.positions.phases) <= 1 and total > 4 * size:
        second = trial.stream.batch(total, size)
        if torch.equal(_key(first), _key(second)):
            yield Finding(
                "stream",
                "error",
                f"the second pass through {total:,} positions begins with the same {size} as the "
                "first, in the same order",
                "every pass (epoch) shows the positions in the same order: they are not shuffled "
                "anew",
                "let the number of the pass enter the seed of the order",
                root="stream",
            )
            return
    yield from _later(pipeline, total, size)


def _key(batch: Batch) -> torch.Tensor:
    return batch.game.long() * 4096 + batch.ply.long()


def _later(pipeline: ExaminedPipeline, total: int, size: int) -> Iterator[Finding]:
    """Boards and labels of later batches, where those of the first ones are right."""
    trial, archive = pipeline.watched, pipeline.archive
    assert trial is not None and archive is not None and pipeline.shown is not None
    seen = len(pipeline.shown.batch)
    if total < 2 * seen or _wrong(pipeline, pipeline.shown.batch).mean() > 0.0:
        return
    for number in range(_LATER + 1):
        cursor = (seen + (total - seen) * (number + 1) // (_LATER + 1)) // size * size
        cursor = cursor if number < _LATER else total + size
        wrong = _wrong(pipeline, trial.stream.batch(cursor, size))
        if wrong.mean() > 0.0:
            yield Finding(
                "stream",
                "error",
                f"of the {size} positions after {cursor:,} ones {wrong.mean():.0%} show a board or "
                f"a label that is not the game's; of the first {seen:,} none does",
                "batches go wrong later in training: "
                + (
                    "from the second pass on (an index that is not taken modulo, a stale cache)"
                    if number == _LATER
                    else "a buffer is reused, or an index runs past its end"
                ),
                "compare a late batch with its games",
                root="stream",
            )
            return


def _wrong(pipeline: ExaminedPipeline, batch: Batch) -> Flags:
    """[B] whether no symmetry gives both the board and the label of a sample."""
    assert pipeline.archive is not None and pipeline.config is not None
    truth = truth_of(pipeline.archive, batch.game.numpy(), batch.ply.numpy())
    stones = stone_planes_of(batch.planes.float().numpy(), truth.size)
    perspective = pipeline.config.encoder.perspective
    label = batch.outcome.numpy() > 0.5
    right = np.zeros(len(label), dtype=bool)
    for symmetry in range(4):
        fits = same(stones, truth.stone_planes(symmetry))
        right |= fits & (truth.outcome(symmetry, perspective) == label)
    wrong: Flags = ~right
    return wrong
