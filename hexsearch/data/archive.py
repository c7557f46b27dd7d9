"""All games of a dataset in one memory-mapped file. Nothing else of a dataset is stored.

Layout, little-endian: 8 magic bytes, the format version and the length of a JSON header as
uint64 each, a checksum of 16 bytes over the header, the header, and the arrays that it lists,
each aligned to 64 bytes. The header holds a content hash over sizes, moves, winners and finished,
so that equal games have equal hashes, and a checksum over all arrays, so that damage is detected.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data import archive_header as headers
from hexsearch.errors import ArchiveError
from hexsearch.game.hashing import game_hashes
from hexsearch.game.record import Game
from hexsearch.game.search_values import UNKNOWN, as_probabilities


@dataclass(frozen=True)
class GameArchive:
    """Games as flat arrays. The moves of game g are `moves[offsets[g]:offsets[g + 1]]`.

    Attributes:
        moves: [M] uint8, or uint16 if a board has more than 256 cells.
        offsets: [G + 1] uint64.
        winners: [G] int8, RED or BLUE.
        finished: [G] uint8, 1 where replay confirms the winner.
        sizes: [G] uint8, board side.
        hashes: [G] uint64, equal for the symmetric copies of a game.
        setups: [G] uint16, number of leading moves that were set up; positions begin after them.
        files: [G] uint32, index into `sources`; lines: [G] uint32, line in that file.
        sources: the files that the games were read from.
        content_hash: hexadecimal hash over sizes, moves, winners, finished and search values.
        search_values: [M] uint8, the win probability of Red in percent that a search found before
            each move, or UNKNOWN; None if no game has any.
    """

    moves: NDArray[np.uint8] | NDArray[np.uint16]
    offsets: NDArray[np.uint64]
    winners: NDArray[np.int8]
    finished: NDArray[np.uint8]
    sizes: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    setups: NDArray[np.uint16]
    files: NDArray[np.uint32]
    lines: NDArray[np.uint32]
    sources: tuple[str, ...]
    content_hash: str
    search_values: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.winners)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[G] number of moves of each game."""
        offsets = self.offsets.astype(np.int64)
        return offsets[1:] - offsets[:-1]

    def lengths_of(self, games: NDArray[np.integer]) -> NDArray[np.int64]:
        """[B] number of moves of the given games. The cost does not depend on the other games."""
        chosen = np.asarray(games, dtype=np.int64)
        lengths: NDArray[np.int64] = (self.offsets[chosen + 1] - self.offsets[chosen]).astype(
            np.int64
        )
        return lengths

    def search_values_of(
        self, games: NDArray[np.int64], plies: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """[B] win probability of Red that a search found of positions; nan where none was made."""
        percent = np.full(len(games), UNKNOWN, dtype=np.uint8)
        if self.search_values is not None:
            before = np.flatnonzero(plies < self.lengths_of(games))
            places = self.offsets[games[before]].astype(np.int64) + plies[before]
            percent[before] = self.search_values[places]
        return as_probabilities(percent)

    def game(self, index: int) -> Game:
        """One game as a record."""
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        values = b"" if self.search_values is None else self.search_values[start:end].tobytes()
        return Game(
            size=int(self.sizes[index]),
            moves=tuple(int(cell) for cell in self.moves[start:end]),
            winner=int(self.winners[index]),
            finished=bool(self.finished[index]),
            source=self.sources[int(self.files[index])],
            line=int(self.lines[index]),
            setup=int(self.setups[index]),
            search_values=values if values.strip(bytes([UNKNOWN])) else None,
        )


_OPTIONAL = "search_values"  # an array that only archives with such values have
_ARRAYS: dict[str, str] = {
    "moves": "",  # uint8 or uint16, as the header says
    "offsets": "<u8",
    "winners": "|i1",
    "finished": "|u1",
    "sizes": "|u1",
    "hashes": "<u8",
    "setups": "<u2",
    "files": "<u4",
    "lines": "<u4",
}


class ArchiveBuilder:
    """Collects verified games, a few bytes for each, and makes an archive of them."""

    def __init__(self) -> None:
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        self._sources: dict[str, int] = {}

    def add(self, games: Sequence[Game]) -> None:
        """Append games. It is fastest with thousands of games in each call."""
        if not games:
            return
        lengths = np.array([len(game.moves) for game in games], dtype=np.int64)
        moves = np.fromiter(
            chain.from_iterable(game.moves for game in games), np.uint16, int(lengths.sum())
        )
        sizes = np.array([game.size for game in games], dtype=np.uint8)
        self._columns["moves"].append(moves.astype(np.uint8) if sizes.max() <= 16 else moves)
        files = self._sources
        rows: dict[str, Any] = {
            "lengths": lengths,
            "winners": [game.winner for game in games],
            "finished": [game.finished for game in games],
            "sizes": sizes,
            "hashes": game_hashes(moves, lengths, sizes),
            "setups": [game.setup for game in games],
            "files": [files.setdefault(game.source, len(files)) for game in games],
            "lines": [game.line for game in games],
            "search_values": np.frombuffer(b"".join(map(_values_of, games)), np.uint8),
        }
        for name, values in rows.items():
            self._columns[name].append(np.array(values, dtype=_COLUMNS[name]))

    def build(self) -> GameArchive:
        """The archive of all games added so far. Afterwards the builder is empty.

        Raises:
            ArchiveError: no game was added.
        """
        if not self._columns["sizes"]:
            raise ArchiveError("no games to store")
        # Columns are joined one by one and their parts freed, which keeps the peak memory low.
        columns: dict[str, Any] = {}
        for name, parts in self._columns.items():
            columns[name] = np.concatenate(parts)
            parts.clear()
        lengths = columns.pop("lengths")
        offsets = np.zeros(len(lengths) + 1, dtype=np.uint64)
        np.cumsum(lengths, dtype=np.uint64, out=offsets[1:])
        digest = hashlib.blake2b(digest_size=16)
        for name in ("sizes", "setups", "winners", "finished", "moves"):
            digest.update(np.ascontiguousarray(columns[name]).data)
        digest.update(offsets.data)
        if (columns["search_values"] == UNKNOWN).all():
            columns["search_values"] = None
        else:
            digest.update(columns["search_values"].data)
        return GameArchive(
            **columns,
            offsets=offsets,
            sources=tuple(self._sources),
            content_hash=digest.hexdigest(),
        )


_COLUMNS = {
    "moves": "<u2",
    "lengths": "<u2",
    "winners": "|i1",
    "finished": "|u1",
    "sizes": "|u1",
    "hashes": "<u8",
    "setups": "<u2",
    "files": "<u4",
    "lines": "<u4",
    "search_values": "|u1",
}


def _values_of(game: Game) -> bytes:
    return game.search_values or bytes([UNKNOWN]) * len(game.moves)


def build_archive(games: Iterable[Game]) -> GameArchive:
    """An archive in memory."""
    builder = ArchiveBuilder()
    builder.add(list(games))
    return builder.build()


def write_archive(path: Path, archive: GameArchive) -> None:
    """Store an archive atomically: it is written to a temporary file, synced, and renamed.

    Raises:
        ArchiveError: it cannot be written; an earlier file of that name is unchanged.
    """
    arrays = {name: np.ascontiguousarray(getattr(archive, name)) for name in _ARRAYS}
    if archive.search_values is not None:
        arrays[_OPTIONAL] = np.ascontiguousarray(archive.search_values)
    layout: dict[str, dict[str, Any]] = {}
    position = 0
    checksum = hashlib.blake2b(digest_size=16)
    for name, array in arrays.items():
        position = headers.aligned(position)
        layout[name] = {"start": position, "dtype": array.dtype.str, "count": len(array)}
        position += array.nbytes
        checksum.update(array.data)
    header = json.dumps(
        {
            "arrays": layout,
            "sources": archive.sources,
            "content_hash": archive.content_hash,
            "checksum": checksum.hexdigest(),
            "bytes": position,
        }
    ).encode()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(headers.MAGIC + headers.FORMAT_VERSION.to_bytes(8, "little"))
            file.write(len(header).to_bytes(8, "little") + headers.header_checksum(header) + header)
            start = headers.aligned(file.tell())
            for name, array in arrays.items():
                file.seek(start + layout[name]["start"])
                file.write(array.data)
            file.truncate(start + position)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise ArchiveError(f"{path}: cannot be written: {error.strerror}") from error


def open_archive(path: Path, check: bool = True) -> GameArchive:
    """Map an archive into memory. Processes on one machine share its pages.

    Args:
        check: read the whole file once and compare checksums. A trial does not need this on a
            node where the driver has checked the file already.
    Raises:
        ArchiveError: the file is missing, is not an archive, has another version, is truncated
            or is corrupt.
    """
    if path.is_fifo():  # it would be waited for
        raise ArchiveError(f"{path}: is not a file")
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path}: no such archive") from error
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path}: cannot be mapped: {error}") from error
    header, start = headers.read_header(path, mapped)
    if len(mapped) != start + header["bytes"]:
        raise ArchiveError(
            f"{path}: truncated: {len(mapped):,} bytes of {start + header['bytes']:,}; import again"
        )
    arrays = {
        name: np.frombuffer(mapped, entry["dtype"], entry["count"], start + entry["start"])
        for name, entry in header["arrays"].items()
    }
    if check:
        checksum = hashlib.blake2b(digest_size=16)
        for name in [*_ARRAYS, *([_OPTIONAL] if _OPTIONAL in arrays else [])]:
            checksum.update(arrays[name].data)
        if checksum.hexdigest() != header["checksum"]:
            raise ArchiveError(f"{path}: corrupt: its checksum does not match; import it again")
    return GameArchive(
        **arrays, sources=tuple(header["sources"]), content_hash=header["content_hash"]
    )
