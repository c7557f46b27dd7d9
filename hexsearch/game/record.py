"""Game records: as written in a file, and as verified by replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from hexsearch.errors import printable
from hexsearch.game.board import (
    BLUE,
    COLOUR_NAMES,
    RED,
    Stones,
    cell_name,
    stones_after,
    winner,
    winners,
)

REPLAY_DISAGREES = "but replay shows that"  # in every refusal of a game with a wrong winner


class Swap(Enum):
    """What a swap did with the first stone."""

    SIDES = "sides"  # the stone stays, and the players exchange colours
    PIECES = "pieces"  # the stone is mirrored and changes colour; the first player moves again
    UNCLEAR = "unclear"  # the text can mean either


@dataclass(frozen=True, slots=True)
class WrittenGame:
    """A game as a file states it, not yet replayed.

    The first mover is called Blue here. `moves` holds the cells as written, without a swap
    token; hexsearch.game.reading brings them into our orientation.
    """

    size: int
    moves: tuple[int, ...]  # cells, played alternately from Blue
    stated_winner: int | None  # RED, BLUE, or None where the file does not say
    source: str
    line: int
    setup: int = 0  # number of leading moves that were set up; their order has no meaning
    swap: Swap | None = None
    given_up: bool = False  # the record says that somebody resigned
    by_player: bool = False  # stated_winner BLUE means the first player, also after a swap
    assumed_size: bool = False  # the file states no size
    search_values: bytes | None = None  # before each move; see hexsearch.game.search_values


@dataclass(frozen=True, slots=True)
class Game:
    """A game whose moves are legal and whose winner agrees with replay."""

    size: int
    moves: tuple[int, ...]
    winner: int  # RED or BLUE
    finished: bool  # False: nobody has connected at the end, so the winner is only stated
    source: str
    line: int
    setup: int = 0  # number of leading moves that were set up; positions among them never occurred
    search_values: bytes | None = None  # before each move; see hexsearch.game.search_values


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line of a file is not used.

    Attributes:
        game: what the line says, where it could be read as a game.
    """

    file: str
    line: int
    reason: str
    game: WrittenGame | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return printable(f"{self.file} line {self.line}: {self.reason}")


def verify_games(written: Sequence[WrittenGame]) -> tuple[list[Game], list[Refusal]]:
    """Replay games and keep those whose record is consistent.

    A game is refused if it has no moves, if a cell is played twice, if a move follows after
    somebody has connected, if replay contradicts the stated winner, or if nobody has connected
    and no winner is stated. Faulty games are never corrected.
    """
    games: list[Game] = []
    refusals: list[Refusal] = []
    playable = []
    for record in written:
        fault = _illegal_move(record)
        if fault:
            refusals.append(Refusal(record.source, record.line, fault, record))
        else:
            playable.append(record)
    # All boards of one size are replayed together: one flood serves thousands of games.
    for size in sorted({record.size for record in playable}):
        group = [record for record in playable if record.size == size]
        ends, before_ends = replay([record.moves for record in group], size)
        for record, won, won_before in zip(group, ends.tolist(), before_ends.tolist(), strict=True):
            fault = _contradiction(record, won, won_before)
            if fault:
                refusals.append(Refusal(record.source, record.line, fault, record))
                continue
            final = won or record.stated_winner
            assert final is not None
            games.append(
                Game(
                    size,
                    record.moves,
                    final,
                    won != 0,
                    record.source,
                    record.line,
                    record.setup,
                    record.search_values,
                )
            )
    return games, refusals


def replay(
    games: Sequence[tuple[int, ...]], size: int
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The winner after all moves of each game, and the winner before its last move.

    Args:
        games: legal moves, at least one for each game, all on boards of one size.
    Returns:
        Two arrays of [G] int8: RED, BLUE, or 0 where nobody has connected.
    """
    stones = _final_boards(games, size)
    ends = winners(stones)
    boards = np.arange(len(games))
    stones.reshape(len(games), -1)[boards, [moves[-1] for moves in games]] = 0
    return ends, winners(stones)


def _final_boards(games: Sequence[tuple[int, ...]], size: int) -> Stones:
    lengths = np.fromiter(map(len, games), dtype=np.int64, count=len(games))
    total = int(lengths.sum())
    cells = np.fromiter(chain.from_iterable(games), dtype=np.int64, count=total)
    starts = np.cumsum(lengths) - lengths
    plies = np.arange(total) - np.repeat(starts, lengths)
    stones = np.zeros((len(games), size * size), dtype=np.int8)
    boards = np.repeat(np.arange(len(games)), lengths)
    stones[boards, cells] = np.where(plies % 2 == 0, BLUE, RED)
    return stones.reshape(-1, size, size)


def _illegal_move(record: WrittenGame) -> str | None:
    if not record.moves:
        return "no moves"
    if len(set(record.moves)) == len(record.moves):
        return None
    seen: dict[int, int] = {}
    for ply, cell in enumerate(record.moves, start=1):
        if cell in seen:
            name = cell_name(cell, record.size)
            return f"move {ply} '{name}' was already played as move {seen[cell]}"
        seen[cell] = ply
    raise AssertionError("a repeated cell was counted but not found")


def _contradiction(record: WrittenGame, won: int, won_before: int) -> str | None:
    if won_before:
        ply = decided_at(record.moves, record.size)
        colour = COLOUR_NAMES[won_before]
        return f"{colour} connected at move {ply}, but the game goes on; delete the moves after it"
    if record.stated_winner is None:
        return None if won else "nobody has connected and no winner is stated"
    if won and won != record.stated_winner:
        stated, replayed = COLOUR_NAMES[record.stated_winner], COLOUR_NAMES[won]
        return f"the file says that {stated} won, {REPLAY_DISAGREES} {replayed} connects"
    return None


def decided_at(moves: Sequence[int], size: int) -> int | None:
    """The number of moves after which somebody has first connected, or None."""
    low, high = 1, len(moves)
    if high == 0 or not winner(stones_after(list(moves), size)):
        return None
    while low < high:
        middle = (low + high) // 2
        if winner(stones_after(list(moves[:middle]), size)):
            high = middle
        else:
            low = middle + 1
    return low
