"""Audit of a set of games: counts, duplicates, baselines and label leaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import ArchiveBuilder, GameArchive
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.collection.duplicates import Duplicates, find_duplicates, unique_by_ply
from hexsearch.data.collection.importing import ImportReport, read_games
from hexsearch.data.collection.leaks import AUDITED, Leak, check_curriculum
from hexsearch.data.order import Indices
from hexsearch.data.positions import all_positions
from hexsearch.data.stages import STAGE_NAMES, stage_of, to_end_band, to_end_names
from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED
from hexsearch.progress import at_intervals

_BASELINE_POSITIONS = 250_000  # positions of each half that are evaluated, at most
_FEWEST_GAMES = 20  # with fewer games, baselines and leaks are not computed
_IDENTIFIED = 0.999  # share of games that must be unique at the fingerprint ply


@dataclass(frozen=True)
class Audit:
    """Counted findings on a set of games.

    Attributes:
        size: the commonest board size; positions, baselines and leaks are about its games.
        unverified: number of games whose winner replay does not confirm.
        unique: [K] share of the distinct games that are unique after k moves, k from 1.
        lengths: [L] number of games by number of moves.
        first_moves: [N, N] number of games by first move.
        stages, to_end: number of positions by name.
        baselines: one row for each baseline, with the leaderboard's figures.
        search: how far the values of a search and the results differ; None without such values.
    """

    report: ImportReport
    sizes: dict[int, int]
    size: int
    winners: dict[str, int]
    unverified: int
    duplicates: Duplicates
    unique: NDArray[np.float64]
    lengths: NDArray[np.int64]
    first_moves: NDArray[np.int64]
    stages: dict[str, int]
    to_end: dict[str, int]
    baselines: list[dict[str, Any]]
    leaks: list[Leak]
    search: dict[str, Any] | None

    @property
    def fingerprint_ply(self) -> int | None:
        """Number of moves after which nearly all games are unique, or None if there is none."""
        reached = np.flatnonzero(self.unique >= _IDENTIFIED)
        return int(reached[0]) + 1 if len(reached) else None


def audit_games(
    paths: Sequence[str | Path],
    board_size: int | None = None,
    stages: StagesConfig | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Audit:
    """Read games and audit them.

    Args:
        board_size: board size of files that do not state it.
        say: called with a line of progress every few seconds.
    Raises:
        GamesError: a path cannot be used, or the paths hold no usable game.
    """
    report = ImportReport(watch=at_intervals(say))
    builder = ArchiveBuilder()
    for games, refused in read_games(paths, report, board_size):
        report.refuse(refused)
        report.read += len(games)
        builder.add(games)
    if not report.read:
        where = ", ".join(str(path) for path in paths)
        reasons = [str(refusal) for refusal in report.refused] or report.skipped
        raise GamesError([f"{where}: no usable game", *reasons])
    return audit_archive(builder.build(), report, stages or StagesConfig())


def audit_archive(
    archive: GameArchive, report: ImportReport, stages: StagesConfig, baselines: bool = True
) -> Audit:
    """Audit an archive.

    Args:
        report: the report of its import.
        baselines: whether baselines are fitted, which takes most of the time.
    """
    values, counts = np.unique(archive.sizes, return_counts=True)
    sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    size = max(sizes, key=lambda side: sizes[side])
    games = np.flatnonzero(archive.sizes == size)
    duplicates = find_duplicates(archive)
    first = archive.moves[archive.offsets[games].astype(np.int64)]
    positions = all_positions(archive, games)
    game, ply = positions.at(np.arange(len(positions)))
    enough = len(games) >= _FEWEST_GAMES
    return Audit(
        report=report,
        sizes=sizes,
        size=size,
        winners={
            "blue": int((archive.winners == BLUE).sum()),
            "red": int((archive.winners == RED).sum()),
        },
        unverified=int((archive.finished == 0).sum()),
        duplicates=duplicates,
        unique=unique_by_ply(archive, np.setdiff1d(games, duplicates.repeats)),
        lengths=np.bincount(archive.lengths[games]),
        first_moves=np.bincount(first, minlength=size * size).reshape(size, size),
        stages=_count_stages(archive, game, ply, size, stages),
        to_end=_named(to_end_names(), to_end_band(archive.lengths[game] - ply)),
        baselines=_baseline_rows(archive, games, stages) if enough and baselines else [],
        leaks=_leaks(archive, games, stages) if enough else [],
        search=_search_row(archive, game, ply, stages),
    )


def _search_row(
    archive: GameArchive, game: Indices, ply: Indices, stages: StagesConfig
) -> dict[str, Any] | None:
    """Where a search valued a position, how far that lies from the result."""
    values = archive.search_values_of(game, ply).astype(np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return None
    game, ply, values = game[known], ply[known], values[known]
    red_won = (archive.winners[game] == RED).astype(np.float64)
    gap = np.abs(values - red_won)
    right = ((values > 0.5) == (red_won > 0.5)).astype(np.float64)
    stage = stage_of(ply, int(archive.sizes[game[0]]), stages)
    where = {name: stage == number for number, name in enumerate(STAGE_NAMES)}
    return {
        "positions": len(known),
        "difference": float(gap.mean()),
        "value_loss": float((gap**2).mean()),
        "accuracy": float(right.mean()),
        "stages": {name: _means(gap**2, right, rows) for name, rows in where.items()},
    }


def _named(names: Sequence[str], numbers: NDArray[np.int8]) -> dict[str, int]:
    counts = np.bincount(numbers, minlength=len(names)).tolist()
    return dict(zip(names, counts, strict=True))


def _count_stages(
    archive: GameArchive, game: Indices, ply: Indices, size: int, stages: StagesConfig
) -> dict[str, int]:
    counts = _named(STAGE_NAMES, stage_of(ply, size, stages))
    back = archive.lengths[game] - ply
    finished = archive.finished[game] == 1
    counts["penultimate"] = int((finished & (back == 1)).sum())
    counts["final"] = int((finished & (back == 0)).sum())
    return counts


def _baseline_rows(
    archive: GameArchive, games: Indices, stages: StagesConfig
) -> list[dict[str, Any]]:
    """Rows of both baselines. The table for each half of the games is fitted on the other half."""
    half = (archive.hashes[games] & np.uint64(1)) == 1
    if half.all() or not half.any():
        return []
    parts: dict[str, list[NDArray[np.float64]]] = {}
    evaluated = []
    for side in (False, True):
        held_out = games[half == side]
        ends = np.cumsum(archive.lengths[held_out] + 1)
        held_out = held_out[: max(1, int(np.searchsorted(ends, _BASELINE_POSITIONS)))]
        positions = all_positions(archive, held_out)
        evaluated.append(positions.at(np.arange(len(positions))))
        for name, values in baseline_predictions(archive, games[half != side], positions).items():
            parts.setdefault(name, []).append(values)
    game, ply = (np.concatenate(column) for column in zip(*evaluated, strict=True))
    red_won = (archive.winners[game] == RED).astype(np.float64)
    back = archive.lengths[game] - ply
    finished = archive.finished[game] == 1
    stage = stage_of(ply, int(archive.sizes[games[0]]), stages)
    slices = {name: stage == number for number, name in enumerate(STAGE_NAMES)}
    slices["penultimate"] = finished & (back == 1)
    slices["final"] = finished & (back == 0)
    band = to_end_band(back)
    bands = {name: band == number for number, name in enumerate(to_end_names())}
    # In the overall figures every game has the same weight, as if one ply were drawn from each.
    by_game = 1.0 / (archive.lengths[game] + 1)
    rows = []
    for name, pieces in parts.items():
        win_prob = np.concatenate(pieces)
        loss = (win_prob - red_won) ** 2
        right = ((win_prob > 0.5) == (red_won > 0.5)).astype(np.float64)
        rows.append(
            {
                "name": name,
                "value_loss": float(np.average(loss, weights=by_game)),
                "accuracy": float(np.average(right, weights=by_game)),
                "value_loss_by_position": float(loss.mean()),
                "accuracy_by_position": float(right.mean()),
                "positions": len(game),
                "stages": {key: _means(loss, right, where) for key, where in slices.items()},
                "to_end": {key: _means(loss, right, where) for key, where in bands.items()},
            }
        )
    return rows


def _means(
    loss: NDArray[np.float64], right: NDArray[np.float64], where: NDArray[np.bool_]
) -> dict[str, float | int | None]:
    count = int(where.sum())
    return {
        "value_loss": float(loss[where].mean()) if count else None,
        "accuracy": float(right[where].mean()) if count else None,
        "positions": count,
    }


def _leaks(archive: GameArchive, games: Indices, stages: StagesConfig) -> list[Leak]:
    finished = games[archive.finished[games] == 1]
    leaks = []
    for name in AUDITED:
        chosen = games if name in ("all", "last_k") else finished
        if len(chosen) >= _FEWEST_GAMES:
            curriculum = CurriculumConfig.model_validate({"name": name})
            leaks.append(check_curriculum(archive, chosen, curriculum, stages))
    return leaks
