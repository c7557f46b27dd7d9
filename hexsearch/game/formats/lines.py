"""Reads texts with one game on each line: numbers and strips the lines, and limits their length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hexsearch.errors import GamesError
from hexsearch.game.record import Refusal, WrittenGame

PIECE = 1 << 20  # characters; a longer line arrives in pieces of this length
_MOST_POSITIONS = 1 << 26  # bytes of a file of positions
_LONGEST = 1 << 16  # characters; a longer line cannot be a game


def is_header(text: str) -> bool:
    """Whether a stripped line is blank or a comment."""
    return not text or text == "#" or text.startswith("# ")


def game_lines(lines: Iterable[str]) -> Iterator[tuple[int, str | None]]:
    """Number and stripped text of every line that is neither blank nor a comment.

    The text is None for a line that is too long to be a game.
    """
    number, continued = 0, False
    for line in lines:
        is_rest, continued = continued, len(line) >= PIECE and not line.endswith("\n")
        if is_rest:
            continue
        number += 1
        if len(line) > _LONGEST:
            yield number, None
            continue
        text = line.strip()
        if not is_header(text):
            yield number, text


def position_lines(path: Path) -> list[str]:
    """Stripped lines of a file with one position a line, blank ones and comments left out.

    Raises:
        GamesError: it cannot be read, is no text, or too large for positions of people.
    """
    try:
        if path.is_fifo() and not str(path).startswith(("/dev/", "/proc/")):
            raise GamesError(f"{path}: is a pipe, not a file; name a file")
        with open(path, "rb") as file:
            content = file.read(_MOST_POSITIONS + 1)
        if len(content) > _MOST_POSITIONS:
            raise GamesError(f"{path}: more than {_MOST_POSITIONS >> 20} MB of positions; split it")
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise GamesError(f"{path}: cannot be read: {error}") from error
    return [line for each in text.splitlines() if not is_header(line := each.strip())]


def read_game_lines(
    lines: Iterable[str], source: str, parse: Callable[[str, int], WrittenGame]
) -> Iterator[WrittenGame | Refusal]:
    """The record that `parse` makes from each line's text and number, or a refusal."""
    for number, text in game_lines(lines):
        if text is None:
            reason = f"the line has more than {_LONGEST:,} characters; a game is shorter"
            yield Refusal(source, number, reason)
            continue
        try:
            yield parse(text, number)
        except ValueError as error:
            yield Refusal(source, number, str(error))
