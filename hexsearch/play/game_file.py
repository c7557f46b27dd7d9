"""A file of generated games: the first line has their settings, each other line a numbered game.

Games that repeat another one, also mirrored or turned, are left out. So numbers may have gaps. A
file that was cut off at any place can be continued.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from hexsearch.errors import GamesError
from hexsearch.game.formats.trmph import format_trmph, read_trmph
from hexsearch.game.record import Game, Refusal
from hexsearch.game.symmetry import canonical_moves
from hexsearch.training.atomic import append_line

_NUMBER = re.compile(r" # ([0-9]{1,18})(?![0-9])")  # of a game, in its comment
Made = TypeVar("Made")


class GameFile:
    """An open file of games.

    Args:
        header: the first line, which states all settings of the games.
    Attributes:
        next_number: number of the next game.
    Raises:
        GamesError: the file was made with other settings, is damaged, or is compressed.
    """

    def __init__(self, path: Path, header: str) -> None:
        if path.suffix in {".gz", ".zip"}:
            raise GamesError(
                f"{path}: games are appended to plain text; name it {path.with_suffix('')}"
            )
        self._path = path
        self._seen: set[bytes] = set()
        self.next_number = 0
        if path.exists():
            self._read(header)
        else:
            append_line(path, header)

    @property
    def held(self) -> int:
        """Number of games in the file."""
        return len(self._seen)

    def add(self, game: Game, note: str = "") -> bool:
        """Append a game with its number, `game.line`. Returns False if the file has it already."""
        self.next_number = game.line + 1
        key = canonical_moves(np.asarray(game.moves), game.size)
        if key in self._seen:
            return False
        append_line(self._path, f"{format_trmph(game)} # {game.line}{note and f' {note}'}")
        self._seen.add(key)
        return True

    def _read(self, header: str) -> None:
        if not self._path.is_file():
            raise GamesError(f"{self._path}: is not a file; give another name")
        text = self._path.read_text(encoding="utf-8", errors="replace")
        # A line that a crash has cut off is not a game. The next append removes it.
        lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
        if not lines or lines[0].strip() != header:
            first = lines[0].strip() if lines else "an empty file"
            raise GamesError(
                f"{self._path}: was made with other settings ({first}); those of this run are: "
                f"{header}. Give another file, or the same settings."
            )
        for record in read_trmph(lines, str(self._path)):
            if isinstance(record, Refusal):
                raise GamesError(f"{record}. Delete the line to continue the file.")
            self._seen.add(canonical_moves(np.asarray(record.moves), record.size))
            number = _NUMBER.search(lines[record.line - 1])
            if number is None:
                raise GamesError(f"{self._path} line {record.line}: has no number; delete the line")
            self.next_number = int(number[1]) + 1


def fill_game_file(
    path: Path,
    header: str,
    wanted: int,
    games_from: Callable[[int], Generator[tuple[Game, str], None, None]],
    on_game: Callable[[int], None],
) -> int:
    """Append games to a file until it holds `wanted` of them.

    Args:
        games_from: function that gives games with their comments, from a number on, without end.
        on_game: called with the number of games in the file.
    Returns:
        The number of games in the file.
    Raises:
        GamesError: see GameFile.
    """
    file = GameFile(path, header)
    on_game(file.held)
    with closing(games_from(file.next_number)) as stream:
        while file.held < wanted:
            if file.add(*next(stream)):
                on_game(file.held)
    return file.held


def made_in_order(
    make: Callable[[int], Made], first: int, workers: int, ahead: int
) -> Iterator[Made]:
    """`make(first)`, `make(first + 1)` and so on without end, in this process or in several.

    Args:
        make: it is sent to other processes if there are several workers.
        ahead: number of calls that are begun before their results are needed.
    """
    if workers <= 1:
        for number in count(first):
            yield make(number)
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_prepare_worker
    )
    try:
        pending = [pool.submit(make, first + place) for place in range(ahead)]
        for number in count(first + ahead):
            yield pending.pop(0).result()
            pending.append(pool.submit(make, number))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, and use one core for each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
