"""Paths to texts: files, folders, `.gz`, `.zip` and standard input, told by what they hold."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO, cast

from hexsearch.errors import GamesError

STARTER_GAMES = "starter"  # names the games that come with the package
STANDARD_INPUT = "-"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_LONGEST_LINE = 1 << 20  # bytes; longer ones come in pieces, so that no file fills the memory
_IN_MEMORY = 1 << 26  # bytes of a zip on standard input before it goes to disk


@dataclass(frozen=True)
class Source:
    """A place that games come from.

    Attributes:
        name: for messages, such as `club.zip/2019.sgf`.
        path: the file, or None for standard input.
        asked_for: named by the user rather than found in a folder.
    """

    name: str
    path: Path | None
    asked_for: bool


def find_sources(paths: Sequence[str | Path]) -> list[Source]:
    """The files behind paths: folders are walked in name order, `starter` is the package's own.

    Raises:
        GamesError: lists every path that leads to no file.
    """
    found: list[Source] = []
    problems = []
    for path in paths:
        if str(path) == STANDARD_INPUT:
            found.append(Source("<standard input>", None, True))
        elif str(path) == STARTER_GAMES and not Path(path).exists():
            found += [Source(str(file), file, True) for file in starter_files()]
        elif Path(path).is_dir():
            inside = sorted(
                file
                for file in Path(path).rglob("*")
                if file.is_file() and not file.name.startswith(".")
            )
            if not inside:
                problems.append(f"{path}: the folder holds no file")
            found += [Source(str(file), file, False) for file in inside]
        elif Path(path).exists():
            found.append(Source(str(path), Path(path), True))
        else:
            problems.append(f"{path}: no such file or folder")
    if problems:
        raise GamesError(problems)
    return found


def starter_files() -> list[Path]:
    """The compressed TRMPH files that come with the package.

    Raises:
        GamesError: the package was installed without them.
    """
    with as_file(files("hexsearch.data") / "starter") as folder:
        found = sorted(folder.glob("*.trmph.gz"))
    if not found:
        raise GamesError("the starter games are not installed; give a path to games instead")
    return found


def open_texts(source: Source) -> Iterator[tuple[str, bool, Iterator[str]]]:
    """The texts of a source: one for a file, one for each member of a `.zip`.

    Yields:
        Name, whether the user asked for just this text, and its lines; use them up before the
        next text.
    Raises:
        GamesError: it cannot be read, or is damaged; may come up while lines are read.
    """
    try:
        with _open(source) as raw:
            start = raw.peek(4)[:4]
            if start.startswith(_ZIP):
                yield from _members(source.name, raw)
            elif start.startswith(_GZIP):
                with gzip.open(raw) as unpacked:
                    file = cast(IO[bytes], unpacked)
                    yield source.name, source.asked_for, _lines(file, source.name)
            else:
                yield source.name, source.asked_for, _lines(raw, source.name)
    except OSError as error:
        raise GamesError(f"{source.name}: cannot be read: {error.strerror or error}") from error


def _open(source: Source) -> io.BufferedReader:
    if source.path is None:
        # Duplicated, so that closing it leaves the real one alone.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return open(source.path, "rb")


def _members(name: str, raw: IO[bytes]) -> Iterator[tuple[str, bool, Iterator[str]]]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        if not raw.seekable():
            shutil.copyfileobj(raw, copy)
            raw = copy
        try:
            with zipfile.ZipFile(raw) as folder:
                for member in sorted(folder.namelist()):
                    if member.endswith("/") or Path(member).name.startswith("."):
                        continue
                    inner = f"{name}/{member}"
                    with folder.open(member) as file:
                        yield inner, False, _lines(file, inner)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            # Encrypted members raise RuntimeError, unknown compressions NotImplementedError.
            raise GamesError(f"{name}: cannot be unpacked: {error}") from error


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    try:
        first = True
        while line := file.readline(_LONGEST_LINE):
            text = line.decode("utf-8", errors="replace")
            yield text.removeprefix("\ufeff") if first else text
            first = False
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise GamesError(
            f"{name}: cannot be read to its end: {error}; mend or remove it"
        ) from error
