"""Numbered move lists, `1. f6 2. swap 3. d4 ... resign`, with one game on each line.

The first player connects top to bottom. The numbers count moves, or pairs of moves as in chess.
Neither the board size nor the kind of swap is stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hexsearch.game.board import BLUE, RED, cells_by_name, parse_cell
from hexsearch.game.formats.lines import read_game_lines
from hexsearch.game.formats.plain import GIVE_UP_WORDS, SWAP_WORDS, check_line
from hexsearch.game.record import Refusal, Swap, WrittenGame

LINE = re.compile(r"1\s*[.)]\s*[a-zA-Z]")
_NUMBER = re.compile(r"([0-9]{1,3})\s*[.)]\s*")
_WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_WINNERS = {"1-0": BLUE, "0-1": RED}


def read_numbered(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """Lines of numbered moves.

    Args:
        size: the board size; without it every line is refused.
    """

    def parse(text: str, number: int) -> WrittenGame:
        return parse_numbered(text, check_line(text, size), source, number)

    return read_game_lines(lines, source, parse)


def parse_numbered(text: str, size: int, source: str = "<text>", line: int = 0) -> WrittenGame:
    """A record from one line.

    Raises:
        ValueError: the line is not such a game; the message says why.
    """
    words, winner = _words(text.split(" # ", 1)[0].strip())
    cell_of_name = cells_by_name(size)
    cells: list[int] = []
    swap, loser = None, None
    for ply, word in enumerate(words):
        if loser is not None:
            raise ValueError(f"'{word}' comes after a player resigned")
        if word in GIVE_UP_WORDS:
            loser = BLUE if ply % 2 == 0 else RED
        elif word in SWAP_WORDS:
            if ply != 1:
                raise ValueError(f"move {ply + 1} is a swap; only the second move can be a swap")
            swap = Swap.SIDES if SWAP_WORDS[word] is Swap.SIDES else Swap.UNCLEAR
        else:
            cells.append(cell_of_name[word] if word in cell_of_name else parse_cell(word, size))
    if loser is not None:
        if winner == loser:
            raise ValueError("the player who resigned is also written as the winner")
        winner = -loser
    return WrittenGame(
        size, tuple(cells), winner, source, line, 0, swap, loser is not None, by_player=True
    )


def _words(text: str) -> tuple[list[str], int | None]:
    """The moves in order, and the winner if the text ends with one (`1-0`: the first player)."""
    winner = None
    for mark, player in _WINNERS.items():
        if text.endswith(f" {mark}"):
            text, winner = text[: -len(mark)].rstrip(), player
    words: list[str] = []
    position, number, counts_pairs = 0, 0, None
    while position < len(text):
        match = _NUMBER.match(text, position)
        if match is not None:
            number += 1
            if int(match[1]) != number:
                raise ValueError(f"move number {match[1]} where {number} was expected")
            position = match.end()
        moves = 0
        while word := _WORD.match(text, position):
            words.append(word[0].lower())
            moves += 1
            position = word.end()
            while position < len(text) and text[position] in " \t,;":
                position += 1
        if not moves:
            raise ValueError(f"'{text[position : position + 8]}' is not a move")
        if counts_pairs is None:
            counts_pairs = moves == 2
        if moves > 2 or ((moves == 2) != counts_pairs and position < len(text)):
            raise ValueError(f"number {number} has {moves} move(s), unlike number 1")
    return words, winner
