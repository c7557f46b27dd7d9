"""Opens the texts behind paths: files, folders, `.gz`, `.zip` and standard input.

The first bytes of a file tell its kind. Memory and time are bounded for every file: the members
and the unpacked size of an archive are limited, and a long line is read in pieces.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO, cast

from hexsearch.data.collection.encodings import PREFIX, Encoding, decoded_by_trial, encoding_of
from hexsearch.errors import GamesError
from hexsearch.game.formats.lines import PIECE

STARTER_GAMES = "starter"  # path that stands for the games of the package
STANDARD_INPUT = "-"
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")  # the second: an empty archive
_IN_MEMORY = 1 << 26  # bytes of a zip on standard input that are kept in memory
_MOST_FILES = 1_000_000  # files of one folder
_MOST_MEMBERS = 100_000  # members of one archive
_MOST_UNPACKED = 4 << 30  # unpacked bytes of one archive
_RATIO, _RATIO_FROM = 400, 1 << 24  # largest compression ratio; bytes from which it is checked
_MOST_TRIED = 1 << 22  # bytes of a text whose encoding is found by trial


@dataclass(frozen=True)
class Source:
    """A file or standard input that games are read from.

    Attributes:
        name: name in messages, such as `club.zip/2019.sgf`.
        path: path of the file, or None for standard input.
        asked_for: the user named it; otherwise it was found in a folder.
    """

    name: str
    path: Path | None
    asked_for: bool


@dataclass(frozen=True)
class Text:
    """A text of a source.

    Attributes:
        lines: its lines, which must be read before the next text is opened.
        fault: why it has no lines, or None.
    """

    name: str
    asked_for: bool
    lines: Iterator[str]
    fault: str | None = None


def find_sources(paths: Sequence[str | Path]) -> list[Source]:
    """The files behind paths. Folders are searched in name order.

    Raises:
        GamesError: a path does not lead to a file; lists every such path.
    """
    found: list[Source] = []
    problems = []
    for path in paths:
        try:
            sources, fault = _find(path)
        except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
            sources, fault = [], f"{path!s}: cannot be read: {getattr(error, 'strerror', error)}"
        found += sources
        if fault:
            problems.append(fault)
    if problems:
        raise GamesError(problems)
    return found


def _find(path: str | Path) -> tuple[list[Source], str | None]:
    if str(path) == STANDARD_INPUT:
        return [Source("<standard input>", None, True)], None
    if not str(path):
        return [], "an empty path names no games"
    if str(path) == STARTER_GAMES and not Path(path).exists():
        return [Source(str(file), file, True) for file in starter_files()], None
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return [], f"{path}: no such file or folder"
    if stat.S_ISREG(mode):
        return [Source(str(path), Path(path), True)], None
    if not stat.S_ISDIR(mode):
        return [], f"{path}: is a pipe or a device; give its text on standard input, as '-'"
    inside: list[Path] = []
    for file in Path(path).rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            inside.append(file)
            if len(inside) > _MOST_FILES:
                return [], f"{path}: more than {_MOST_FILES:,} files; name one of its folders"
    if not inside:
        return [], f"{path}: the folder holds no files"
    return [Source(str(file), file, False) for file in sorted(inside)], None


def starter_files() -> list[Path]:
    """The compressed TRMPH files that are part of the package.

    Raises:
        GamesError: the package was installed without them.
    """
    with as_file(files("hexsearch.data") / "starter") as folder:
        found = sorted(folder.glob("*.trmph.gz"))
    if not found:
        raise GamesError("the starter games are not installed; give a path to games instead")
    return found


def open_texts(source: Source) -> Iterator[Text]:
    """The texts of a source: one for a file, one for each member of a `.zip`.

    Raises:
        GamesError: it cannot be read, or is damaged. This may be raised while lines are read.
    """
    try:
        with _open(source) as raw:
            start = raw.peek(4)[:4]
            if start.startswith(_ZIP):
                yield from _members(source.name, raw)
            elif start.startswith(_GZIP):
                with gzip.open(raw) as unpacked:
                    inner = _Limited(cast(IO[bytes], unpacked), source.name, _size(source))
                    yield _text(inner, source.name, source.asked_for)
            else:
                yield _text(raw, source.name, source.asked_for)
    except OSError as error:
        raise GamesError(f"{source.name}: cannot be read: {error.strerror or error}") from error


def _open(source: Source) -> io.BufferedReader:
    if source.path is None:
        # The descriptor is duplicated, so that closing it does not close standard input.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return open(source.path, "rb")


def _size(source: Source) -> int | None:
    return None if source.path is None else source.path.stat().st_size


def _members(name: str, raw: IO[bytes]) -> Iterator[Text]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        if not raw.seekable():
            shutil.copyfileobj(raw, copy)
            raw = copy
        try:
            with zipfile.ZipFile(raw) as folder:
                members = folder.infolist()
                if len(members) > _MOST_MEMBERS:
                    raise GamesError(
                        f"{name}: has {len(members):,} members, which are too many; unpack it"
                    )
                total = 0
                for member in sorted(members, key=lambda member: member.filename):
                    if member.is_dir() or Path(member.filename).name.startswith("."):
                        continue
                    inner = f"{name}/{member.filename}"
                    with folder.open(member) as file:
                        limited = _Limited(file, inner, member.compress_size, total)
                        yield _text(limited, inner, False)
                        total = limited.total
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            # zipfile raises RuntimeError for encrypted members, NotImplementedError for unknown
            # compression methods.
            raise GamesError(f"{name}: cannot be unpacked: {error}") from error


class _Limited:
    """Reads a file while it is unpacked, and raises an error if it unpacks to too much.

    Args:
        packed: its packed size in bytes; None if that is not known.
        total: bytes that the archive has unpacked to already.
    """

    def __init__(self, file: IO[bytes], name: str, packed: int | None, total: int = 0) -> None:
        self._file, self._name, self._packed = file, name, packed
        self._read, self.total = 0, total

    def read(self, size: int) -> bytes:
        """The next `size` bytes at most."""
        content = self._file.read(size)
        self._read += len(content)
        self.total += len(content)
        if self.total > _MOST_UNPACKED:
            raise GamesError(f"{self._name}: unpacks to more than {_MOST_UNPACKED >> 30} GB")
        if (
            self._packed is not None
            and self._read > _RATIO_FROM
            and self._read > _RATIO * self._packed
        ):
            raise GamesError(
                f"{self._name}: unpacks to more than {_RATIO} times its size, unlike files of games"
            )
        return content


def _text(file: IO[bytes] | _Limited, name: str, asked_for: bool) -> Text:
    """A text, or a fault. Damage is found here, or later when its lines are read."""
    try:
        prefix = file.read(PREFIX)
        encoding = encoding_of(prefix, name)
        if encoding is not None:
            return Text(name, asked_for, _lines(file, prefix, encoding, name))
        content = prefix + file.read(_MOST_TRIED)
        if len(content) > _MOST_TRIED:
            raise GamesError(f"{name}: is not UTF-8 and states no encoding; add it as CA[...]")
        text = decoded_by_trial(content, name).replace("\r\n", "\n").replace("\r", "\n")
        return Text(name, asked_for, iter(re.findall(r"[^\n]*\n|[^\n]+", text)))
    except GamesError as error:
        return Text(name, asked_for, iter(()), str(error))
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise _damaged(name, error) from error


def _lines(
    file: IO[bytes] | _Limited, prefix: bytes, encoding: Encoding, name: str
) -> Iterator[str]:
    """Lines of a file. A line that is longer than PIECE comes in pieces."""
    errors = "strict" if encoding.strict else "replace"
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding.name)(errors), translate=True
    )
    rest, content = "", prefix
    try:
        while content:
            *whole, rest = (rest + decoder.decode(content)).split("\n")
            for line in whole:
                yield f"{line}\n"
            while len(rest) >= PIECE:
                yield rest[:PIECE]
                rest = rest[PIECE:]
            content = file.read(PREFIX)
        rest += decoder.decode(b"", final=True)
        if rest:
            yield rest
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise _damaged(name, error) from error
    except UnicodeDecodeError as error:
        raise GamesError(
            f"{name}: states or begins in {encoding.name}, but holds bytes that are invalid in it "
            f"({error.reason}); correct its encoding"
        ) from error


def _damaged(name: str, error: Exception) -> GamesError:
    return GamesError(f"{name}: cannot be read to its end: {error}; repair or remove it")
