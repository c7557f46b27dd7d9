"""Checks of the mixture of positions in batches, of their order, and of augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.samples import position_keys
from hexsearch.game.board import RED

_ALL_EQUALLY = "draw all positions of the curriculum with equal probability"
_GAP = 0.05  # largest accepted difference of two distribution functions
# The same by the root of the samples, for positions and for games.
_SURE, _SURER = 2.4, 3.0
_BATCHES = 12  # consecutive batches that a comparison of their mixtures needs
_BY_MISTAKE = 0.02  # share of symmetries that are mistaken by chance
_LEAST_OF_BATCH = 8  # positions that are alike by chance once in a hundred batches
_RARE_SHARE = 0.6  # share of a symmetry, in that of the commonest, that is no chance
_SYMMETRIES = ("as they are", "turned", "with colours exchanged", "turned, colours exchanged")
Feature = Callable[[Ints, Ints], NDArray[np.bool_]]


def mixing_findings(
    pipeline: ExaminedPipeline, game: Ints, ply: Ints, batch_size: int
) -> Iterator[Finding]:
    """Check the mixture of training positions, and whether it changes from batch to batch.

    Args:
        game, ply: [P] the positions, in the order of training.
    """
    stream = needed(pipeline.stream)
    findings = list(_distribution(pipeline, game, ply))
    yield from findings
    if not findings and len(stream.positions.phases) <= 1:
        yield from _mixture(stream.builder.archive, game, ply, batch_size)


def _distribution(pipeline: ExaminedPipeline, game: Ints, ply: Ints) -> Iterator[Finding]:
    """Compare the share of several kinds of positions with that in the curriculum."""
    archive, stream = needed(pipeline.archive), needed(pipeline.stream)
    positions = stream.positions
    if len(positions.phases) > 1:
        return  # the mixture changes during training
    rng = np.random.default_rng(SEED)
    wanted_game, wanted_ply = [], []
    phase = positions.phase_at(0)
    for each, share in zip(phase.sets, phase.shares, strict=True):
        index = rng.integers(0, len(each), max(int(20_000 * share), 1))
        games, plies = each.at(index)
        wanted_game.append(games)
        wanted_ply.append(plies)
    wanted = np.concatenate(wanted_game), np.concatenate(wanted_ply)
    beyond = _beyond(ply, wanted[1])
    if beyond is not None:
        yield Finding.error("batches", *beyond, _ALL_EQUALLY)
        return
    kinds = []
    for name, feature in _features(archive):
        share, expected = float(feature(game, ply).mean()), float(feature(*wanted).mean())
        # Positions of one game are alike, so games are the independent samples.
        noise = np.sqrt(max(expected * (1 - expected), 1e-4) / len(np.unique(game)))
        if abs(share - expected) > max(6 * noise, 0.02):
            kinds.append((abs(share - expected), name, share, expected))
    if not kinds:
        # Where few plies of each game are drawn in a pass, games are the independent samples.
        few = any(each.slots is not None for each in phase.sets)
        sure, samples = (_SURER, game) if few else (_SURE, position_keys(game, ply))
        bound = max(_GAP, sure / np.sqrt(len(np.unique(samples))))
        other = _by_number(archive, (game, ply), wanted, bound)
        if other is not None:
            yield Finding.error("batches", *other, _ALL_EQUALLY)
        return
    # What is left out most; what is drawn exclusively says more.
    _, name, share, expected = max(kinds, key=lambda kind: (kind[2] == 1.0, kind[0]))
    yield Finding.error(
        "batches",
        f"{share:.0%} of {len(game):,} training positions are from {name}; in curriculum "
        f"'{stream.curriculum.name}' it is {expected:.0%}",
        f"positions from {name} are drawn {_too(share, expected)}: part of the training "
        "positions is left out or repeated",
        _ALL_EQUALLY,
    )


def _beyond(ply: Ints, wanted: Ints) -> tuple[str, str] | None:
    """Evidence and cause if no position is drawn beyond some ply, but more than usual at it."""
    for end, side, which in (
        (int(ply.max()), 1, ("beyond", "later")),
        (int(ply.min()), -1, ("before", "earlier")),
    ):
        missed, there = float((side * (wanted - end) > 0).mean()), float((ply == end).mean())
        usual = float((wanted == end).mean())
        if missed < _GAP or there < usual + missed / 2:
            continue
        return (
            f"{missed:.0%} of the curriculum's positions are {which[0]} ply {end}, and none is "
            f"drawn; {there:.0%} of {len(ply):,} training positions are at ply {end}, in the "
            f"curriculum {usual:.0%}",
            f"plies are cut off at {end} (a limit, a clip, a buffer of fixed size): {which[1]} "
            "positions are never trained on, and that of the limit stands in their place",
        )
    return None


def _columns(archive: GameArchive, game: Ints, ply: Ints) -> dict[str, NDArray[np.float64]]:
    """Numbers of positions, by words that can follow `the`."""
    lengths = archive.lengths[game].astype(np.float64)
    first = archive.moves[archive.offsets[game].astype(np.int64)]
    return {
        "ply": ply.astype(np.float64),
        "number of plies to the end": lengths - ply,
        "share of the game that is played": ply / np.maximum(lengths, 1),
        "length of the game": lengths,
        "number of the game": game.astype(np.float64),
        "source of the game": archive.files[game].astype(np.float64),
        "first move of the game": first.astype(np.float64),
    }


def _by_number(
    archive: GameArchive, drawn: tuple[Ints, Ints], wanted: tuple[Ints, Ints], bound: float
) -> tuple[str, str] | None:
    """Evidence and cause if a number of the drawn positions is distributed in another way.

    Args:
        bound: distance of two distribution functions that chance does not reach.
    """
    own, right = (_columns(archive, *positions) for positions in (drawn, wanted))
    worst, found = bound, None
    for name, values in own.items():
        at = np.unique(np.concatenate([values, right[name]]))
        shares = [
            np.searchsorted(np.sort(each), at, side="right") / len(each)
            for each in (values, right[name])
        ]
        gaps = shares[0] - shares[1]
        place = int(np.abs(gaps).argmax())
        if abs(gaps[place]) > worst:
            worst = float(abs(gaps[place]))
            bound_words = f"where the {name} is at most {at[place]:.3g}"
            found = (
                f"{shares[0][place]:.0%} of {len(values):,} training positions are drawn "
                f"{bound_words}; in the curriculum it is {shares[1][place]:.0%}",
                f"positions {bound_words} are drawn "
                f"{'too often' if gaps[place] > 0 else 'too rarely'}, and the others "
                f"{'too rarely' if gaps[place] > 0 else 'too often'}: part of the training "
                "positions is left out or repeated",
            )
    return found


def _too(share: float, expected: float) -> str:
    if share == 1.0:
        return "exclusively"
    return "too often" if share > expected else "too rarely"


def _features(archive: GameArchive) -> tuple[tuple[str, Feature], ...]:
    """Kinds of positions, by words that can follow `from`."""
    long = float(np.median(archive.lengths))
    return (
        ("plies of odd number (Red to move)", lambda g, p: p % 2 == 1),
        ("finished boards", lambda g, p: (p == archive.lengths[g]) & (archive.finished[g] == 1)),
        ("the first half of a game (early positions)", lambda g, p: 2 * p < archive.lengths[g]),
        ("the first four plies (the opening)", lambda g, p: p < 4),
        ("the last four plies (the end)", lambda g, p: p + 4 > archive.lengths[g]),
        (
            "turns of the winner (the side to move wins)",
            lambda g, p: (archive.winners[g] == RED) == (p % 2 == 1),
        ),
        ("long games", lambda g, p: archive.lengths[g] > long),
        ("games that Red won", lambda g, p: archive.winners[g] == RED),
        ("games of odd number", lambda g, p: g % 2 == 1),
        ("the first half of the archive", lambda g, p: 2 * g < len(archive)),
    )


def _mixture(archive: GameArchive, game: Ints, ply: Ints, batch_size: int) -> Iterator[Finding]:
    """Report kinds of positions whose share varies more between batches than in random draws."""
    count = len(game) // batch_size
    keys = position_keys(game, ply)
    # Repeated batches are no further evidence of the mixture.
    distinct = len(np.unique(keys)) // batch_size
    if min(count, distinct) < _BATCHES:
        return
    rows = keys[: count * batch_size].reshape(count, batch_size)
    different = float(np.mean([len(np.unique(row)) for row in rows]))
    for name, feature in _features(archive):
        shares = feature(game, ply)[: count * batch_size].reshape(count, batch_size).mean(axis=1)
        share = float(shares.mean())
        by_chance = share * (1 - share) / different
        if by_chance and shares.var() > (1 + 8 * np.sqrt(2 / distinct)) * by_chance:
            yield Finding.error(
                "batches",
                f"in {count} consecutive batches the share of positions from {name} goes from "
                f"{shares.min():.0%} to {shares.max():.0%}; its standard deviation is "
                f"{shares.std():.2f}, and {np.sqrt(by_chance):.2f} in random draws",
                f"positions are sorted, not mixed: {name} are together in the order of training",
                "shuffle all training positions before they are divided into batches",
            )
            return


def augmentation_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """With augmentation half of the positions should be turned by 180 degrees."""
    config, compared = needed(pipeline.trial_config), pipeline.compared
    if compared.turned_apart:
        return  # check `training labels` reports it
    known = compared.truth.boards.any(axis=(1, 2)) & (compared.images.sum(axis=1) == 1)
    if not config.augment:
        yield from _without_augmentation(compared.symmetry[known], compared.mover_view)
        return
    turned = (compared.symmetry % 2 == 1)[known]
    size = needed(pipeline.samples).batch_size
    batch = (np.arange(len(known)) // size)[known]
    if known.sum() >= 200 and not 0.3 < turned.mean() < 0.7:
        yield Finding.warning(
            "batches",
            f"{turned.mean():.0%} of {known.sum():,} training positions are turned by 180 degrees; "
            "with augmentation it should be half of them",
            "augmentation is switched on, but applies no symmetry, or always the same one",
            "draw a random symmetry for each sample",
        )
        return
    if known.sum() >= 200 and _alike(turned, batch):
        yield Finding.warning(
            "batches",
            f"in each of {batch.max() + 1} batches of {size} training positions either all are "
            "turned by 180 degrees or none is",
            "augmentation draws one symmetry for a whole batch and not one for each position, so a "
            "batch shows one orientation only",
            "draw a random symmetry for each sample",
        )
        return
    shown = np.bincount(compared.symmetry[known], minlength=4)
    both = compared.mover_view or known.sum() < 200  # then the side to move decides on colours
    rare = shown < _RARE_SHARE * shown.max()
    if rare.any() and not both:
        told = ", ".join(f"{_SYMMETRIES[k]} {n / known.sum():.0%}" for k, n in enumerate(shown))
        yield Finding.warning(
            "batches",
            f"of {known.sum():,} training positions are shown: {told}; with augmentation it should "
            "be a quarter each",
            f"augmentation does not apply all four symmetries equally often: {told} (one random "
            "bit decides on the half turn and on the exchange of colours, for instance)",
            "draw one of the four symmetries for each sample, by two independent bits",
        )


def _without_augmentation(symmetry: Ints, mover_view: bool) -> Iterator[Finding]:
    """Without augmentation boards are shown as they are, or reflected for the side to move."""
    changed = symmetry % 2 == 1 if mover_view else symmetry != 0
    if len(symmetry) and changed.mean() > _BY_MISTAKE:
        kinds = [_SYMMETRIES[kind] for kind in np.unique(symmetry[changed])]
        yield Finding.warning(
            "batches",
            f"{changed.mean():.0%} of {len(symmetry):,} training positions are shown "
            f"{' or '.join(kinds)}, and `augment` is false",
            "augmentation is switched off (augment: false), and boards are still turned or "
            f"reflected at random ({' or '.join(kinds)}): the setting does not reach all of it",
            "draw no symmetry where augment is false",
        )


def _alike(turned: NDArray[np.bool_], batch: Ints) -> bool:
    """Whether in each batch all positions are turned or none is."""
    sizes = np.bincount(batch)
    own = np.bincount(batch, turned) / np.maximum(sizes, 1)
    whole = sizes >= _LEAST_OF_BATCH
    return bool(whole.sum() > 1) and bool(np.isin(own[whole], (0.0, 1.0)).all())
