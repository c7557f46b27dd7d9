"""Writes games to files. A file is written completely or not at all."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hexsearch.data.archive import GameArchive, build_archive, write_archive
from hexsearch.errors import GamesError
from hexsearch.game.formats.hexworld import format_hexworld
from hexsearch.game.formats.plain import format_coloured, format_dat
from hexsearch.game.formats.sgf import format_katahex, format_littlegolem, format_sgf
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.record import Game
from hexsearch.game.search_values import as_probabilities, values_note

TEXT_FORMATS: dict[str, Callable[[Game], str]] = {
    "trmph": format_trmph,
    "hexworld": format_hexworld,
    "sgf": format_sgf,
    "littlegolem": format_littlegolem,
    "katahex": format_katahex,
    "dat": format_dat,
    "coloured": format_coloured,
}
ARCHIVE = "archive"
_SUFFIXES = {".trmph": "trmph", ".sgf": "sgf", ".dat": "dat", ".games": ARCHIVE}


def format_for(path: Path) -> str:
    """The format that the end of a file's name stands for, apart from `.gz`.

    Raises:
        GamesError: the name has none of the known endings.
    """
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in _SUFFIXES:
        suffixes = ", ".join(f"{end} ({kind})" for end, kind in _SUFFIXES.items())
        raise GamesError(
            f"{path}: the name does not tell the format; end it in {suffixes}, or give --to"
        )
    return _SUFFIXES[suffix]


def chosen_games(archive: GameArchive, finished: bool, distinct: bool) -> GameArchive:
    """The games of an archive without those that are not wanted.

    Args:
        finished: leave out games that do not end with a connection.
        distinct: leave out games that equal an earlier one, or its mirrored or turned copy.
    Raises:
        GamesError: no game is left.
    """
    wanted = np.ones(len(archive), dtype=bool)
    if finished:
        wanted &= archive.finished.astype(bool)
    if distinct:
        kept = np.flatnonzero(wanted)
        _, first = np.unique(archive.hashes[kept], return_index=True)
        wanted[:] = False
        wanted[kept[first]] = True
    if wanted.all():
        return archive
    if not wanted.any():
        raise GamesError("no game ends with a connection, so none is left")
    return build_archive(archive.game(int(index)) for index in np.flatnonzero(wanted))


def write_games(path: Path, archive: GameArchive, kind: str) -> None:
    """Write all games as an archive or as text, compressed if the name ends in `.gz`.

    Raises:
        GamesError: the format cannot hold these games, or the file cannot be written.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        # Renaming would replace a device or a pipe, such as /dev/full, by a file.
        raise GamesError(f"{path}: is a device or a pipe, and not a file")
    try:
        if kind == ARCHIVE:
            if path.suffix == ".gz":
                raise GamesError(f"{path}: an archive cannot be compressed; leave out .gz")
            write_archive(path, archive)
        else:
            _write_text(path, _lines(archive, kind))
    except OSError as error:
        raise GamesError(f"{path}: cannot be written: {error.strerror or error}") from error


def _lines(archive: GameArchive, kind: str) -> Iterator[str]:
    line_of = TEXT_FORMATS[kind]
    for index in range(len(archive)):
        game = archive.game(index)
        if kind == "dat" and not game.finished:
            raise GamesError(
                f"{game.source} line {game.line}: the game is unfinished, and a .dat line cannot "
                "state its winner; write trmph instead"
            )
        if game.setup and kind not in ("sgf", "katahex"):
            raise GamesError(
                f"{game.source} line {game.line}: {kind} cannot hold set-up stones; "
                "write sgf or an archive instead"
            )
        yield line_of(game) + (_comment(game) if kind == "trmph" else "") + "\n"


def _comment(game: Game) -> str:
    if game.search_values is None:
        return ""
    percent = np.frombuffer(game.search_values, np.uint8)
    return f" # {values_note(as_probabilities(percent))}"


def _write_text(path: Path, lines: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            if path.suffix == ".gz":
                # Without a name and a time, equal games give equal files.
                with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                    packed.writelines(line.encode() for line in lines)
            else:
                file.writelines(line.encode() for line in lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
