"""Checks of how training positions are mixed: label leaks, and games too dense in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.data.collection.leaks import check_curriculum
from hexsearch.doctor.checks.training.positions import compared_samples
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.game.board import RED

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
    compared = compared_samples(pipeline)
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
    found = list(_repeats(pipeline, game, ply, samples.batch_size))
    found = found or list(_density(pipeline))
    yield from found
    if not found and not strange.any():
        yield from _distribution(pipeline, game, ply)
        yield from _augmentation(pipeline)


def _repeats(
    pipeline: ExaminedPipeline, game: Ints, ply: Ints, batch_size: int
) -> Iterator[Finding]:
    """The same positions again: in the next batch, within one, or far on in the stream."""
    assert pipeline.stream is not None
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
        return
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
    """Positions from places all over the first pass, as training would fetch them."""
    trial = pipeline.watched
    assert trial is not None
    size = trial.config.batch_size
    end = min(end - 2 * size, _FAR)
    step = max((end - start) // (_PLACES * size), 1) * size
    places = range(start + step, end, step)
    batches = [trial.shown_batch(cursor, size) for cursor in places[:_PLACES]]
    return [batch.game.numpy() * 4096 + batch.ply.numpy() for batch in batches]


def _distribution(pipeline: ExaminedPipeline, game: Ints, ply: Ints) -> Iterator[Finding]:
    """Parts of the games against what the curriculum asks for."""
    assert pipeline.stream is not None and pipeline.archive is not None
    archive, positions = pipeline.archive, pipeline.stream.positions
    if len(positions.phases) > 1:
        return  # the mixture changes on the way
    rng = np.random.default_rng(SEED)
    wanted_game, wanted_ply = [], []
    phase = positions.phase_at(0)
    for each, share in zip(phase.sets, phase.shares, strict=True):
        index = rng.integers(0, len(each), max(int(20_000 * share), 1))
        games, plies = each.at(index)
        wanted_game.append(games)
        wanted_ply.append(plies)
    wanted = np.concatenate(wanted_game), np.concatenate(wanted_ply)
    features: tuple[tuple[str, Callable[[Ints, Ints], NDArray[np.bool_]]], ...] = (
        ("plies of odd number", lambda g, p: p % 2 == 1),
        ("finished boards", lambda g, p: (p == archive.lengths[g]) & (archive.finished[g] == 1)),
        ("the first half of a game", lambda g, p: 2 * p < archive.lengths[g]),
        ("games that Red won", lambda g, p: archive.winners[g] == RED),
        ("games of odd number", lambda g, p: g % 2 == 1),
        ("the first half of the archive", lambda g, p: 2 * g < len(archive)),
    )
    for name, feature in features:
        there, should = feature(game, ply).mean(), feature(*wanted).mean()
        # Positions of a game come together where there are few games: count those.
        count = min(len(np.unique(game)), len(game))
        noise = np.sqrt(max(should * (1 - should), 1e-4) / count)
        if abs(there - should) > max(6 * noise, 0.02):
            yield Finding(
                "batches",
                "error",
                f"{there:.0%} of {len(game):,} training positions are from {name}; the curriculum "
                f"'{pipeline.stream.curriculum.name}' has {should:.0%} of them",
                "a part of the training positions is left out or drawn too often",
                "draw from all positions of the curriculum alike",
            )
            return


def _augmentation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    config = pipeline.trial_config
    assert config is not None
    if not config.augment:
        return
    compared = compared_samples(pipeline)
    told = compared.truth.boards.any(axis=(1, 2)) & (compared.images.sum(axis=1) == 1)
    turned = (compared.symmetry % 2 == 1)[told]
    if told.sum() >= 200 and not 0.3 < turned.mean() < 0.7:
        yield Finding(
            "batches",
            "warning",
            f"{turned.mean():.0%} of {told.sum():,} training positions are shown after a half "
            "turn; augmentation should give half of them one",
            "augmentation is switched on and does nothing, or always the same",
            "draw a symmetry for each sample at random",
        )


def _density(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether a batch holds as many games as chance would give it."""
    assert pipeline.shown is not None and pipeline.stream is not None
    batches = list(pipeline.shown.batch.parts(pipeline.shown.batch_size))
    batch = batches[0]
    phase = pipeline.stream.positions.phase_at(0)
    missed = np.ones(len(pipeline.stream.builder.archive))  # chance that a game is not drawn
    for positions, part in zip(phase.sets, phase.shares, strict=True):
        shown = positions.counts if positions.slots is None else positions.slots
        size = min(part * len(batch), len(positions))
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
