"""A file of generated games: how they were made, then one whole game a line, each with its number.

Duplicates up to symmetry are left out, so numbers may have gaps; a file cut off anywhere goes on
where it ends.
"""

from __future__ import annotations

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

Made = TypeVar("Made")


class GameFile:
    """An open file of games.

    Args:
        header: the first line, which names everything that decides the games.
    Attributes:
        held: games in the file. next_number: of the first game that it has not seen.
    Raises:
        GamesError: the file was made with other settings, is damaged, or is a compressed one.
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
        """Games in the file."""
        return len(self._seen)

    def add(self, game: Game, note: str = "") -> bool:
        """Append a game under its number, `game.line`; False if the file holds a copy of it."""
        self.next_number = game.line + 1
        key = canonical_moves(np.asarray(game.moves), game.size)
        if key in self._seen:
            return False
        append_line(self._path, f"{format_trmph(game)} # {game.line}{note and f' {note}'}")
        self._seen.add(key)
        return True

    def _read(self, header: str) -> None:
        if not self._path.is_file():
            raise GamesError(f"{self._path}: is no file; name another one")
        text = self._path.read_text(encoding="utf-8", errors="replace")
        # A line cut short by a crash is no game; the next one appended removes it.
        lines = text[: text.rfind("\n") + 1].splitlines()
        if not lines or lines[0] != header:
            found = lines[0] if lines else "an empty file"
            raise GamesError(
                f"{self._path}: was made with other settings ({found}); this run is {header!r}. "
                "Name another file, or use the same settings."
            )
        for record, line in zip(read_trmph(lines, str(self._path)), lines[1:], strict=True):
            if isinstance(record, Refusal):
                raise GamesError(f"{record}. Delete the line to go on from there.")
            self._seen.add(canonical_moves(np.asarray(record.moves), record.size))
            number = line.rpartition(" # ")[2].split()
            if not number or not number[0].isascii() or not number[0].isdigit():
                raise GamesError(f"{self._path}: '{line[:40]}' has no number; delete the line")
            self.next_number = int(number[0]) + 1


def fill_game_file(
    path: Path,
    header: str,
    wanted: int,
    games_from: Callable[[int], Generator[tuple[Game, str], None, None]],
    on_game: Callable[[int], None],
) -> int:
    """Append games to a file until it holds `wanted` of them.

    Args:
        games_from: games with their comments, by rising number from the one given on, without end.
        on_game: told how many the file holds.
    Returns:
        How many games the file holds now.
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
        make: crosses process borders where there are several workers.
        ahead: how many are begun for all workers together before they are needed.
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
    """Ctrl-C is for the parent; processes side by side use a core each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
