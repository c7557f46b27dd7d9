"""Two kinds of plain lines, neither of which states the board size.

Neurohex `.dat`: moves separated by spaces, no winner, `l8 d10 i4`.
Coloured moves: `b a1,w f6,b resign,W`, who played what, and at the end who won.
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
    "swap-pieces": Swap.UNCLEAR,  # the word is used for both; who moves next tells them apart
    "swap-sides": Swap.SIDES,
}
GIVE_UP_WORDS = ("resign", "resigned", "forfeit", "timeout")


def read_dat(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """Neurohex lines.

    Args:
        size: the board; without it every line is refused.
    """

    def parse(text: str, number: int) -> WrittenGame:
        known = check_line(text, size)
        return WrittenGame(known, _cells(text.split(), known), None, source, number)

    return read_game_lines(lines, source, parse)


def read_coloured(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """Lines of coloured moves.

    Args:
        size: the board; without it every line is refused.
    """

    def parse(text: str, number: int) -> WrittenGame:
        return parse_coloured(text, check_line(text, size), source, number)

    return read_game_lines(lines, source, parse)


def parse_coloured(text: str, size: int, source: str = "<text>", line: int = 0) -> WrittenGame:
    """A record from one line such as `b a1,w f6,b resign,W`.

    Raises:
        ValueError: what is wrong with it.
    """
    fields = [field.strip() for field in text.rstrip(",").split(",")]
    stated = fields.pop()[:1].lower() if _WINNER.match(fields[-1]) else None
    plays: list[tuple[str, str]] = []
    for field in fields:
        match = _COLOURED.match(field)
        if match is None:
            raise ValueError(f"'{field[:20]}' is no move of a colour (such as 'b a1')")
        plays.append((match[1][:1].lower(), match[2].lower()))
    if not plays:
        raise ValueError("no moves")
    return written_from_plays(plays, stated, size, source, line)


def written_from_plays(
    plays: list[tuple[str, str]], stated: str | None, size: int, source: str, line: int
) -> WrittenGame:
    """A record from what each colour played, in order.

    Args:
        plays: (colour, cell name or one of the words for a swap or for giving up).
        stated: the colour that won, as a colour of `plays`, or None.
    Raises:
        ValueError: a colour out of turn, a swap too late, a winner who gave up.
    """
    first = plays[0][0]
    colours = {colour for colour, _ in plays}
    if len(colours) > 2:
        raise ValueError(f"three colours play: {', '.join(sorted(colours))}")
    known = cells_by_name(size)
    cells: list[int] = []
    swap, swapper, gave_up = None, "", None
    previous = ""
    for number, (colour, word) in enumerate(plays, start=1):
        if gave_up is not None:
            raise ValueError(f"move {number} comes after {gave_up} gave up")
        if word in GIVE_UP_WORDS:
            # Some programs write who gave up out of turn.
            gave_up = colour
            continue
        if word in SWAP_WORDS:
            if number != 2 or len(cells) != 1 or colour == first:
                raise ValueError(f"move {number} is a swap; only the second move can be one")
            swap, swapper, previous = SWAP_WORDS[word], colour, ""
            continue
        if swapper and not previous:
            # Spelled alike, the two swaps are told apart by who moves next: after an exchange of
            # sides it is the swapper's colour again.
            swap = Swap.SIDES if colour == swapper else Swap.PIECES
        elif colour == previous:
            raise ValueError(f"move {number}: {colour} plays twice in a row")
        previous = colour
        cells.append(known[word] if word in known else parse_cell(word, size))
    if stated is None and gave_up is not None:
        other = colours - {gave_up}
        stated = other.pop() if other else "?"
    elif stated is not None and stated == gave_up:
        raise ValueError(f"says that {stated} won, but {stated} gave up")
    winner = None if stated is None else (BLUE if stated == first else RED)
    return WrittenGame(size, tuple(cells), winner, source, line, 0, swap, gave_up is not None)


def format_dat(game: Game | WrittenGame) -> str:
    """A Neurohex line; it cannot hold a winner."""
    return " ".join(cell_name(cell, game.size) for cell in game.moves)


def format_coloured(game: Game | WrittenGame) -> str:
    """A line of coloured moves, `b` first, with the winner where there is one."""
    plays = [f"{'bw'[ply % 2]} {cell_name(c, game.size)}" for ply, c in enumerate(game.moves)]
    winner = game.winner if isinstance(game, Game) else game.stated_winner
    letters = {BLUE: ["B"], RED: ["W"], None: []}[winner]
    return ",".join(plays + letters)


def check_line(text: str, size: int | None) -> int:
    """The board of a line that does not state it.

    Raises:
        ValueError: it is not known, or the line is a merge marker.
    """
    if _MERGE_MARKER.match(text):
        raise ValueError(f"a merge marker and no game ('{text[:20]}'); mend the file's history")
    if size is None:
        raise ValueError("the board size is not stated and could not be told; give --size")
    return size


def _cells(names: list[str], size: int) -> tuple[int, ...]:
    known = cells_by_name(size)
    try:
        return tuple([known[name] for name in names])
    except KeyError:
        return tuple(parse_cell(name.lower(), size) for name in names)
