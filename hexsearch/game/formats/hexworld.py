"""HexWorld: `15r9c1,e6:sf7i8:rw`, the part after `#` of hexworld.org's board links.

The text holds the size, options of the display if there are any, and then the moves. A link may
stand in a sentence, and its comma may be written as `%2C`. A second comma marks the move that
the viewer was looking at. `:s` swaps pieces and `:p` is a pass. `:rb` means that the first
player resigned, `:fw` that the second player forfeited: `b` is the first player, `w` the second.
The first player connects top to bottom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hexsearch.game.board import (
    BLUE,
    MAX_SIZE,
    MIN_SIZE,
    RED,
    cell_name,
    cells_by_name,
    parse_cell,
)
from hexsearch.game.formats.lines import read_game_lines
from hexsearch.game.record import Game, Refusal, Swap, WrittenGame

LINE = re.compile(
    r"(?:(?:https?://)?[^\s#]*#)?(?P<size>[0-9]{1,3})(?:x(?P<rows>[0-9]{1,3}))?"
    r"(?P<options>(?:r[0-9]+|n|c[0-9]+)*),(?P<moves>\S*)\Z"
)
_LINK = re.compile(r"(?:https?://)?(?:www\.)?hexworld\.org/board/?#(\S+)", re.IGNORECASE)
_COMMA = re.compile("%2c", re.IGNORECASE)
_COLON = re.compile("%3a", re.IGNORECASE)
# No space follows ':s' and ':p', as in 'e6:sf7', so the pattern fixes the length of each token.
_TOKEN = re.compile(r":[rf][bw]|:[a-z]|[a-z]+[0-9]+")
_LOSERS = {":rb": BLUE, ":fb": BLUE, ":rw": RED, ":fw": RED}


def read_hexworld(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """One record or refusal for each line that is neither blank nor a comment."""

    def parse(text: str, number: int) -> WrittenGame:
        return parse_hexworld(text, source, number)

    return read_game_lines(lines, source, parse)


def link_part(text: str) -> str | None:
    """The part after `#` of the only HexWorld link in a text, or a text that is such a part.

    None if the text holds no link or several links, or if it could also be TRMPH.
    """
    links = _LINK.findall(text)
    if len(links) > 1:
        return None
    part = _unescaped(links[0]).rstrip(".,;)]>'\"") if links else None
    bare = _unescaped(text.split(" # ", 1)[0].strip())
    match = LINE.match(bare)
    if part is None and match is not None and (match["options"] or ":" in match["moves"]):
        return bare
    return part


def _unescaped(text: str) -> str:
    return _COLON.sub(":", _COMMA.sub(",", text))


def parse_hexworld(text: str, source: str = "<text>", line: int = 0) -> WrittenGame:
    """A record from one link, or from its part after `#`.

    Raises:
        ValueError: the text is not such a game; the message says why.
    """
    part = link_part(text)
    match = LINE.match(_unescaped(text.split(" # ", 1)[0].strip()) if part is None else part)
    if match is None:
        raise ValueError("not a HexWorld game: expected SIZE, options, moves, as in '11c1,a10b4'")
    size = int(match["size"])
    if match["rows"] and int(match["rows"]) != size:
        raise ValueError(f"the board is {size}x{match['rows']}; only square boards can be read")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size}; sizes from {MIN_SIZE} to {MAX_SIZE} can be read")
    tokens = _split(match["moves"].replace(",", "", 1))
    cell_of_name = cells_by_name(size)
    cells: list[int] = []
    winner, swap = None, None
    for token in tokens:
        if winner is not None:
            raise ValueError(f"'{token}' comes after a player resigned")
        if token in _LOSERS:
            winner = -_LOSERS[token]
        elif token == ":s":
            if len(cells) != 1 or swap:
                raise ValueError(f"a swap after {len(cells)} moves; it must be the second move")
            swap = Swap.PIECES
        elif token == ":p":
            raise ValueError(f"move {len(cells) + 1} is a pass, which value training cannot use")
        elif token.startswith(":"):
            raise ValueError(f"'{token}' is not a move (known are :s, :rb, :rw, :fb and :fw)")
        else:
            cells.append(cell_of_name[token] if token in cell_of_name else parse_cell(token, size))
    return WrittenGame(size, tuple(cells), winner, source, line, 0, swap, winner is not None)


def _split(text: str) -> list[str]:
    tokens, end = [], 0
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise ValueError(f"'{text[end : end + 8]}' is not a move (a letter, then a number)")
        tokens.append(match[0])
        end = match.end()
    return tokens


def format_hexworld(game: Game | WrittenGame) -> str:
    """The part of a link after `#`. A winner who has not connected is written as a resignation."""
    moves = "".join(cell_name(cell, game.size) for cell in game.moves)
    if isinstance(game, Game):
        loser = None if game.finished else -game.winner
    else:
        loser = None if game.stated_winner is None else -game.stated_winner
    ending = "" if loser is None else (":rb" if loser == BLUE else ":rw")
    return f"{game.size}c1,{moves}{ending}"
