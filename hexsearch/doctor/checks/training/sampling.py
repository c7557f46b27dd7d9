"""Checks of how training positions are mixed: label leaks, and games too dense in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch

from hexsearch.data.batches import Batch
from hexsearch.data.collection.leaks import check_curriculum
from hexsearch.doctor.checks.training.mixing import augmentation_findings, mixing_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline

_PURE = 0.98  # of a group's outcomes: what the planes beside the stones give away
_PLACES, _FAR = 12, 300_000  # batches from later in the stream, and how far on
_GROUP = 0.2  # of the positions, at least, that such a group must hold


def check_leaks(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """What can be said of the winner without looking at where a single stone lies.

    First of what the planes of the first configuration show, then of every curriculum's
    positions: side to move and number of stones (see `data.leaks`).
    """
    shown = list(_shown_leaks(pipeline))
    yield from shown
    dataset = pipeline.dataset
    assert dataset is not None and pipeline.config is not None
    done = [pipeline.config.curriculum] if shown else []
    for curriculum in (config.curriculum for config in pipeline.configs):
        if curriculum in done:
            continue
        done.append(curriculum)
        leak = check_curriculum(
            dataset.archive, dataset.train_games, curriculum, dataset.config.stages
        )
        if leak.flagged:
            yield Finding(
                "label leaks",
                "warning",
                str(leak),
                "one ply before the end the mover wins, and a finished board tells by its number "
                "of stones who moved last",
                "do not take success here for understanding; train on last_k with an even k, or "
                "on all",
            )


def _shown_leaks(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    assert pipeline.config is not None
    compared = pipeline.compared
    batch = compared.samples.batch
    outcome = batch.outcome.numpy() > 0.5
    flat = torch.from_numpy(compared.samples.planes).flatten(2)
    constant = (flat.std(dim=2) < 1e-6).all(dim=0).numpy()
    told = flat.mean(dim=2).numpy()[:, constant].round(2)
    # Without such a plane the mover's perspective itself may tell: everybody to move wins.
    told = np.column_stack([told, compared.truth.finished])
    _, group = np.unique(told, axis=0, return_inverse=True)
    sizes = np.bincount(group)
    ones = np.bincount(group, outcome)
    purity = np.maximum(ones, sizes - ones) / sizes
    pure = (purity > _PURE) & (sizes >= max(30, _GROUP * len(outcome)))
    if not pure.any():
        return
    inside = pure[group]
    finished = compared.truth.finished[inside].mean()
    if (batch.to_end.numpy()[inside] > 1).mean() > 0.2:
        yield Finding(
            "label leaks",
            "error",
            f"in {inside.mean():.0%} of the training positions of curriculum "
            f"'{pipeline.config.curriculum.name}' what is shown beside the stones names the winner "
            f"({purity[pure].max():.1%} right without a stone)",
            "a plane beside the stones holds the winner",
            "show stones and the side to move, and nothing that is made from the result",
        )
        return
    yield Finding(
        "label leaks",
        "error" if finished > 0.5 else "warning",
        f"in {inside.mean():.0%} of the training positions of curriculum "
        f"'{pipeline.config.curriculum.name}' the side to move alone names the winner "
        f"({purity[pure].max():.1%} right without a stone)",
        "on a finished board the mover is the loser"
        if finished > 0.5
        else "one ply before the end the mover is always the winner",
        "do not take success here for understanding; train on last_k with an even k, or on all",
    )


def check_batches(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Batches in a row must differ, come from the training games, and mix them."""
    assert pipeline.shown is not None and pipeline.stream is not None
    dataset = pipeline.dataset
    assert dataset is not None
    samples = pipeline.shown
    batch = samples.batch
    game, ply = batch.game.numpy(), batch.ply.numpy()
    strange = ~np.isin(game, dataset.train_games)
    if strange.any():
        yield Finding(
            "batches",
            "error",
            f"{strange.mean():.0%} of {len(game):,} training positions come from games that are "
            "not in the training split",
            "training sees validation or test games: figures on them measure memory",
            "draw training positions from dataset.train_games alone",
        )
    found = list(_standstill(game, ply, samples.batch_size))
    if not found:
        repeated, dense = (
            list(_repeats(pipeline, game, ply, samples.batch_size)),
            list(_density(pipeline)),
        )
        # A few positions come from a few games. Apart from that, a part that is drawn too often
        # or lies together says more than that positions come again.
        found = repeated if repeated and dense else dense
        if not found and not strange.any():
            found = list(mixing_findings(pipeline, game, ply, samples.batch_size))
        found = found or repeated
    yield from found
    if not found and not strange.any():
        yield from augmentation_findings(pipeline)


def _standstill(game: Ints, ply: Ints, batch_size: int) -> Iterator[Finding]:
    """The same positions again in the very next batch."""
    key = game * 4096 + ply
    batches = [key[start : start + batch_size] for start in range(0, len(key), batch_size)]
    equal = [np.array_equal(a, b) for a, b in pairwise(batches)]
    if any(equal):
        yield Finding(
            "batches",
            "error",
            f"{sum(equal)} of {len(equal)} batches hold exactly the positions of the batch before",
            "the cursor does not move on: training sees one batch again and again",
            "build each batch from the positions seen so far",
        )


def _repeats(
    pipeline: ExaminedPipeline, game: Ints, ply: Ints, batch_size: int
) -> Iterator[Finding]:
    """The same positions again: within a few batches, or far on in the stream."""
    assert pipeline.stream is not None
    key = game * 4096 + ply
    size = len(pipeline.stream.positions)
    # Drawn without replacement nothing comes twice before everything has come once.
    expected = min(len(key), size)
    distinct = len(np.unique(key))
    if distinct < 0.9 * expected and size >= len(key):
        yield Finding(
            "batches",
            "error",
            f"{len(key):,} training positions in a row are {distinct:,} different ones, of "
            f"{size:,} that there are",
            "positions are drawn again and again from a small part: a buffer that is not refilled, "
            "or indices drawn with replacement from too few",
            "draw without replacement from all training positions",
        )
        return
    if len(pipeline.stream.positions.phases) > 1:
        return  # each phase passes through positions of its own
    far = _far_batches(pipeline, len(key), size)
    several = np.concatenate([key, *far])
    repeated = len(several) - len(np.unique(several))
    if len(far) > 1 and repeated > 0.2 * sum(map(len, far)):
        yield Finding(
            "batches",
            "error",
            f"{repeated:,} of {sum(map(len, far)):,} positions from {len(far)} places later in the "
            "first pass through the games have been shown before",
            "positions are drawn again and again from a small part: batches come round before all "
            "positions have been shown",
            "draw without replacement from all training positions",
        )


def _far_batches(pipeline: ExaminedPipeline, start: int, end: int) -> list[Ints]:
    """Positions from places all over the first pass."""
    trial = pipeline.watched
    assert trial is not None
    size = trial.config.batch_size
    end = min(end - 2 * size, _FAR)
    step = max((end - start) // (_PLACES * size), 1) * size
    places = range(start + step, end, step)
    batches = [trial.stream.batch(cursor, size) for cursor in places[:_PLACES]]
    return [batch.game.numpy() * 4096 + batch.ply.numpy() for batch in batches]


def _keys(batch: Batch) -> Ints:
    """The different positions of a batch, as numbers."""
    keys: Ints = np.unique(batch.game.numpy() * 4096 + batch.ply.numpy())
    return keys


def _density(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether a batch holds as many games as chance would give it."""
    assert pipeline.shown is not None and pipeline.stream is not None
    batches = list(pipeline.shown.batch.parts(pipeline.shown.batch_size))
    batch = batches[0]
    # Positions that come twice in a batch are another fault, and no reason for fewer games.
    distinct = float(np.mean([len(_keys(each)) for each in batches]))
    phase = pipeline.stream.positions.phase_at(0)
    missed = np.ones(len(pipeline.stream.builder.archive))  # chance that a game is not drawn
    for positions, part in zip(phase.sets, phase.shares, strict=True):
        shown = positions.counts if positions.slots is None else positions.slots
        size = min(part * distinct, len(positions))
        missed[positions.games] *= (1 - shown / len(positions)) ** size
    expected = float((1 - missed).sum())
    found = np.mean([len(np.unique(batch.game.numpy())) for batch in batches])
    if found < 0.7 * expected:
        yield Finding(
            "batches",
            "error",
            f"a batch of {len(batch)} positions comes from {found:.0f} games; drawn at random it "
            f"would come from {expected:.0f}",
            "positions are not shuffled across games: neighbours of one game share their label, "
            "so a network fingerprints games instead of judging positions",
            "shuffle positions, not games, before batches are cut",
        )
