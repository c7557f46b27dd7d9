"""Checks of the games themselves: labels, edges, duplicates, splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import winners
from hexsearch.game.reading import Decision
from hexsearch.game.record import REPLAY_DISAGREES

_LAID = 5_000  # games of a file that are tried the other way round
_REPLAYED = 200_000  # games whose winner is replayed, spread over the archive
_CHUNK = 8192


def check_labels(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Winners against replay: of the archive, and of what the import refused."""
    archive = pipeline.archive
    if archive is not None:
        wrong = _misjudged(archive)
        if len(wrong):
            yield _named_losers(archive, wrong)
    if pipeline.imported is None:
        return
    refused = Counter(
        refusal.file for refusal in pipeline.imported.refused if REPLAY_DISAGREES in refusal.reason
    )
    total = sum(refused.values())
    seen = pipeline.imported.read + len(pipeline.imported.refused)
    if total > 0.02 * seen:
        where = ", ".join(f"{Path(file).name}: {count:,}" for file, count in refused.most_common(3))
        yield Finding(
            "labels",
            "error",
            f"{total:,} of {seen:,} games say that one colour won while the other connects "
            f"({where}); the import refused them",
            "the winner is written the other way round in these files, or in part of them",
            "swap their winner letters; what is refused is missing from the training games",
        )


def _named_losers(archive: GameArchive, wrong: NDArray[np.int64]) -> Finding:
    some = wrong[:_CHUNK]
    nobody = winners(stones_at(archive, some, archive.lengths[some])) == 0
    evidence = (
        f"{len(wrong):,} of {min(len(archive), _REPLAYED):,} games name a winner who has not "
        f"connected ({_by_file(archive, wrong)})"
    )
    if nobody.mean() > 0.5:
        return Finding(
            "labels",
            "error",
            f"{evidence}; in {nobody.mean():.0%} of them nobody has",
            "these games are called finished and end before anybody connects: their last moves "
            "are missing (cut off, off by one), or their moves are read wrongly",
            "compare the number of moves with the source; import them again",
        )
    return Finding(
        "labels",
        "error",
        evidence,
        "the winner's letter or digit is read the other way round for these games: labels are "
        "inverted",
        "swap the winners of the files named and import them again",
    )


def _misjudged(archive: GameArchive) -> NDArray[np.int64]:
    wrong = []
    looked_at = np.unique(
        np.linspace(0, len(archive) - 1, min(len(archive), _REPLAYED)).astype(int)
    )
    for start in range(0, len(looked_at), _CHUNK):
        games = looked_at[start : start + _CHUNK]
        connected = winners(stones_at(archive, games, archive.lengths[games]))
        claimed = archive.winners[games]
        bad = np.where(archive.finished[games] == 1, connected != claimed, connected == -claimed)
        wrong.append(games[bad])
    return np.concatenate(wrong)


def _by_file(archive: GameArchive, games: NDArray[np.int64]) -> str:
    """Where they come from: a whole file that is wrong is another matter than a line."""
    counts = np.bincount(archive.files[games], minlength=len(archive.sources))
    totals = np.bincount(archive.files, minlength=len(archive.sources))
    worst = np.argsort(-counts)[:3]
    return ", ".join(
        f"{Path(archive.sources[file]).name}: {counts[file]:,} of {totals[file]:,}"
        for file in worst
        if counts[file]
    )


_COLUMN_MAJOR = (
    "moves are read column-major (row and column exchanged): the winners' names fit the first "
    "mover, only the board lies on its side"
)
_WRONG_EDGES = (
    "the first mover is on the wrong edges: it is Red, who connects left to right, and is taken "
    "for Blue; rows and columns alone do not explain it, the winners' names are exchanged too"
)


def check_edges(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether the games make more sense lying on their side, and whether names turn with them.

    Exchanging rows and columns, and giving the first mover the other edges, are one reflection
    of the board: stones cannot tell them apart, the names of the winners can.
    """
    assert pipeline.imported is not None
    for decision in pipeline.imported.decisions:
        name, finished = Path(decision.source).name, decision.agree + decision.disagree
        reading = decision.reading
        if reading.left_right:
            named = "" if reading.red_first else _seats(decision)
            yield Finding(
                "edges",
                "warning",
                f"{name}: with rows and columns exchanged"
                f"{' and the winners named the other way round' if reading.red_first else ''} "
                f"{decision.agree:,} of {finished:,} finished games end with the winner's "
                f"connection, as written {decision.otherwise_agree:,} do",
                (_WRONG_EDGES if reading.red_first else _COLUMN_MAJOR) + named,
                "the import has put it right; whatever else reads this file must do the same",
            )
    if pipeline.archive is not None:
        yield from _lying_games(pipeline.archive)


def _seats(decision: Decision) -> str:
    """What is left open where a format names winners by seat, not by colour."""
    if decision.format == "TRMPH":
        return ""
    return (
        ". Or the first mover connects left to right: this format names winners by who moved "
        "first, so its games cannot tell; a diagram of one game, or its author, can"
    )


def _lying_games(archive: GameArchive) -> Iterator[Finding]:
    """Files whose games end with a connection only once the board is laid on its side."""
    for file, source in enumerate(archive.sources):
        games = np.flatnonzero(archive.files == file)[:_LAID].astype(np.int64)
        boards = stones_at(archive, games, archive.lengths[games])
        won = archive.winners[games]
        upright = int((winners(boards) == won).sum())
        laid = winners(boards.transpose(0, 2, 1).copy())
        same, exchanged = int((laid == won).sum()), int((laid == -won).sum())
        for found, cause, remedy in (
            (same, _COLUMN_MAJOR, "exchange row and column of every move of this file"),
            (
                exchanged,
                _WRONG_EDGES,
                "reflect every move of this file in the long diagonal and exchange the colours",
            ),
        ):
            if found > max(2 * upright, 10, 0.8 * (same + exchanged)):
                yield Finding(
                    "edges",
                    "error",
                    f"{Path(source).name}: as stored, {upright:,} of {len(games):,} games end with "
                    f"the winner's connection; with rows and columns exchanged {same:,} do, and "
                    f"{exchanged:,} with the winners exchanged as well",
                    cause,
                    f"{remedy} before importing it",
                )


def check_duplicates(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Games that are copies of each other, mirrored and turned ones included."""
    archive = pipeline.archive
    assert archive is not None
    forms = pipeline.forms
    groups: dict[bytes, list[int]] = defaultdict(list)
    for game, (form, _) in forms.items():
        groups[form].append(game)
    copies = sum(len(group) - 1 for group in groups.values())
    contradictions = [
        group
        for group in groups.values()
        if len({int(archive.winners[game]) * forms[game][1] for game in group}) > 1
    ]
    if contradictions:
        first = contradictions[0]
        lines = ", ".join(str(archive.lines[game]) for game in first[:2])
        yield Finding(
            "duplicates",
            "error",
            f"{len(contradictions):,} games occur twice with different winners, the first one on "
            f"lines {lines}",
            "two sources disagree on who won, or on which edges are whose",
            "find out by replay which source is right and leave the other out",
        )
    if copies > 0.01 * len(forms):
        yield Finding(
            "duplicates",
            "warning",
            f"{copies:,} of {len(forms):,} games are copies of others, mirrored or turned "
            "ones included",
            f"only {len(groups):,} games are different, the others are copies (duplicates): files "
            "overlap, a few games were written several times, or each in all four symmetries",
            "leave copies out: augmentation makes them anyway, and they weigh double",
        )


def _left_out(pipeline: ExaminedPipeline, train: NDArray[np.int64]) -> Iterator[Finding]:
    """Games without a training position, and positions that validation does not judge."""
    dataset = pipeline.dataset
    assert dataset is not None
    every = int((dataset.archive.lengths[dataset.validation_games].astype(np.int64) + 1).sum())
    if len(dataset.validation) != every:
        yield Finding(
            "split",
            "error",
            f"validation judges {len(dataset.validation):,} positions; its games have {every:,}",
            "validation leaves a part of the positions out, or judges by other games than its own",
            "judge by every position of the validation games",
        )
    plain = pipeline.config is not None and pipeline.config.curriculum.name == "all"
    missing = len(np.setdiff1d(dataset.train_games, train))
    if plain and missing > 0.1 * len(dataset.train_games):
        yield Finding(
            "split",
            "error",
            f"{missing:,} of {len(dataset.train_games):,} training games give no training position",
            "a part of the games is never trained on: positions are drawn from some games alone",
            "draw from all games of the training split",
        )


def check_split(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether any game, or a symmetric copy of one, lies on two sides of the split."""
    dataset = pipeline.dataset
    assert dataset is not None
    train = dataset.train_games
    if pipeline.config is not None:
        train = np.unique(dataset.training(pipeline.config.curriculum).games).astype(np.int64)
    judged = np.unique(dataset.validation.games).astype(np.int64)
    shared = np.intersect1d(train, judged)
    if len(shared):
        yield Finding(
            "split",
            "error",
            f"{len(shared):,} of {len(judged):,} validation games have positions that are "
            "trained on",
            "the split is by position, not by game: positions of one game share their label",
            "split by game; validation figures of this split measure memory",
        )
        return
    yield from _left_out(pipeline, train)
    sides: dict[str, NDArray[np.int64]] = {
        "training": train,
        "validation": judged,
        "test": dataset.games("test"),
    }
    known = {
        name: {pipeline.forms[game][0] for game in games.tolist() if game in pipeline.forms}
        for name, games in sides.items()
    }
    for name in ("validation", "test"):
        copies = len(known["training"] & known[name])
        if copies:
            yield Finding(
                "split",
                "error",
                f"{copies:,} of {len(known[name]):,} {name} games are also trained on, as they "
                "are, mirrored or turned",
                "copies of one game fall on both sides: the split does not go by the game's "
                "symmetry-invariant form",
                "split by a hash of the symmetry-invariant form, or remove the copies first",
            )
