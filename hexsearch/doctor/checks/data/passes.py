"""Checks of the whole stream: repeated calls, later batches, and the second pass."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.data.columns import check_columns, check_finished
from hexsearch.doctor.checks.data.cursors import piece_findings, same_positions
from hexsearch.doctor.checks.data.labels import check_labels, check_targets
from hexsearch.doctor.checks.data.positions import check_boards
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.truth import Flags, inside_ring, same, truth_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import joined_samples, position_keys

_FEW, _PASS, _USUAL = 64, 20_000, 0.8  # positions, of one pass, and share that comes again
_LATER = 3  # later batches of the first pass that are looked at, and one of the second pass


def check_stream(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A cursor must always give one batch, passes must differ in order, late batches be right."""
    trial, stream = needed(pipeline.watched), needed(pipeline.stream)
    size, total = trial.config.batch_size, len(stream.positions)
    first = trial.stream.batch(0, size)
    between = trial.stream.batch(size, size)
    again = trial.stream.batch(0, size)
    if not same_positions(first, again) or not torch.equal(first.planes, again.planes):
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
    pieces = list(piece_findings(trial))
    if pieces and not any(True for _ in _of_samples(pipeline)):  # else it is told already
        yield from pieces
        return
    if len(stream.positions.phases) <= 1 and total > 4 * size:
        second = trial.stream.batch(total, size)
        if same_positions(first, second):
            yield Finding.error(
                "stream",
                f"the second pass through {total:,} positions begins with the same {size} "
                "positions as the first pass, in the same order",
                "every pass (epoch) has the same order: positions are not shuffled again",
                "add the number of the pass to the seed of the order",
                root="stream",
            )
            return
    yield from _same_plies(pipeline)
    yield from _later(pipeline, total, size)


def _same_plies(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report ranges of which each pass draws a part, and always the same part."""
    stream = needed(pipeline.stream)
    for positions in stream.positions.phase_at(0).sets:
        slots = positions.slots
        if slots is None or len(positions) < _FEW:
            continue
        index = np.arange(min(len(positions), _PASS), dtype=np.int64)
        first, second = (positions.at(index, np.full_like(index, n), stream.seed) for n in (0, 1))
        if len(positions) <= _PASS:  # as they are drawn
            first, second = (
                positions.draw_plain(stream.seed, n, len(index)) for n in (0, len(index))
            )
        same = len(np.intersect1d(position_keys(*first), position_keys(*second))) / len(index)
        usual = float((slots.astype(float) ** 2 / positions.counts).sum() / slots.sum())
        if same > 0.99 and usual < _USUAL:
            yield Finding.error(
                "stream",
                f"the second pass draws {same:.0%} of the positions of the first pass again; where "
                f"each pass draws a part of the plies of each game, it should be {usual:.0%}",
                "every pass draws the same plies of each game (the number of the pass does not "
                "enter the draw), so most positions are never trained on",
                "draw the plies of a game by seed, game and number of the pass",
                root="stream",
            )
            return


def _kept_from_before(
    pipeline: ExaminedPipeline, first: Batch, between: Batch, again: Batch
) -> str:
    """In words, which rows hold the boards of the call before; empty if none do."""
    if first.planes.shape != between.planes.shape or not same_positions(first, again):
        return ""
    if (again.planes >= first.planes).all():
        more = float((again.planes > first.planes).float().sum() / len(first))
        return (
            "planes are not cleared before a batch is encoded: stones of the batches before stay "
            f"on the boards ({more:.1f} more on each board after one more batch)"
        )
    changed = (first.planes != again.planes).flatten(1).any(dim=1).numpy()
    rows = region(changed, {"row in the batch": np.arange(len(changed))}) or f"{changed.mean():.0%}"
    of_stones = (first.planes[:, :2] != again.planes[:, :2]).flatten(1).any(dim=1).numpy()
    both = (_is_covered(pipeline, each)[changed].all() for each in (first, again))
    if of_stones[changed].all() and all(both):
        return (
            f"stones of other boards stay on the planes ({rows}), beside the right ones:"
            " a buffer of planes is used again without being cleared, so what a "
            "batch shows depends on the calls before"
        )
    if _wrong(pipeline, replace(between, planes=again.planes))[changed].any():
        return ""
    return (
        f"planes are left over from the batch before ({rows}): a buffer of planes is used again "
        "and not filled to its end, so these boards do not belong to their labels and moves"
    )


def _later(pipeline: ExaminedPipeline, total: int, size: int) -> Iterator[Finding]:
    """Compare later batches with the games as the first ones, and report what is wrong there only.

    The checks of single samples are those of the first batches.
    """
    trial, seen = needed(pipeline.watched), len(needed(pipeline.samples).batch)
    first = [
        (seen + (total - seen) * (number + 1) // (_LATER + 1)) // size * size
        for number in range(_LATER if total >= 2 * seen else 0)
    ]
    for cursor in (*first, total + size):
        batch = trial.stream.batch(cursor, size)
        wrong = list(_of_samples(_at(pipeline, batch)))
        if not wrong:
            continue
        known = {finding.check for finding in _of_samples(pipeline)}
        wrong = [finding for finding in wrong if finding.check not in known]
        when = (
            "in the second pass over the positions, and not in the first"
            if cursor > total
            else f"from some batch before position {cursor:,} on, and not at first"
        )
        for finding in wrong[:1]:
            yield Finding.error(
                "stream",
                f"at cursor {cursor:,} {finding.evidence}; of the first {seen:,} positions all "
                "are right",
                f"batches go wrong later in training, {when}: {finding.cause} (an array is changed "
                "in place, a cache or a buffer is stale, or an index is not taken modulo)",
                f"compare the batch at cursor {cursor} with its games, and look for state between "
                f"calls; {finding.remedy}",
                root="stream",
            )
        return


def _at(pipeline: ExaminedPipeline, batch: Batch) -> ExaminedPipeline:
    """The same pipeline with the samples of one other batch."""
    samples = needed(pipeline.samples)
    later = copy(pipeline)
    later.samples = joined_samples([batch], samples.batch_size, samples.perspective)
    later.__dict__.pop("compared", None)
    return later


def _of_samples(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    for check in (check_finished, check_boards, check_labels, check_targets, check_columns):
        yield from check(pipeline)


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


def _is_covered(pipeline: ExaminedPipeline, batch: Batch) -> Flags:
    """[B] whether all stones of a position are on its planes, under a symmetry, among others."""
    truth = truth_of(needed(pipeline.archive), batch.game.numpy(), batch.ply.numpy())
    stones = inside_ring(batch.planes.float().numpy(), truth.size)[:, :2]
    covered = [(stones >= right).all(axis=(1, 2, 3)) for right in truth.all_stone_planes()]
    among: Flags = np.any(covered, axis=0) & np.isin(stones, (0, 1)).all(axis=(1, 2, 3))
    return among
