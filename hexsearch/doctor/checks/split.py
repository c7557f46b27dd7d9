"""The check of the split: by game, complete, and without copies in two parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.data.split import SplitName
from hexsearch.doctor.checks.parts import coarse_hashes, kind_of_lost, unlike_parts
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.game_forms import last_boards
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_PARTS: tuple[SplitName, ...] = ("train", "validation", "test")
_BOUNDS = "(bounds of two parts do not meet, or a part is cut off afterwards)"
_SURE = 5.0  # errors of a drawn share that are not chance
_ENDS, _LONG, _SAME_ENDS = 20_000, 8, 0.1  # games looked at, their least length, accepted share


def _ends_that_are_missing(dataset: Dataset) -> str:
    """In words, which plies of each validation game are left out; empty if they differ by game."""
    positions, archive = dataset.validation, dataset.archive
    games = positions.games.astype(np.int64)
    if set(games.tolist()) != set(dataset.validation_games.tolist()):
        return ""
    begin = positions.first.astype(np.int64)
    missing_first = begin - archive.setups[games].astype(np.int64)
    missing_last = archive.lengths_of(games) - (begin + positions.counts.astype(np.int64) - 1)
    told = [
        f"the {which} position{'s' if plies[0] > 1 else ''} of each game"
        + (f" ({plies[0]} of them)" if plies[0] > 1 else "")
        for which, plies in (("first", missing_first), ("last", missing_last))
        if plies[0] > 0 and (plies == plies[0]).all()
    ]
    if not told:
        return ""
    return (
        f"validation leaves out {' and '.join(told)}: a range of plies begins too late or ends too "
        "early (off by one); where training draws from the same ranges, it never sees them either"
    )


def _left_out(
    pipeline: ExaminedPipeline, train: NDArray[np.int64], sizes: bool
) -> Iterator[Finding]:
    """Report training games without a position, and validation positions that are left out."""
    dataset = needed(pipeline.dataset)
    every = int((dataset.archive.lengths[dataset.validation_games].astype(np.int64) + 1).sum())
    if len(dataset.validation) != every:
        yield Finding.error(
            "split",
            f"validation has {len(dataset.validation):,} positions, but its games have {every:,}",
            _ends_that_are_missing(dataset)
            or "validation leaves part of the positions out, or uses other games than its own",
            "validate on every position of the validation games",
        )
    part, cap = len(dataset.games("validation")), dataset.config.validation_games
    asked = part if cap is None else min(cap, part)
    if len(dataset.validation_games) != asked:
        yield Finding.error(
            "split",
            f"validation uses {len(dataset.validation_games):,} games; {part:,} belong to it, and "
            f"data.validation_games allows {'all' if cap is None else format(cap, ',')}",
            "validation leaves games of its part out, which nothing else uses (its games are cut "
            "off, or filtered)",
            "validate on all validation games, or on as many as data.validation_games says",
        )
        return
    yield from _chosen(dataset)
    yield from _in_no_part(dataset, sizes)
    plain = pipeline.config is not None and pipeline.config.curriculum.name == "all"
    missing = len(np.setdiff1d(dataset.train_games, train))
    if plain and missing > 0.1 * len(dataset.train_games):
        yield Finding.error(
            "split",
            f"{missing:,} of {len(dataset.train_games):,} training games have no training position",
            "part of the games is never used: training positions are drawn from the other games "
            "only",
            "draw training positions from all games of the training split",
        )


def _chosen(dataset: Dataset) -> Iterator[Finding]:
    """Report validation games that are no choice by hash among those that belong to the part."""
    games, chosen = dataset.games("validation"), dataset.validation_games
    hashes, count = dataset.archive.hashes, len(chosen)
    smallest = np.sort(hashes[games])[:count]
    if count == len(games) or np.array_equal(np.sort(hashes[chosen]), smallest):
        return
    lengths, left = dataset.archive.lengths_of(chosen), np.setdiff1d(games, chosen)
    others = dataset.archive.lengths_of(left)
    what = "games of other lengths, results or files than the rest"
    if lengths.max() <= others.min() or lengths.min() >= others.max():
        what = f"the {'shortest' if lengths.max() <= others.min() else 'longest'} games"
    elif games[:count].tolist() == chosen.tolist() or games[-count:].tolist() == chosen.tolist():
        what = f"the {'first' if chosen[0] == games[0] else 'last'} games of the archive"
    yield Finding.error(
        "split",
        f"{count:,} of {len(games):,} validation games are used, which are not those of the "
        f"smallest hashes; their mean length is {lengths.mean():.1f}, and {others.mean():.1f} that "
        "of the others",
        f"the cap of data.validation_games keeps {what}, and not a choice by hash: validation "
        "figures are not those of other games",
        "keep the validation games with the smallest hashes",
    )


def _in_no_part(dataset: Dataset, sizes: bool) -> Iterator[Finding]:
    """Report games that belong to no part and, if asked, parts of other sizes than data.split."""
    shares, hashes = dataset.config.split, dataset.archive.hashes
    games = {name: dataset.games(name) for name in _PARTS}
    lost = ~np.isin(np.arange(len(hashes)), np.concatenate(list(games.values())))
    missing = int(lost.sum())
    if missing > 0:
        yield Finding.error(
            "split",
            f"{missing:,} of {len(hashes):,} games are in none of the parts "
            f"({', '.join(f'{name} {len(each):,}' for name, each in games.items())})",
            "the split loses games: they are neither trained on nor validated on nor kept for the "
            f"test {kind_of_lost(dataset.archive, lost, games) or _BOUNDS}",
            "let each game be in exactly one part, and the parts hold all games",
        )
        return
    wanted = {"validation": shares.validation, "test": shares.test}
    wanted["train"] = 1.0 - sum(wanted.values())
    kinds = len(np.unique(hashes))
    for name in _PARTS if sizes else ():
        share, part = wanted[name], len(np.unique(hashes[games[name]])) / kinds
        if abs(part - share) > _SURE * (share * (1 - share) / kinds) ** 0.5 + 2 / kinds:
            yield Finding.error(
                "split",
                f"{len(games[name]):,} of {len(hashes):,} games ({part:.1%} of those that differ) "
                f"are for {name}, where data.split asks for {share:.1%}",
                "the parts of the split have other sizes than data.split says (shares exchanged, "
                "or bounds that do not add up)",
                "draw each game's part by the shares of data.split",
            )
            return


def _all_positions(pipeline: ExaminedPipeline, validation: NDArray[np.int64]) -> bool:
    """Whether training has every position of the validation games."""
    dataset = needed(pipeline.dataset)
    if pipeline.config is None or pipeline.config.curriculum.name != "all":
        return False
    if not np.array_equal(validation, dataset.validation_games):
        return False  # validation is not of its own games
    positions = dataset.training(pipeline.config.curriculum)
    counts = positions.counts[np.isin(positions.games, validation)].astype(np.int64)
    return int(counts.sum()) == int((dataset.archive.lengths[validation].astype(int) + 1).sum())


def _reported_on(
    dataset: Dataset, train: NDArray[np.int64], validation: NDArray[np.int64]
) -> Iterator[Finding]:
    """Report evaluations on training games, whose validation games are not trained on.

    Args:
        train, validation: games with training positions, and with evaluated ones.
    """
    own, shared = dataset.games("validation"), len(np.intersect1d(train, validation))
    ends = dataset.archive.lengths_of(validation).sum() + len(validation)
    if np.array_equal(own, dataset.games("train")):
        yield Finding.error(
            "split",
            f"the validation part has {len(own):,} games, and they are the training games",
            "the validation part of the split is its training part: reports are made on the games "
            "that are trained on, so validation figures show what the network memorises",
            "return the games of the validation part for validation",
            root="split",
        )
    elif (
        shared == len(validation)
        and not len(np.intersect1d(train, own))
        and len(dataset.validation) == ends
    ):
        yield Finding.error(
            "split",
            f"all {shared:,} games whose positions are evaluated are training games; the "
            f"{len(own):,} games of the validation part are not trained on",
            "reports are made on the positions of training games, not of the validation games, so "
            "validation figures show what the network memorises",
            "evaluate on the games of the validation split",
            root="split",
        )


def _trained_on(
    pipeline: ExaminedPipeline, train: NDArray[np.int64], validation: NDArray[np.int64]
) -> Iterator[Finding]:
    """Report games of validation or of the test that are trained on."""
    dataset = needed(pipeline.dataset)
    shared = np.intersect1d(train, validation)
    if len(shared) and (other := list(_reported_on(dataset, train, validation))):
        yield from other
        return
    if len(shared):
        whole = len(shared) == len(validation) and _all_positions(pipeline, validation)
        yield Finding.error(
            "split",
            f"{len(shared):,} of {len(validation):,} validation games have training positions"
            + (", and all of their positions are among them" if whole else ""),
            (
                "training has all validation games, whole: nothing is held out (the split is not "
                "applied to training), so validation figures show what the network memorises"
                if whole
                else "the split is by position, not by game: positions of one game share their "
                "label, so validation figures show what the network memorises"
            ),
            "train on the games of the training split alone" if whole else "split by game",
            root="split",
        )
        return
    tested = np.intersect1d(train, dataset.games("test"))
    if len(tested):
        yield Finding.error(
            "split",
            f"{len(tested):,} of {len(dataset.games('test')):,} test games have training positions",
            "the test games are trained on: training takes all games that are not validation games "
            "(the test split is not held out), so figures on them show what the network memorises",
            "train on the games of the training split alone",
            root="split",
        )


def check_split(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """No game, and no symmetric copy of one, may be in two parts of the split."""
    dataset = needed(pipeline.dataset)
    train = dataset.train_games
    if not np.array_equal(train, needed(pipeline.brief_dataset).train_games):
        yield Finding.error(
            "split",
            "the same games with the same settings were split twice, and the training games are "
            "others each time",
            "the split is not the same each time that games are opened (it depends on a random "
            "number, a time or Python's hash): a resumed training validates on games that it was "
            "trained on",
            "split by a hash of the game that does not depend on the process, such as sha256",
            root="split",
        )
        return
    if pipeline.config is not None:
        train = np.unique(dataset.training(pipeline.config.curriculum).games).astype(np.int64)
    validation = np.unique(dataset.validation.games).astype(np.int64)
    trained = list(_trained_on(pipeline, train, validation))
    if trained:
        yield from trained
        return
    parts = {"training": train, "validation": validation, "test": dataset.games("test")}
    copied = list(coarse_hashes(dataset.archive, pipeline.forms)) or list(_copied(pipeline, parts))
    yield from copied
    yield from _left_out(pipeline, train, sizes=not copied)  # copies change the sizes of parts
    if not copied:
        yield from unlike_parts(dataset.archive, {name: dataset.games(name) for name in _PARTS})
        yield from _same_ends(dataset.archive, parts)


def _copied(pipeline: ExaminedPipeline, parts: dict[str, NDArray[np.int64]]) -> Iterator[Finding]:
    """Report games of which one copy is trained on, and another one is not."""
    forms = {
        name: {pipeline.forms[game][0] for game in games.tolist() if game in pipeline.forms}
        for name, games in parts.items()
    }
    for name in ("validation", "test"):
        copies = len(forms["training"] & forms[name])
        if copies:
            yield Finding.error(
                "split",
                f"{copies:,} of {len(forms[name]):,} {name} games are also training games, as they "
                "are, mirrored or turned",
                "copies of one game are in two parts of the split: the split does not depend on "
                "the symmetry-invariant form of a game",
                "split by a hash of the symmetry-invariant form, or remove copies first",
            )
            return


def _same_ends(archive: GameArchive, parts: dict[str, NDArray[np.int64]]) -> Iterator[Finding]:
    """Report games whose last boards are those of training games, by other moves."""
    trained, held = parts["training"][:_ENDS], parts["validation"][:_ENDS]
    held = held[archive.lengths[held] >= _LONG]
    if not len(held) or not len(trained):
        return
    known = set(last_boards(archive, trained))
    same = sum(board in known for board in last_boards(archive, held))
    if same > max(_SAME_ENDS * len(held), 5):
        yield Finding.warning(
            "split",
            f"{same:,} of {len(held):,} validation games of {_LONG} moves or more end on the last "
            "board of a training game, as it is, mirrored or turned, after moves in another order",
            "validation games are copies of training games in which moves were exchanged or boards "
            "turned (games were augmented before they were split, or end in the same lines): "
            "validation figures show what the network memorises",
            "split before games are augmented, and keep all versions of a game in one part",
        )
