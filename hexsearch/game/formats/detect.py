"""Detects the format of a text, and its board size, from its content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hexsearch.game.board import MAX_SIZE, MIN_SIZE
from hexsearch.game.formats.hexworld import link_part, read_hexworld
from hexsearch.game.formats.lines import is_header
from hexsearch.game.formats.numbered import LINE as _NUMBERED
from hexsearch.game.formats.numbered import read_numbered
from hexsearch.game.formats.plain import read_coloured, read_dat
from hexsearch.game.formats.sgf import read_sgf
from hexsearch.game.formats.trmph import read_trmph
from hexsearch.game.record import Refusal, WrittenGame, replay

Reader = Callable[[Iterable[str], str, int | None], Iterator[WrittenGame | Refusal]]

_SGF = re.compile(r"^\(\s*;\s*[A-Za-z]+\s*\[", re.MULTILINE)
_SIZED = re.compile(r"(?:(?:https?://)?[^\s#]*)#[0-9]+,")
_BARE = re.compile(r"(?:[a-zA-Z][0-9]{1,2})+(?:\s+[brBR012])?(?:\s+#.*)?\Z")
_DAT = re.compile(r"[a-z][0-9]{1,2}(?:\s+[a-z][0-9]{1,2})+\Z", re.IGNORECASE)
_COLOURED = re.compile(r"(?:b|w|r|black|white|red|blue)\s+\S+\s*,", re.IGNORECASE)
_CELL = re.compile(r"([a-z])([0-9]{1,2})(?![0-9])")
_SAMPLE = 200  # lines from which the format is told
_LONGEST = 1 << 16  # characters; a longer line cannot be a game


@dataclass(frozen=True)
class Format:
    """One text format.

    Attributes:
        name: name of the format in messages.
        read: function from lines, source and board size to records and refusals.
        sized: whether every game states its board size.
    """

    name: str
    read: Reader
    sized: bool


TRMPH = Format("TRMPH", read_trmph, True)
BARE = Format("bare moves", read_trmph, False)
HEXWORLD = Format("HexWorld", read_hexworld, True)
SGF = Format("SGF", read_sgf, True)
DAT = Format("Neurohex", read_dat, False)
COLOURED = Format("coloured moves", read_coloured, False)
NUMBERED = Format("numbered moves", read_numbered, False)
FORMATS = (TRMPH, BARE, HEXWORLD, SGF, DAT, COLOURED, NUMBERED)


def detect_format(head: Sequence[str]) -> Format | None:
    """The format of a text that begins with these lines, or None if the format is unknown.

    Half of the lines must look like games. So a page about Hex is not read as a file of games,
    while a file of games with some faulty lines is.
    """
    sample = [text for line in head if not is_header(text := line.strip())][:_SAMPLE]
    if not sample:
        return None
    if _SGF.search("\n".join(sample[:5])):
        return SGF
    votes = Counter(format_ for text in sample if (format_ := _of_line(text)) is not None)
    if not votes or 2 * votes.total() < len(sample):
        return None
    return max(FORMATS, key=lambda format_: votes[format_])


def _of_line(text: str) -> Format | None:
    if len(text) > _LONGEST:
        return None
    if link_part(text) is not None:
        return HEXWORLD
    if _SIZED.match(text):
        return TRMPH
    if _NUMBERED.match(text):
        return NUMBERED
    if _COLOURED.match(text):
        return COLOURED
    if _DAT.match(text):
        return DAT
    if _BARE.match(text):
        return BARE
    return None


def infer_size(format_: Format, head: Sequence[str]) -> int | None:
    """The board size of a text whose games do not state it.

    It is the size on which most games end with a connection, and the smallest one if several
    do. None if no game ends with a connection on any size: the size would be a guess.
    """
    sample = [line for line in head if not is_header(line.strip())][:_SAMPLE]
    spans = sorted(span for line in sample if MIN_SIZE <= (span := _span(line)) <= MAX_SIZE)
    if not spans:
        return None
    # The search begins at the median: a mistyped move makes the span of one line too large.
    lowest = spans[len(spans) // 2]
    best, most = None, 0
    for size in range(lowest, MAX_SIZE + 1):
        complete = _complete_games(format_, sample, size)
        if complete > most:
            best, most = size, complete
    return best


def _span(line: str) -> int:
    """Side of the smallest board that holds every move of a line; 0 for a line without moves."""
    cells = _CELL.findall(line.lower())
    return max((max(ord(column) - 96, int(row)) for column, row in cells), default=0)


def _complete_games(format_: Format, head: Sequence[str], size: int) -> int:
    """Number of games whose last move connects a colour, counted for both choices of edges."""
    games = []
    for entry in format_.read(head, "", size):
        if isinstance(entry, WrittenGame) and len(set(entry.moves)) == len(entry.moves) > 0:
            games.append(entry.moves)
            mirrored = tuple((cell % size) * size + cell // size for cell in entry.moves)
            games.append(mirrored)
    if not games:
        return 0
    ends, before = replay(games, size)
    return int(((ends != 0) & (before == 0)).sum())
