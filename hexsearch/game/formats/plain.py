"""Two formats with one game on each line. Neither states the board size.

Neurohex `.dat`, `l8 d10 i4`: moves separated by spaces, without a winner.
Coloured moves, `b a1,w f6,b resign,W`: the colour of each move, and the winner at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hexsearch.game.board import BLUE, RED, cell_name, cells_by_name, parse_cell
from hexsearch.game.formats.lines import read_game_lines
from hexsearch.game.record import Game, Refusal, Swap, WrittenGame

_COLOUR = r"(?:b|w|r|black|white|red|blue)"
_COLOURED = re.compile(rf"({_COLOUR})\s+(\S+)\Z", re.IGNORECASE)
_WINNER = re.compile(rf"{_COLOUR}\Z", re.IGNORECASE)
_MERGE_MARKER = re.compile(r"<{7}|={7}|>{7}|\|{7}")
SWAP_WORDS = {
    "swap": Swap.UNCLEAR,
    "swap-pieces": Swap.UNCLEAR,  # used for both kinds; the colour of the next move tells which
    "swap-sides": Swap.SIDES,
}
GIVE_UP_WORDS = ("resign", "resigned", "forfeit", "timeout")


def read_dat(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """Neurohex lines.

    Args:
        size: the board size; without it every line is refused.
    """

    def parse(text: str, number: int) -> WrittenGame:
        checked_size = check_line(text, size)
        cells = _cells(text.split(), checked_size)
        return WrittenGame(checked_size, cells, None, source, number)

    return read_game_lines(lines, source, parse)


def read_coloured(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """Lines of coloured moves.

    Args:
        size: the board size; without it every line is refused.
    """

    def parse(text: str, number: int) -> WrittenGame:
        return parse_coloured(text, check_line(text, size), source, number)

    return read_game_lines(lines, source, parse)


def parse_coloured(text: str, size: int, source: str = "<text>", line: int = 0) -> WrittenGame:
    """A record from one line such as `b a1,w f6,b resign,W`.

    Raises:
        ValueError: the line is not such a game; the message says why.
    """
    fields = [field.strip() for field in text.rstrip(",").split(",")]
    stated = fields.pop()[:1].lower() if _WINNER.match(fields[-1]) else None
    plays: list[tuple[str, str]] = []
    for field in fields:
        match = _COLOURED.match(field)
        if match is None:
            raise ValueError(f"'{field[:20]}' is not a move with its colour (such as 'b a1')")
        plays.append((match[1][:1].lower(), match[2].lower()))
    if not plays:
        raise ValueError("no moves")
    return written_from_plays(plays, stated, size, source, line)


def written_from_plays(
    plays: list[tuple[str, str]], stated: str | None, size: int, source: str, line: int
) -> WrittenGame:
    """A record from the moves of both colours, in order.

    Args:
        plays: pairs of a colour and a cell name, or of a colour and a word for a swap or a
            resignation.
        stated: the colour that won, written as in `plays`, or None.
    Raises:
        ValueError: a colour moves out of turn, a swap is not the second move, or the winner
            resigned.
    """
    first = plays[0][0]
    colours = {colour for colour, _ in plays}
    if len(colours) > 2:
        raise ValueError(f"more than two colours play: {', '.join(sorted(colours))}")
    cell_of_name = cells_by_name(size)
    cells: list[int] = []
    swap, swapper, loser = None, "", None
    previous = ""
    for number, (colour, word) in enumerate(plays, start=1):
        if loser is not None:
            raise ValueError(f"move {number} comes after {loser} resigned")
        if word in GIVE_UP_WORDS:
            # Some programs write a resignation out of turn, so the turn is not checked here.
            loser = colour
            continue
        if word in SWAP_WORDS:
            if number != 2 or len(cells) != 1 or colour == first:
                raise ValueError(f"move {number} is a swap; only the second move can be a swap")
            swap, swapper, previous = SWAP_WORDS[word], colour, ""
            continue
        if swapper and not previous:
            # Both kinds of swap are written alike. The colour of the next move tells which it is:
            # after a swap of sides it is the swapper's colour again.
            swap = Swap.SIDES if colour == swapper else Swap.PIECES
        elif colour == previous:
            raise ValueError(f"move {number}: {colour} plays twice in a row")
        previous = colour
        cells.append(cell_of_name[word] if word in cell_of_name else parse_cell(word, size))
    if stated is None and loser is not None:
        other = colours - {loser}
        stated = other.pop() if other else "?"
    elif stated is not None and stated == loser:
        raise ValueError(f"the file says that {stated} won, but {stated} resigned")
    winner = None if stated is None else (BLUE if stated == first else RED)
    return WrittenGame(size, tuple(cells), winner, source, line, 0, swap, loser is not None)


def format_dat(game: Game | WrittenGame) -> str:
    """A Neurohex line. The format cannot state a winner."""
    return " ".join(cell_name(cell, game.size) for cell in game.moves)


def format_coloured(game: Game | WrittenGame) -> str:
    """A line of coloured moves, `b` first, with the winner if there is one."""
    plays = [f"{'bw'[ply % 2]} {cell_name(c, game.size)}" for ply, c in enumerate(game.moves)]
    winner = game.winner if isinstance(game, Game) else game.stated_winner
    letters = {BLUE: ["B"], RED: ["W"], None: []}[winner]
    return ",".join(plays + letters)


def check_line(text: str, size: int | None) -> int:
    """Return the board size for a line that does not state it.

    Raises:
        ValueError: the size is not known, or the line is a merge marker.
    """
    if _MERGE_MARKER.match(text):
        raise ValueError(
            f"the line is a merge marker of git ('{text[:20]}'); resolve the conflict in the file"
        )
    if size is None:
        raise ValueError("the board size is neither stated nor told by the moves; give --size")
    return size


def _cells(names: list[str], size: int) -> tuple[int, ...]:
    cell_of_name = cells_by_name(size)
    try:
        return tuple([cell_of_name[name] for name in names])
    except KeyError:
        return tuple(parse_cell(name.lower(), size) for name in names)
