"""Checks of how training positions are mixed: label leaks, and games too dense in a batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.data.collection.leaks import check_curriculum
from hexsearch.doctor.encoding import encoded_boards
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline

_PURE = 0.98  # of a group's outcomes: what the planes beside the stones give away
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
    shown = encoded_boards(pipeline)
    batch = shown.batch
    outcome = batch.outcome.numpy() > 0.5
    flat = batch.planes.flatten(2)
    constant = (flat.std(dim=2) < 1e-6).all(dim=0).numpy()
    told = flat.mean(dim=2).numpy()[:, constant].round(2)
    # Without such a plane the mover's perspective itself may tell: everybody to move wins.
    told = np.column_stack([told, shown.finished])
    _, group = np.unique(told, axis=0, return_inverse=True)
    sizes = np.bincount(group)
    ones = np.bincount(group, outcome)
    purity = np.maximum(ones, sizes - ones) / sizes
    pure = (purity > _PURE) & (sizes >= max(30, _GROUP * len(outcome)))
    if not pure.any():
        return
    inside = pure[group]
    finished = shown.finished[inside].mean()
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


def check_density(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether a batch holds as many games as chance would give it."""
    assert pipeline.batches is not None and pipeline.stream is not None
    batch = pipeline.batches[0]
    phase = pipeline.stream.positions.phase_at(0)
    missed = np.ones(len(pipeline.stream.builder.archive))  # chance that a game is not drawn
    for positions, part in zip(phase.sets, phase.shares, strict=True):
        shown = positions.counts if positions.slots is None else positions.slots
        size = min(part * len(batch), len(positions))
        missed[positions.games] *= (1 - shown / len(positions)) ** size
    expected = float((1 - missed).sum())
    found = np.mean([len(np.unique(batch.game.numpy())) for batch in pipeline.batches])
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
