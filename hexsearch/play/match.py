"""Matches: every pair of players plays each opening twice with colours exchanged."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from hexsearch.errors import ConfigError
from hexsearch.play.game_loop import Start, play_games
from hexsearch.play.openings import opening
from hexsearch.play.player import Player
from hexsearch.play.results import MatchFile, OpeningResult
from hexsearch.play.spec import PlayerSpec, build_player, content_hash

_OPENINGS_AT_ONCE = 16  # openings of one pair that are played together, with both games of each
OPENINGS_PLAYED = "openings played"  # progress of a match in words, each minute
MINUTE_S = 60.0
_ONE_BY_ONE = "engine"  # an external engine plays one game at a time


@dataclass(frozen=True, kw_only=True)
class MatchSettings:
    """Settings of a match, apart from its players.

    Attributes:
        openings: number of openings, of the numbered ones or of `given`.
        given: openings from a file, instead of the numbered ones.
    """

    size: int
    openings: int
    seed: int = 0
    swap: bool = False
    given: tuple[tuple[int, ...], ...] | None = None

    def opening(self, index: int) -> tuple[int, ...]:
        """Moves of one opening."""
        return opening(self.size, index, self.seed) if self.given is None else self.given[index]

    def head(self, players: Sequence[PlayerSpec]) -> dict[str, Any]:
        """Values that must be equal to continue a match. The number of openings may increase."""
        given = None
        if self.given is not None:
            given = hashlib.blake2b(repr(self.given).encode(), digest_size=8).hexdigest()
        return {
            "size": self.size,
            "seed": self.seed,
            "swap": self.swap,
            "given": given,
            "players": [_identity(player) for player in players],
        }


def _identity(player: PlayerSpec) -> dict[str, Any]:
    """Identity of a player. For checkpoints it is their content, since they may be moved."""
    policy = None if player.policy is None else content_hash(Path(player.policy))
    return {**asdict(player), "path": "", "policy": policy}


@dataclass(frozen=True)
class _Unit:
    """Work for one process: some openings between two players."""

    a: int
    b: int
    openings: tuple[int, ...]


def play_match(
    players: Sequence[PlayerSpec],
    settings: MatchSettings,
    path: Path | None = None,
    workers: int = 1,
    on_result: Callable[[int, int], None] = lambda done, total: None,
) -> list[OpeningResult]:
    """Play the missing games of a round robin.

    Games do not depend on the number of workers, since the batches do not depend on it.

    Args:
        path: file of the results, from which the match continues.
        on_result: called with the number of openings that were played, and of all.
    Returns:
        Results of the openings, in order.
    Raises:
        ConfigError: there are fewer than two players, equal names, or a file of another match.
    """
    _check(players, settings)
    file = MatchFile(path, settings.head(players))
    pairs = list(combinations(range(len(players)), 2))
    total = len(pairs) * settings.openings
    done = {(result.a, result.b, result.opening) for result in file.results}
    wanted = {(a, b, index) for a, b in pairs for index in range(settings.openings)}
    on_result(len(done & wanted), total)
    for results in _played(_units(players, settings, done), players, settings, workers):
        file.add(results)
        done |= {(result.a, result.b, result.opening) for result in results}
        on_result(len(done & wanted), total)
    kept = [r for r in file.results if (r.a, r.b, r.opening) in wanted]
    return sorted(kept, key=lambda result: (result.a, result.b, result.opening))


def _check(players: Sequence[PlayerSpec], settings: MatchSettings) -> None:
    problems = []
    if len(players) < 2:
        problems.append(f"a match needs two players, not {len(players)}")
    names = [player.name for player in players]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"player '{name}' is named twice; copy the file to play it against itself")
    if settings.given is not None and settings.openings > len(settings.given):
        problems.append(
            f"{settings.openings} openings are requested, but the file has {len(settings.given)}"
        )
    if problems:
        raise ConfigError(problems)


def _units(
    players: Sequence[PlayerSpec], settings: MatchSettings, done: set[tuple[int, int, int]]
) -> list[_Unit]:
    """Openings that are not played yet, in blocks. The pairs alternate."""
    units = []
    pairs = list(combinations(range(len(players)), 2))
    for start in range(0, settings.openings, _OPENINGS_AT_ONCE):
        block = range(start, min(start + _OPENINGS_AT_ONCE, settings.openings))
        for a, b in pairs:
            left = [index for index in block if (a, b, index) not in done]
            if _ONE_BY_ONE in (players[a].kind, players[b].kind):
                units += [_Unit(a, b, (index,)) for index in left]
            elif left:
                units.append(_Unit(a, b, tuple(left)))
    return units


def _played(
    units: Sequence[_Unit], players: Sequence[PlayerSpec], settings: MatchSettings, workers: int
) -> Iterator[list[OpeningResult]]:
    if workers <= 1 or len(units) <= 1:
        for unit in units:
            yield _play(unit, (players[unit.a], players[unit.b]), settings)
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_in_worker)
    try:
        left = {
            pool.submit(_play, unit, (players[unit.a], players[unit.b]), settings) for unit in units
        }
        while left:
            ended, left = wait(left, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and use one thread, which is faster here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


@cache
def _kept(spec: PlayerSpec) -> Player:
    """A player. Each process loads a network only once."""
    return build_player(spec)


def _play(
    unit: _Unit, specs: tuple[PlayerSpec, PlayerSpec], settings: MatchSettings
) -> list[OpeningResult]:
    """Both games of each opening of a unit."""
    external = [spec.kind == _ONE_BY_ONE for spec in specs]
    built = [
        build_player(spec) if out else _kept(spec)
        for spec, out in zip(specs, external, strict=True)
    ]
    starts = [
        Start(settings.opening(index), blue, (settings.seed, unit.a, unit.b, index, blue))
        for index in unit.openings
        for blue in (0, 1)
    ]
    # An engine plays one game at a time, so the games of its unit are played one by one.
    groups = [[start] for start in starts] if any(external) else [starts]
    players = (built[0], built[1])
    games, moves, seconds = [], [0, 0], [0.0, 0.0]
    try:
        for group in groups:
            played, paces = play_games(players, group, settings.size, settings.swap)
            games += played
            for side, pace in enumerate(paces):
                moves[side] += pace.moves
                seconds[side] += pace.seconds
    finally:
        for player, out in zip(built, external, strict=True):
            if out:
                with suppress(OSError):
                    player.close()
    return [
        OpeningResult(
            unit.a,
            unit.b,
            index,
            (games[2 * place], games[2 * place + 1]),
            _share(moves, place, len(unit.openings)),
            (seconds[0] / len(unit.openings), seconds[1] / len(unit.openings)),
        )
        for place, index in enumerate(unit.openings)
    ]


def _share(moves: list[int], place: int, places: int) -> tuple[int, int]:
    """An opening's part of the moves of a unit. The parts are whole numbers with the same sum."""
    first, second = (count * (place + 1) // places - count * place // places for count in moves)
    return first, second
