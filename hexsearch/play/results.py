"""The file of a match: a header with players and settings, then one line for each opening."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hexsearch.errors import ConfigError
from hexsearch.play.game_loop import PlayedGame
from hexsearch.training.atomic import append_line

_FORMAT = "hexsearch match 1"


@dataclass(frozen=True)
class OpeningResult:
    """Both games of one opening between two players.

    Attributes:
        a, b: numbers of the players.
        opening: number of the opening.
        games: player a has Blue in the first game, and player b in the second, unless they swap.
            `winner` is 0 for a and 1 for b.
        moves, seconds: number and time of the moves of a and of b, in both games.
    """

    a: int
    b: int
    opening: int
    games: tuple[PlayedGame, PlayedGame]
    moves: tuple[int, int]
    seconds: tuple[float, float]

    @property
    def score(self) -> int:
        """Number of games that a has won: 0, 1 or 2."""
        return sum(game.winner == 0 for game in self.games)


class MatchFile:
    """The results of a match so far, on disk.

    Args:
        path: the file; None stores nothing.
        head: players and settings. A file with another header is refused.
    Raises:
        ConfigError: the file is not that of a match, or that of another match.
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
        """Store results."""
        for result in results:
            self.results.append(result)
            if self._path is not None:
                append_line(self._path, json.dumps(asdict(result)))


def _read(path: Path, head: dict[str, Any]) -> list[OpeningResult]:
    try:
        lines = [json.loads(line) for line in _whole_lines(path)]
        if lines[0].get("format") != _FORMAT:
            raise ValueError("its first line is not that of a match")
        found = {name: value for name, value in lines[0].items() if head.get(name) != value}
        results = [_result(line) for line in lines[1:]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise ConfigError(
            f"{path}: is not a file of a match ({error}); give another name"
        ) from error
    if found:
        raise ConfigError(
            f"{path}: holds another match: it differs in {', '.join(found)}; give another file, "
            "or play with the same players and settings"
        )
    return results


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file, without a last line that a crash has cut off."""
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _result(line: dict[str, Any]) -> OpeningResult:
    first, second = (
        PlayedGame(**{**game, "moves": tuple(game["moves"])}) for game in line.pop("games")
    )
    moves, seconds = tuple(line.pop("moves")), tuple(line.pop("seconds"))
    return OpeningResult(**line, games=(first, second), moves=moves, seconds=seconds)
