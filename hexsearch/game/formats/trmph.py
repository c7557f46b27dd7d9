"""TRMPH: `#13,a1b2c3 b`, one game on each line, as trmph.com writes positions.

The size and the moves may follow a URL (`https://trmph.com/hex/board#13,a1b2`). A line may also
hold moves alone if the size is given elsewhere. The winner is `b` or `1` for Blue, the first
mover, and `r` or `2` for Red; it may be absent. Lines that begin with `# ` and lines of a single
`#` are headers, and ` # ` begins a comment. A second move on the first stone is a swap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from hexsearch.game.board import (
    BLUE,
    MAX_SIZE,
    MIN_SIZE,
    RED,
    cell_name,
    cells_by_name,
    parse_cell,
    stones_after,
)
from hexsearch.game.board import winner as winner_of
from hexsearch.game.formats.lines import game_lines, read_game_lines
from hexsearch.game.record import Game, Refusal, Swap, WrittenGame
from hexsearch.game.search_values import read_values

_LINE = re.compile(
    r"(?:(?:https?://)?[^\s#]*#(?P<size>[0-9]{1,3}),)?(?P<moves>(?:[A-Za-z][^\s#]*)?)"
    r"(?:\s+(?P<winner>\S+))?\s*\Z"
)
_MOVE = re.compile(r"[a-z][0-9]+")
_WINNERS = {"b": BLUE, "1": BLUE, "r": RED, "2": RED}
_HEAD = 1024  # lines from which the meaning of 0 and 1 is told
_MIN_AGREEING = 3  # finished games that must agree
_MAX_DISAGREEING = 0.1  # games that may disagree, as a share of those that agree
_LETTERS = {BLUE: "b", RED: "r"}


def read_trmph(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """One record or refusal for each line that is neither blank nor a header.

    Args:
        size: the board size of lines that state none.
    """
    rows = iter(lines)
    head = list(islice(rows, _HEAD))
    numbers = _numbered_winners(head, size)

    def parse(text: str, number: int) -> WrittenGame:
        return parse_trmph(text, source, number, size, numbers)

    return read_game_lines(chain(head, rows), source, parse)


def _numbered_winners(head: Sequence[str], size: int | None) -> Mapping[str, int] | None:
    """The colours that 0 and 1 stand for, if a text writes winners in this way; else None.

    There is no convention, so the games that were played to the end decide.
    """
    tokens = [text.split(" # ", 1)[0].split() for _, text in game_lines(head) if text]
    if not any(len(words) == 2 and words[1] == "0" for words in tokens):
        return None
    votes: Counter[int] = Counter()  # colour that 0 stands for -> number of finished games
    for words in tokens:
        if len(words) == 2 and words[1] in ("0", "1"):
            try:
                game = parse_trmph(words[0], size=size)
            except ValueError:
                continue
            won = winner_of(stones_after(game.moves, game.size)) if not game.swap else 0
            votes[won if words[1] == "0" else -won] += 1
    letters = {name: colour for name, colour in _WINNERS.items() if name.isalpha()}
    zero = BLUE if votes[BLUE] > votes[RED] else RED
    if votes[zero] < _MIN_AGREEING or votes[-zero] > votes[zero] * _MAX_DISAGREEING:
        return letters
    return {**letters, "0": zero, "1": -zero}


def parse_trmph(
    text: str,
    source: str = "<text>",
    line: int = 0,
    size: int | None = None,
    winners: Mapping[str, int] | None = None,
) -> WrittenGame:
    """A record from one line.

    Args:
        size: the board size, if the line itself does not state it.
        winners: the colour of each winner's word, if it is not the usual one.
    Raises:
        ValueError: the line is not such a game; the message says why.
    """
    written, _, comment = text.partition(" # ")
    match = _LINE.match(written)
    if match is None or (match["size"] is None and not match["moves"]):
        raise ValueError("not a TRMPH game: expected '#SIZE,MOVES WINNER', such as '#13,g7a1 b'")
    stated, moves, winner = match.groups()
    if stated is not None:
        size = int(stated)
    elif size is None:
        raise ValueError("no board size; write '#13,' before the moves, or give --size")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size}; sizes from {MIN_SIZE} to {MAX_SIZE} can be read")
    known_winners = _WINNERS if winners is None else winners
    if winner is not None and winner.lower() not in known_winners:
        if winner in ("0", "1"):
            raise ValueError(
                f"winner '{winner}': no convention says which colours 0 and 1 stand for, and too "
                "few finished games of this file show it; write b or r"
            )
        raise ValueError(f"winner '{winner}'; expected b or 1 (blue), r or 2 (red)")
    cells = parse_moves(moves, size)
    swap = None
    if len(cells) > 1 and cells[0] == cells[1]:
        cells, swap = cells[:1] + cells[2:], Swap.UNCLEAR
    outcome = None if winner is None else known_winners[winner.lower()]
    values = read_values(comment)
    if values is not None and len(values) != len(cells):
        raise ValueError(f"{len(values)} search values for {len(cells)} moves")
    return WrittenGame(size, cells, outcome, source, line, 0, swap, search_values=values)


def parse_moves(text: str, size: int) -> tuple[int, ...]:
    """Cells of a run of moves such as `g7a1b12`.

    Raises:
        ValueError: a piece of the text is not a move, or is off the board; names the first one.
    """
    names = _MOVE.findall(text.lower())
    if sum(map(len, names)) == len(text):
        cell_of_name = cells_by_name(size)
        try:
            return tuple([cell_of_name[name] for name in names])
        except KeyError:
            return tuple(parse_cell(name, size) for name in names)
    end = 0
    for match in _MOVE.finditer(text.lower()):
        if match.start() != end:
            break
        parse_cell(match[0], size)
        end = match.end()
    raise ValueError(f"'{text[end : end + 8]}' is not a move (a letter, then a number)")


def format_trmph(game: Game | WrittenGame) -> str:
    """The line of a game, with its winner if there is one."""
    moves = "".join(cell_name(cell, game.size) for cell in game.moves)
    winner = game.winner if isinstance(game, Game) else game.stated_winner
    return f"#{game.size},{moves}" + (f" {_LETTERS[winner]}" if winner is not None else "")
