"""Finds the encoding of a text: by its byte order mark, by an SGF file's statement, or by trial.

In some encodings of East Asia the second byte of a character may be a backslash or a bracket, so
a wrong encoding can lose a stone of an SGF game. The moves of the line formats are ASCII, so
their encoding does not matter.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from hexsearch.errors import GamesError
from hexsearch.game.formats.sgf import read_sgf
from hexsearch.game.record import Refusal

PREFIX = 1 << 16  # bytes that are examined
_MARKS = (  # the longer ones first: the mark of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_STATED = re.compile(rb"CA\[\s*([A-Za-z0-9_.:-]{1,40})\s*\]")
_SGF = re.compile(rb"^\s*\(\s*;", re.MULTILINE)
_MOVES = b"(;GM[11]SZ[13];B[a1];W[swap-pieces];B[m13])\n"
# Codecs of Python that are no encodings of text files.
_NO_ENCODINGS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}
)
# Encodings that files of Hex and Go games have, the strict ones first; latin-1 reads any bytes.
TRIED = ("utf-8", "shift_jis", "euc_kr", "gb18030", "big5", "cp1251", "latin-1")
_OTHER_KINDS = (
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"PK\x03\x04", "zip, inside another file"),
    (b"\x1f\x8b", "gzip, inside another file"),
)


@dataclass(frozen=True)
class Encoding:
    """An encoding, and what to do with bytes that are invalid in it.

    Attributes:
        strict: an invalid byte is an error; otherwise it is replaced.
    """

    name: str
    strict: bool = True


def encoding_of(prefix: bytes, name: str) -> Encoding | None:
    """The encoding of a text that begins with `prefix`; None if it must be found by trial.

    Raises:
        GamesError: the bytes are not text, or their encoding is unknown to Python.
    """
    for magic, kind in _OTHER_KINDS:
        if prefix.startswith(magic):
            raise GamesError(f"{name}: compressed as {kind}; unpack it, or use .gz or .zip")
    for mark, encoding in _MARKS:
        if prefix.startswith(mark):
            return Encoding(encoding)
    if b"\x00" in prefix:
        # In UTF-16, every second byte of plain text is 0, and no other byte is.
        even, odd = prefix[0::2].count(0), prefix[1::2].count(0)
        for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
            if not others and zeros > 0.4 * len(prefix):
                return Encoding(encoding)
        raise GamesError(f"{name}: holds NUL bytes, so it is not a text file")
    if not _SGF.search(prefix):
        # The moves are ASCII, whatever the encoding of the comments is.
        return Encoding("utf-8", strict=False)
    stated = {match.decode().lower() for match in _STATED.findall(prefix)}
    if len(stated) == 1:
        return _known(stated.pop(), name)
    if codecs.getincrementaldecoder("utf-8")("replace").decode(prefix).count("\ufffd") == 0:
        return Encoding("utf-8")
    return None


def _known(stated: str, name: str) -> Encoding:
    """The stated encoding. The file states it in ASCII, so ASCII must mean the same in it."""
    try:
        found = codecs.lookup(stated)
        fits = found.name not in _NO_ENCODINGS and _MOVES.decode(found.name) == _MOVES.decode()
    except (LookupError, ValueError) as error:  # ValueError: UTF-16 without a mark, and the like
        raise _unfit(stated, name) from error
    if not fits:
        raise _unfit(stated, name)
    return Encoding(found.name)


def _unfit(stated: str, name: str) -> GamesError:
    return GamesError(
        f"{name}: states the encoding '{stated}' (CA), which Python does not know or which "
        "the file cannot have; correct it"
    )


def decoded_by_trial(content: bytes, name: str) -> str:
    """An SGF text whose encoding is not stated, if all likely encodings give the same games.

    Raises:
        GamesError: two likely encodings give different games.
    """
    decoded: list[tuple[str, str, Outcome]] = []
    for encoding in TRIED:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        decoded.append((encoding, text, _outcome(text)))
        if encoding == "utf-8":
            break  # text in another encoding is hardly ever valid UTF-8
    sound = [reading for reading in decoded if not reading[2][1]] or decoded
    _, text, outcome = sound[0]
    for encoding, _, other in sound[1:]:
        if other != outcome:
            raise GamesError(
                f"{name}: its encoding is not stated, and {sound[0][0]} and {encoding} give "
                "different games; add the right encoding as CA[...] after the first FF[4]"
            )
    return text


Outcome = tuple[list[tuple[object, ...]], list[int]]  # games, and lines that are refused


def _outcome(text: str) -> Outcome:
    games: list[tuple[object, ...]] = []
    refused = []
    for entry in read_sgf(text.splitlines(keepends=True), "", None):
        if isinstance(entry, Refusal):
            refused.append(entry.line)
        else:
            games.append((entry.size, entry.moves, entry.stated_winner, entry.swap, entry.setup))
    return games, refused
