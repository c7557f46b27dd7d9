"""Checks whether positions come again too soon: in a batch, soon after, or in the first pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.data.batch import Batch
from hexsearch.data.position_set import CurriculumPhase, PositionSet
from hexsearch.doctor.checks.data.cursors import alone_and_cut, same_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.samples import PLIES, position_keys

_WITHOUT_REPLACEMENT = "draw without replacement from all training positions"
_REPLACED = 0.2  # accepted difference of repetitions from those of draws with replacement
_FEW_PLIES = 1.02  # plies of each game that is drawn
_PLACES, _FAR = 12, 300_000  # later batches that are looked at, and the last position of these


def repeat_findings(pipeline: ExaminedPipeline, keys: Ints) -> Iterator[Finding]:
    """Report positions that come again, within a few batches or later in the first pass."""
    stream = needed(pipeline.stream)
    size, distinct = len(stream.positions), len(np.unique(keys))
    phase = stream.positions.phase_at(0)
    # A small set of a mixture or of a short phase comes again, and sets have common positions.
    several = len(phase.sets) > 1 or len(stream.positions.phases) > 1
    # Without replacement no position comes twice before all have come once.
    wanted = _sound_count(stream.positions, len(keys)) if several else len(keys)
    if distinct < 0.9 * wanted and size >= len(keys):
        by_chance = size * (1 - np.exp(-len(keys) / size))
        if not several and abs(distinct - by_chance) < _REPLACED * (len(keys) - by_chance):
            yield Finding.warning(
                "batches",
                f"{distinct:,} of {len(keys):,} consecutive training positions are different; in "
                f"draws with replacement from all {size:,} it would be {by_chance:,.0f}",
                "positions are drawn with replacement: some come again before all have come once",
                _WITHOUT_REPLACEMENT,
            )
            return
        yield Finding.error(
            "batches",
            f"only {distinct:,} of {len(keys):,} consecutive training positions are different, "
            f"although there are {size:,}",
            overlap(keys, needed(pipeline.samples).batch_size)
            or _copies(keys, needed(pipeline.samples).batch_size)
            or _one_ply(keys)
            or "positions are drawn again and again from a small part: a buffer is not refilled, "
            "or indices are drawn with replacement from too few",
            _WITHOUT_REPLACEMENT,
        )
        return
    if len(stream.positions.phases) > 1:
        return  # each phase has its own positions
    places, far = far_batches(pipeline, len(keys), size)
    repeated, usual = _repeated(np.concatenate([keys, *far])), 0
    if several:
        cursors = [np.arange(at, at + len(each)) for at, each in zip(places, far, strict=True)]
        usual = _repeated(_mixture_keys(phase, np.concatenate([np.arange(len(keys)), *cursors])))
    if len(far) > 1 and repeated - usual > 0.2 * sum(map(len, far)):
        yield Finding.error(
            "batches",
            f"{repeated:,} of {sum(map(len, far)):,} positions from {len(far)} later batches of "
            "the first pass have been drawn before",
            "which positions are drawn depends on where a batch begins (the cursor enters the seed "
            "of the order): each batch is drawn from all positions anew, so some come again before "
            "all have been drawn"
            if not same_positions(*alone_and_cut(needed(pipeline.watched)))
            else "positions are drawn again and again from a small part: batches are repeated "
            "before all positions have been drawn",
            _WITHOUT_REPLACEMENT,
        )


def _sound_count(positions: PositionSet, count: int) -> int:
    """How many of the first samples of a stream are different positions in sound draws."""
    phases = positions.phases or (positions.phase_at(0),)
    ends = [*(phase.start for phase in phases[1:]), count]
    found = [
        _mixture_keys(phase, np.arange(min(end, count) - phase.start, dtype=np.int64))
        for phase, end in zip(phases, ends, strict=True)
        if phase.start < count
    ]
    return len(np.unique(np.concatenate(found)))


def _repeated(keys: Ints) -> int:
    """How many positions have come before."""
    return len(keys) - len(np.unique(keys))


def _mixture_keys(phase: CurriculumPhase, cursors: Ints) -> Ints:
    """Positions that sound draws from the sets of a mixture would give at these cursors.

    The order is another one than that of training; how often positions come again is the same.
    """
    rng, keys = np.random.default_rng(SEED), np.zeros(len(cursors), dtype=np.int64)
    open_places, numbers, left = np.arange(len(cursors)), cursors.astype(np.int64), 1.0
    for positions, share in zip(phase.sets, phase.shares, strict=True):
        relative = min(share / left, 1.0)
        before = np.floor(numbers * relative).astype(np.int64)
        taken = np.floor((numbers + 1) * relative).astype(np.int64) > before
        passes, index = np.divmod(before[taken], len(positions))
        for number in np.unique(passes):
            rows = passes == number
            index[rows] = rng.permutation(len(positions))[index[rows]]
        keys[open_places[taken]] = position_keys(*positions.at(index, passes, SEED))
        open_places, numbers = open_places[~taken], (numbers - before)[~taken]
        left -= share
    return keys


def overlap(keys: Ints, batch_size: int) -> str:
    """In words, how many positions each batch shares with the one before; empty if none."""
    count = len(keys) // batch_size
    batches = keys[: count * batch_size].reshape(count, batch_size)
    if count < 2:
        return ""
    for step in range(1, batch_size // 2 + 1):
        if (batches[1:, :-step] == batches[:-1, step:]).all():
            return (
                f"each batch begins {step} position(s) after the one before, so it repeats "
                f"{batch_size - step} of {batch_size} positions: the cursor counts steps, or is "
                "moved on by too little"
            )
    return ""


def _copies(keys: Ints, batch_size: int) -> str:
    """In words, how often each position comes in its batch, if that is a fixed number above 1."""
    half = len(keys) // 2
    if np.array_equal(keys[:half], keys[half : 2 * half]):
        return "the second half of each batch repeats the first: half of the rows are copies"
    batches = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
    counts = np.concatenate([np.unique(batch, return_counts=True)[1] for batch in batches])
    usual = int(np.bincount(counts).argmax())
    if usual < 2 or (counts == usual).mean() < 0.9:
        return ""
    return (
        f"each position comes {usual} times in its batch: indices are repeated, or parts of the "
        "batch are copies of one (workers that share a seed)"
    )


def _one_ply(keys: Ints) -> str:
    """In words, that all draws of a game are the same position; empty if they are not."""
    game, positions = keys // PLIES, np.unique(keys)
    games, draws = np.unique(game, return_counts=True)
    if len(positions) > _FEW_PLIES * len(games) or draws.mean() < 2:
        return ""
    return (
        "games that are drawn several times are shown at one and the same ply each time: the ply "
        "is looked up by the game and not by the row (np.unique without its inverse, a table by "
        "game), so positions are repeated and others are left out"
    )


def far_batches(pipeline: ExaminedPipeline, start: int, end: int) -> tuple[list[int], list[Ints]]:
    """Cursors of batches from all over the first pass, and the keys of their positions."""
    trial = needed(pipeline.watched)
    size = trial.config.batch_size
    end = min(end - 2 * size, _FAR)
    step = max((end - start) // (_PLACES * size), 1) * size
    places = list(range(start + step, end, step))[:_PLACES]
    return places, [keys_of(trial.stream.batch(cursor, size)) for cursor in places]


def keys_of(batch: Batch) -> Ints:
    """One number for each position of a batch."""
    return position_keys(batch.game.numpy(), batch.ply.numpy())
