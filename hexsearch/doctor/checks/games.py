"""Checks of the games one by one: winners, edges, duplicates, and their split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.adjacency import cause_of_rule, other_adjacency
from hexsearch.doctor.hypotheses.boards.board_readings import (
    moved_cells,
    other_reading,
    shifted_winners,
    turned_reading,
    unlike_winners,
)
from hexsearch.doctor.hypotheses.boards.refused_games import wrong_winners
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.board import Stones, winners
from hexsearch.game.reading import Decision
from hexsearch.game.record import REPLAY_DISAGREES

_TRANSPOSED = 1_000  # games of a file that are transposed
_NEARLY_ALL = 0.97  # share of misjudged games in which nobody has connected
_REPLAYED, _CHUNK = 200_000, 8192  # games that are replayed, and as many of them at once


def check_labels(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare winners with replay, in the archive and among the games that the import refused."""
    archive = pipeline.archive
    if archive is not None:
        wrong = _misjudged(archive)
        if len(wrong):
            yield _wrong_winners(archive, wrong)
    if pipeline.imported is None:
        return
    refused = Counter(
        refusal.file for refusal in pipeline.imported.refused if REPLAY_DISAGREES in refusal.reason
    )
    total = sum(refused.values())
    seen = pipeline.imported.read + len(pipeline.imported.refused)
    if total > 0.02 * seen:
        where = ", ".join(f"{Path(file).name}: {count:,}" for file, count in refused.most_common(3))
        told = wrong_winners(
            [
                each.game
                for each in pipeline.imported.refused
                if REPLAY_DISAGREES in each.reason and each.game is not None
            ],
            archive,
        )
        yield Finding.error(
            "labels",
            f"in {total:,} of {seen:,} games one colour is named as the winner while the other "
            f"connects ({where}); the import refused them",
            f"winners are written wrongly: {told}"
            if told
            else "the winner is written the other way round in these files, or in part of them",
            "exchange the winners' letters there and import again; refused games are not used",
            root="recorded" if told else "",
        )


def _wrong_winners(archive: GameArchive, wrong: NDArray[np.int64]) -> Finding:
    """The finding for games whose winner has not connected."""
    some = wrong[:_CHUNK]
    nobody = winners(stones_at(archive, some, archive.lengths[some])) == 0
    evidence = (
        f"in {len(wrong):,} of {min(len(archive), _REPLAYED):,} games the named winner has not "
        f"connected ({_by_file(archive, wrong)})"
    )
    rule = other_adjacency(archive, wrong) if nobody.mean() > _NEARLY_ALL else ""
    if rule:
        cause, remedy = cause_of_rule(rule, len(wrong) / max(int(archive.finished.sum()), 1))
        evidence = f"{evidence}; by other neighbours nearly all of them have"
        return Finding.error("labels", evidence, cause, remedy)
    if nobody.mean() > 0.5:
        return _unfinished(archive, some, f"{evidence}; in {nobody.mean():.0%} of them nobody has")
    reading = other_reading(archive, np.flatnonzero(archive.finished == 0).astype(np.int64))
    if reading and not archive.finished[wrong].any():
        return _read_wrongly(evidence, reading)
    unlike = unlike_winners(archive, wrong)
    if unlike:
        return Finding.error(
            "labels", evidence, *unlike, root="recorded" if "whoever" in unlike[0] else ""
        )
    shifted = shifted_winners(archive, wrong)
    return Finding.error(
        "labels",
        evidence,
        f"results are assigned to the wrong games: {shifted} (a line of their list was lost)"
        if shifted
        else "the winner's letter or digit is read the other way round for these games: labels are "
        "inverted",
        "match games and results by a key, not by their place, and import them again"
        if shifted
        else "exchange the winners in the files that the evidence names, and import them again",
    )


def _read_wrongly(evidence: str, reading: str, some: str = "") -> Finding:
    return Finding.error(
        "labels",
        evidence,
        f"games are read wrongly{some}: {reading}",
        "compare one such game with its source, correct how it is read, and import it again",
        root="recorded",
    )


def _unfinished(archive: GameArchive, games: NDArray[np.int64], evidence: str) -> Finding:
    """The finding for games that are marked as finished, and in which nobody has connected."""
    moved = moved_cells(archive, games)
    if moved:
        return Finding.error(
            "labels",
            f"{evidence}, and nearly all have if each move is moved back",
            f"moves are read wrongly: {moved}",
            "correct the number of the first cell, and import the games again",
        )
    if reading := other_reading(archive, games):
        is_part = (archive.finished == 1).sum() > 1.5 * len(games)
        some = " in part of the games" if is_part else ""
        return _read_wrongly(f"{evidence}; read otherwise, nearly all winners have", reading, some)
    return Finding.error(
        "labels",
        evidence,
        "these games are marked as finished, but end before a connection: their last moves are "
        "missing (cut off, or off by one), or their moves are read wrongly",
        "compare the number of moves with that in the source, and import the games again",
    )


def _misjudged(archive: GameArchive) -> NDArray[np.int64]:
    """Indices of the games whose winner is not that of their replay."""
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
    """In words, from which files the games come: the three with most of them."""
    counts = np.bincount(archive.files[games], minlength=len(archive.sources))
    totals = np.bincount(archive.files, minlength=len(archive.sources))
    worst = np.argsort(-counts)[:3]
    return ", ".join(
        f"{Path(archive.sources[file]).name}: {counts[file]:,} of {totals[file]:,}"
        for file in worst
        if counts[file]
    )


_COLUMN_MAJOR = (
    "moves are read column-major (row and column are exchanged): the named winners fit the first "
    "mover, but the board is transposed"
)
_WRONG_EDGES = (
    "the first mover is on the wrong edges: it is Red, who connects left to right, but is taken "
    "for Blue; exchanged rows and columns do not explain it, since the named winners are "
    "exchanged, too"
)


def check_edges(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report games that end with a connection only if rows and columns are exchanged.

    Exchanging rows and columns, and giving the first mover the other edges, are the same reflection
    of the stones. Only the named winners distinguish them.
    """
    imported = needed(pipeline.imported)
    for decision in imported.decisions:
        name, finished = Path(decision.source).name, decision.agree + decision.disagree
        reading = decision.reading
        if reading.left_right:
            yield Finding.warning(
                "edges",
                f"{name}: {decision.agree:,} of {finished:,} finished games end with the winner's "
                "connection if rows and columns"
                f"{' and the named winners' if reading.red_first else ''} are exchanged, and "
                f"{decision.otherwise_agree:,} as they are written",
                _WRONG_EDGES if reading.red_first else _COLUMN_MAJOR + _by_seat(decision),
                "no action is needed here, since the import undoes the reflection; other programs "
                "that read this file must do so, too",
            )
    if pipeline.archive is not None:
        yield from _transposed_games(pipeline.archive)


def _by_seat(decision: Decision) -> str:
    """The second possible cause if the format names winners by who moved first; else empty."""
    if decision.format == "TRMPH":
        return ""
    return (
        ". Or the first mover connects left to right: this format names winners by who moved "
        "first, so its games do not say which. Both are the same reflection"
    )


def _transposed_games(archive: GameArchive) -> Iterator[Finding]:
    """Report files whose stored games end with a connection only if the board is transposed."""
    for file, source in enumerate(archive.sources):
        games = np.flatnonzero(archive.files == file)[:_TRANSPOSED].astype(np.int64)
        boards = stones_at(archive, games, archive.lengths[games])
        won, finished = archive.winners[games], int((archive.finished[games] == 1).sum())
        upright = int((winners(boards) == won).sum())
        transposed = winners(boards.transpose(0, 2, 1).copy())
        same, exchanged = int((transposed == won).sum()), int((transposed == -won).sum())
        turned = _turned(archive, file, boards, won, upright)
        if turned is not None:
            yield turned
            continue
        for count, cause, remedy in (
            (same, _COLUMN_MAJOR, "exchange row and column of every move of this file"),
            (
                exchanged,
                _WRONG_EDGES,
                "reflect every move of this file in the long diagonal and exchange the colours",
            ),
        ):
            if count > max(2 * upright, 10, 0.8 * (same + exchanged), 0.8 * finished):
                yield Finding.error(
                    "edges",
                    f"{Path(source).name}: {upright:,} of {len(games):,} games end with the "
                    f"winner's connection as they are stored, {same:,} with rows and columns "
                    f"exchanged, and {exchanged:,} with the winners exchanged, too",
                    cause,
                    f"{remedy} before importing it",
                )


def _turned(
    archive: GameArchive, file: int, boards: Stones, won: NDArray[np.int8], upright: int
) -> Finding | None:
    """The finding for a file of flipped or turned boards; None if it is not."""
    most, words = turned_reading(boards, won)
    if most <= max(2 * upright, 10, 0.9 * len(boards)):
        return None
    return Finding.error(
        "edges",
        f"{Path(archive.sources[file]).name}: {upright:,} of {len(boards):,} games end with the "
        f"winner's connection as they are stored, and {most:,} if they are read otherwise",
        f"games are read wrongly: {words}",
        "correct how rows and columns of this file are read, and import it again",
        root="recorded",
    )


def check_duplicates(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report games that are copies of each other, also mirrored or turned ones."""
    archive = needed(pipeline.archive)
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
        yield Finding.error(
            "duplicates",
            f"{len(contradictions):,} games occur twice with different winners; the first one is "
            f"on lines {lines}",
            "two sources disagree about the winner, or about the edges of the colours",
            "compare both games with their sources, and leave the wrong one out",
            root="contradiction",
        )
    if copies > 0.01 * len(forms):
        yield Finding.warning(
            "duplicates",
            f"{copies:,} of {len(forms):,} games are copies of others, also mirrored or turned "
            "ones",
            f"only {len(groups):,} games are different (duplicates): files overlap, or games were "
            "written several times, such as in all four symmetries",
            "leave copies out (`hexsearch games convert PATH --distinct --output clean.games`): "
            "they have a higher weight than other games, and augmentation makes symmetric ones",
        )
