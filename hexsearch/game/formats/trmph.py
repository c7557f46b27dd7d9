"""TRMPH: `#13,a1b2c3 b`, one game a line, as trmph.com writes positions.

The size and the moves may follow a URL (`https://trmph.com/hex/board#13,a1b2`). The winner
is `b` or `1` for Blue, the first mover, and `r` or `2` for Red; it may be absent.
Lines beginning `# ` (or a bare `#`) are headers, and ` # ` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hexsearch.game.board import BLUE, MAX_SIZE, MIN_SIZE, RED, cell_name, parse_cell
from hexsearch.game.record import Game, Refusal, WrittenGame

_LINE = re.compile(
    r"(?:(?:https?://)?\S*?)#(?P<size>\d+),(?P<moves>\S*)(?:\s+(?P<winner>\S+))?\s*\Z"
)
_MOVE = re.compile(r"[a-z][0-9]+")
_WINNERS = {"b": BLUE, "1": BLUE, "r": RED, "2": RED}
_LETTERS = {BLUE: "b", RED: "r"}


def read_trmph(lines: Iterable[str], source: str) -> Iterator[WrittenGame | Refusal]:
    """One record or refusal for each line that is neither blank nor a header."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text == "#" or text.startswith("# "):
            continue
        try:
            yield parse_trmph(text, source, number)
        except ValueError as error:
            yield Refusal(source, number, str(error))


def parse_trmph(text: str, source: str = "<text>", line: int = 0) -> WrittenGame:
    """A record from one line.

    Raises:
        ValueError: what is wrong with the line.
    """
    body = text.split(" # ", 1)[0].strip()
    match = _LINE.match(body)
    if match is None:
        raise ValueError("no TRMPH game: expected '#SIZE,MOVES WINNER', such as '#13,g7a1 b'")
    size = int(match["size"])
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size}; sizes from {MIN_SIZE} to {MAX_SIZE} are read")
    winner = match["winner"]
    if winner is not None and winner.lower() not in _WINNERS:
        raise ValueError(f"winner '{winner}'; expected b or 1 (blue), r or 2 (red)")
    stated = None if winner is None else _WINNERS[winner.lower()]
    return WrittenGame(size, parse_moves(match["moves"], size), stated, source, line)


def parse_moves(text: str, size: int) -> tuple[int, ...]:
    """Cells of a run of moves such as `g7a1b12`.

    Raises:
        ValueError: names the first piece that is no move, or off the board.
    """
    cells = []
    end = 0
    for match in _MOVE.finditer(text.lower()):
        if match.start() != end:
            break
        cells.append(parse_cell(match[0], size))
        end = match.end()
    if end != len(text):
        raise ValueError(f"'{text[end : end + 8]}' is no move (a letter, then a number)")
    return tuple(cells)


def format_trmph(game: Game | WrittenGame) -> str:
    """The line of a game, with its winner where there is one."""
    moves = "".join(cell_name(cell, game.size) for cell in game.moves)
    winner = game.winner if isinstance(game, Game) else game.stated_winner
    return f"#{game.size},{moves}" + (f" {_LETTERS[winner]}" if winner is not None else "")
