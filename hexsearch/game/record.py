"""Game records: as written in a file, and as verified by replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexsearch.game.board import COLOUR_NAMES, cell_name, stones_after, winner, winners


@dataclass(frozen=True, slots=True)
class WrittenGame:
    """A game as a file states it, in our orientation, not yet replayed."""

    size: int
    moves: tuple[int, ...]  # cells, played alternately from Blue, who connects top to bottom
    stated_winner: int | None  # RED, BLUE, or None where the file does not say
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Game:
    """A game whose moves are legal and whose winner agrees with replay."""

    size: int
    moves: tuple[int, ...]
    winner: int  # RED or BLUE
    finished: bool  # False: it stops before anyone connected, so the winner is only stated
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a line of a file is not used."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.reason}"


def verify_games(written: Sequence[WrittenGame]) -> tuple[list[Game], list[Refusal]]:
    """Replay games and keep those whose record is consistent.

    Refused: a cell played twice, a move after the game was decided, a stated winner that
    replay contradicts, and a game that neither ends nor names a winner. Nothing is mended.
    """
    games: list[Game] = []
    refusals: list[Refusal] = []
    playable = []
    for record in written:
        fault = _illegal_move(record)
        if fault:
            refusals.append(Refusal(record.source, record.line, fault))
        else:
            playable.append(record)
    # Boards are replayed together, size by size: one flood for thousands of games.
    for size in sorted({record.size for record in playable}):
        group = [record for record in playable if record.size == size]
        ends = np.stack([stones_after(record.moves, size) for record in group])
        before_ends = np.stack([stones_after(record.moves[:-1], size) for record in group])
        for record, won, won_before in zip(group, winners(ends), winners(before_ends), strict=True):
            fault = _contradiction(record, int(won), int(won_before))
            if fault:
                refusals.append(Refusal(record.source, record.line, fault))
                continue
            final = int(won) or record.stated_winner
            assert final is not None
            games.append(Game(size, record.moves, final, bool(won), record.source, record.line))
    return games, refusals


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
        return f"{colour} had connected at move {ply} but the record goes on; delete what follows"
    if record.stated_winner is None:
        return None if won else "nobody has connected and no winner is stated"
    if won and won != record.stated_winner:
        stated, replayed = COLOUR_NAMES[record.stated_winner], COLOUR_NAMES[won]
        return f"says that {stated} won, but by replay {replayed} connects"
    return None


def decided_at(moves: Sequence[int], size: int) -> int | None:
    """First ply count at which somebody has connected, or None."""
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
