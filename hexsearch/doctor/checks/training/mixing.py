"""Checks of what batches are mixed from: parts of games, their order, and augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.game.board import RED

_BATCHES = 12  # in a row, that their mixtures are compared over
Feature = Callable[[Ints, Ints], NDArray[np.bool_]]


def mixing_findings(
    pipeline: ExaminedPipeline, game: Ints, ply: Ints, batch_size: int
) -> Iterator[Finding]:
    """Of training positions [P] in the order in which they are shown."""
    assert pipeline.stream is not None
    found = list(_distribution(pipeline, game, ply))
    yield from found
    if not found and len(pipeline.stream.positions.phases) <= 1:
        yield from _mixture(pipeline.stream.builder.archive, game, ply, batch_size)


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
    for name, feature in _features(archive):
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
                f"positions from {name} are drawn {_too(there, should)}: a part of the training "
                "positions is left out or repeated",
                "draw from all positions of the curriculum alike",
            )
            return


def _too(there: float, should: float) -> str:
    if there == 1.0:
        return "alone"
    return "too often" if there > should else "too seldom"


def _features(archive: GameArchive) -> tuple[tuple[str, Feature], ...]:
    """What tells positions apart, in words that follow `from`."""
    long = float(np.median(archive.lengths))
    return (
        ("plies of odd number (Red to move)", lambda g, p: p % 2 == 1),
        ("finished boards", lambda g, p: (p == archive.lengths[g]) & (archive.finished[g] == 1)),
        ("the first half of a game (early positions)", lambda g, p: 2 * p < archive.lengths[g]),
        ("the first four plies (the opening)", lambda g, p: p < 4),
        ("the last four plies (the end)", lambda g, p: p + 4 > archive.lengths[g]),
        ("long games", lambda g, p: archive.lengths[g] > long),
        ("games that Red won", lambda g, p: archive.winners[g] == RED),
        ("games of odd number", lambda g, p: g % 2 == 1),
        ("the first half of the archive", lambda g, p: 2 * g < len(archive)),
    )


def _mixture(archive: GameArchive, game: Ints, ply: Ints, batch_size: int) -> Iterator[Finding]:
    """Whether each batch is as mixed as a draw: sorted positions vary too much between batches."""
    count = len(game) // batch_size
    # Batches that come round again tell nothing new of how mixed batches are.
    distinct = len(np.unique(game * 4096 + ply)) // batch_size
    if min(count, distinct) < _BATCHES:
        return
    key = (game * 4096 + ply)[: count * batch_size].reshape(count, batch_size)
    different = float(np.mean([len(np.unique(row)) for row in key]))
    for name, feature in _features(archive):
        here = feature(game, ply)[: count * batch_size].reshape(count, batch_size).mean(axis=1)
        share = float(here.mean())
        by_chance = share * (1 - share) / different
        if by_chance and here.var() > (1 + 8 * np.sqrt(2 / distinct)) * by_chance:
            yield Finding(
                "batches",
                "error",
                f"the share of positions from {name} in a batch goes from {here.min():.0%} to "
                f"{here.max():.0%} over {count} batches in a row, with a standard deviation of "
                f"{here.std():.2f}; drawn at random it would be {np.sqrt(by_chance):.2f}",
                f"positions come sorted, not mixed: {name} lie together in the order of training",
                "shuffle all training positions before batches are cut",
            )
            return


def augmentation_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether half of the positions are shown after a half turn."""
    config = pipeline.trial_config
    assert config is not None
    if not config.augment:
        return
    compared = pipeline.compared
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
