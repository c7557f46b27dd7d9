"""The file of a match: a head that says what is played, then a line for each opening played."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hexsearch.errors import ConfigError
from hexsearch.game.record import Game
from hexsearch.play.game_loop import PlayedGame, winning_colour
from hexsearch.training.atomic import append_line

_FORMAT = "hexsearch match 1"


@dataclass(frozen=True)
class OpeningResult:
    """Both games of one opening between two players.

    Attributes:
        a, b: numbers of the players. opening: number of the opening.
        games: player a has Blue in the first one, player b in the second one, swaps aside. A
            winner is 0 for a and 1 for b.
        moves, seconds: of a and of b, over both games.
    """

    a: int
    b: int
    opening: int
    games: tuple[PlayedGame, PlayedGame]
    moves: tuple[int, int]
    seconds: tuple[float, float]

    @property
    def score(self) -> int:
        """Games that a won: 0, 1 or 2."""
        return sum(game.winner == 0 for game in self.games)


class MatchFile:
    """What has been played so far, on disk.

    Args:
        path: None keeps nothing.
        head: what is played; a file with another head is refused.
    Raises:
        ConfigError: the file is no match, or of another one.
    """

    def __init__(self, path: Path | None, head: dict[str, Any]) -> None:
        self._path = path
        self.results: list[OpeningResult] = []
        first = {"format": _FORMAT, **head}
        if path is None:
            return
        if path.exists() and path.stat().st_size:
            self.results = _read(path, first)
        else:
            append_line(path, json.dumps(first))

    def add(self, results: Iterable[OpeningResult]) -> None:
        """Keep results."""
        for result in results:
            self.results.append(result)
            if self._path is not None:
                append_line(self._path, json.dumps(asdict(result)))


def _read(path: Path, head: dict[str, Any]) -> list[OpeningResult]:
    try:
        lines = [json.loads(line) for line in _whole_lines(path)]
        if lines[0].get("format") != _FORMAT:
            raise ValueError("it does not begin as one")
        found = {name: value for name, value in lines[0].items() if head.get(name) != value}
        results = [_result(line) for line in lines[1:]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise ConfigError(f"{path}: is no file of a match ({error}); name another one") from error
    if found:
        raise ConfigError(
            f"{path}: holds another match: it differs in {', '.join(found)}; name another file, "
            "or play with the same players and settings"
        )
    return results


def _whole_lines(path: Path) -> list[str]:
    """A line cut short by a crash is left out; the next one written removes it."""
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _result(line: dict[str, Any]) -> OpeningResult:
    first, second = (
        PlayedGame(**{**game, "moves": tuple(game["moves"])}) for game in line.pop("games")
    )
    moves, seconds = tuple(line.pop("moves")), tuple(line.pop("seconds"))
    return OpeningResult(**line, games=(first, second), moves=moves, seconds=seconds)


def as_games(results: Sequence[OpeningResult], size: int, source: str) -> list[Game]:
    """The games that were played to a connection, as records that can be stored and shown."""
    games = []
    for number, result in enumerate(results, start=1):
        for game in result.games:
            if game.fault is None:
                games.append(Game(size, game.moves, winning_colour(game), True, source, number))
    return games
