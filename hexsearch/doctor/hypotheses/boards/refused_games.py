"""Why games are refused: other ways of reading them, each judged by replay.

A right reading makes nearly all refused games end with the first connection of the winner that
their line names. Games that contradict their winner are valid if the winner is inverted, which is
therefore no evidence. Where winners are wrong is learnt from the columns of the games.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.hypotheses.boards.move_orders import ORDERS, ordered_cells
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.squares import moved_cells, neighbours
from hexsearch.game.board import BLUE, RED, cell_name
from hexsearch.game.record import WrittenGame, decided_at, verify_games

_LOOKED_AT = 200
_FITS = 0.9  # share of the refused games that a reading must make right
_SAME = 0.9  # share of games in which the same thing happens
_SHIFTED = 0.97
Cells = tuple[int, ...]
Moves = Callable[[Cells, int], Cells]


def _twice_dropped(moves: Cells, size: int) -> Cells:
    return tuple(dict.fromkeys(moves))


_TURNS = {  # words, and the symmetry of `moved_cells`
    "rows and columns exchanged": "transposed",
    "rows counted from the other side": "upside down",
    "columns counted from the other side": "mirrored left to right",
    "boards given a half turn": "turned by 180 degrees",
    "boards given a quarter turn": "given a quarter turn to the right",
    "boards mirrored in the short diagonal": "mirrored in the short diagonal",
}
_SHIFTS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1))


def _turned(symmetry: str) -> Moves:
    return lambda moves, size: tuple(
        moved_cells(np.array(moves, dtype=np.int64), size)[symmetry].tolist()
    )


def _shifted(rows: int, columns: int) -> Moves:
    return lambda moves, size: tuple(
        neighbours(np.array(moves, dtype=np.int64), size)[rows, columns].tolist()
    )


def _of_one(turn: Moves, first: int) -> Moves:
    """A change of every second move only."""

    def changed(moves: Cells, size: int) -> Cells:
        other = turn(moves, size)
        return tuple(
            other[number] if number % 2 == first else cell for number, cell in enumerate(moves)
        )

    return changed


def _readings() -> dict[str, Moves]:
    found: dict[str, Moves] = {
        "each move is written more than once: without repetitions": _twice_dropped,
        "the second entry is no move (a swap that is written as one): without it": (
            lambda moves, size: moves[:1] + moves[2:]
        ),
        "the first entry is no move: without it": lambda moves, size: moves[1:],
        "the last entry is no move (a resignation, a pass or a result that is written as a cell): "
        "without it": lambda moves, size: moves[:-1],
    }
    for words, order in ORDERS.items():
        found[f"moves are listed {words}: read so"] = _ordered(order)
    for words, symmetry in _TURNS.items():
        turn = _turned(symmetry)
        found[f"cells are numbered in another way: with {words}"] = turn
        for colour, first in (("first", 0), ("second", 1)):
            found[f"only the {colour} mover's cells are right: with {words} for the other"] = (
                _of_one(turn, 1 - first)
            )
    for rows, columns in _SHIFTS:
        words = f"cells are shifted: {rows:+d} row(s) and {columns:+d} column(s) further"
        found[words] = _shifted(rows, columns)
    return found


def _ordered(order: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Moves:
    return lambda moves, size: tuple(order(np.array(moves, dtype=np.int64)).tolist())


def other_written(refused: Sequence[WrittenGame]) -> str:
    """In words, another reading that makes nearly all of the refused games right; else empty."""
    some = _spread(refused)
    order = Counter(ordered_cells(game.moves, game.size) for game in some).most_common(1)[0]
    if order[0] and order[1] > _SAME * len(some):
        return (
            f"cells are {order[0]}, as where a board is written cell by cell: the order in which "
            "moves were played is lost"
        )
    for words, change in _readings().items():
        changed = [
            replace(game, moves=change(game.moves, game.size))
            for game in some
            if len(game.moves) > 2
        ]
        right = sum(game.finished for game in verify_games(changed)[0])
        if right >= _FITS * len(some):
            return (
                f"{words}, {right} of {len(some)} of these games end with the first connection of "
                "their winner"
            )
    return ""


def what_follows(refused: Sequence[WrittenGame]) -> str:
    """In words, what comes after the end of games that go on after a connection."""
    rests = []
    for game in _spread(refused):
        end = decided_at(game.moves, game.size)
        if end is None or end == len(game.moves):
            return ""
        rests.append((game, game.moves[end:]))
    lengths = Counter(len(rest) for _, rest in rests)
    most, count = lengths.most_common(1)[0]
    full = np.mean([len(game.moves) >= game.size**2 - 1 for game, _ in rests])
    if full > _SAME:
        return "games are played on until the board is full"
    alone = [replace(game, moves=rest, stated_winner=None) for game, rest in rests]
    if sum(game.finished for game in verify_games(alone)[0]) > _SAME * len(alone):
        return "the moves of another game follow: two games are joined"
    if count > _SAME * len(rests):
        return f"{most} more move(s) follow in {count} of {len(rests)} of them"
    return f"between {min(lengths)} and {max(lengths)} more moves follow"


def repeated_cells(refused: Sequence[WrittenGame]) -> str:
    """In words, which cells are played twice, and where, if that is the same in most games."""
    cells: Counter[int] = Counter()
    plies: Counter[int] = Counter()
    apart: Counter[int] = Counter()
    joined = []
    some = _spread(refused)
    for game in some:
        seen: dict[int, int] = {}
        for ply, cell in enumerate(game.moves):
            if cell in seen:
                cells[cell], plies[ply], apart[ply - seen[cell]] = (
                    cells[cell] + 1,
                    plies[ply] + 1,
                    apart[ply - seen[cell]] + 1,
                )
                break
            seen[cell] = ply
        end = next((n for n in range(1, len(game.moves)) if _ended(game, n)), 0)
        joined.append(bool(end) and _is_game(game, end))
    enough = _SAME * len(some)
    if some and np.mean(joined) > _SAME:
        return "another game follows after the first connection: two games are joined"
    size = some[0].size if some else 0
    for counts, words in (
        (plies, "the first repetition is always move {}"),
        (apart, "a cell comes again {} move(s) later"),
    ):
        if counts and counts.most_common(1)[0][1] > enough:
            value = counts.most_common(1)[0][0] + (counts is plies)
            return words.format(value)
    if cells and cells.most_common(1)[0][1] > enough:
        return f"it is always cell {cell_name(cells.most_common(1)[0][0], size)}"
    return ""


def _ended(game: WrittenGame, count: int) -> bool:
    """Whether the moves up to `count` are legal, and end with a connection."""
    part = game.moves[:count]
    return len(set(part)) == count and decided_at(part, game.size) == count


def _is_game(game: WrittenGame, start: int) -> bool:
    rest = replace(game, moves=game.moves[start:], stated_winner=None)
    return bool(rest.moves) and any(each.finished for each in verify_games([rest])[0])


def _spread(games: Sequence[WrittenGame]) -> list[WrittenGame]:
    index = np.unique(np.linspace(0, len(games) - 1, min(len(games), _LOOKED_AT)).astype(int))
    return [games[number] for number in index] if games else []


@dataclass(frozen=True)
class _Played:
    """A game that ends with a connection: who connects, and who is named."""

    file: str
    line: int
    moves: Cells
    won: int
    named: int


def wrong_winners(refused: Sequence[WrittenGame], archive: GameArchive | None) -> str:
    """In words, in which games the named winner is wrong, or whose winner it is; else empty."""
    games = [
        _Played(game.source, game.line, game.moves, -game.stated_winner, game.stated_winner)
        for game in refused
        if game.stated_winner is not None
    ]
    names = {game.file for game in games}
    if archive is not None:
        for number in np.flatnonzero(archive.finished == 1)[:20_000].tolist():
            kept = archive.game(number)
            if kept.source in names:
                games.append(_Played(kept.source, kept.line, kept.moves, kept.winner, kept.winner))
    games.sort(key=lambda each: (each.file, each.line))
    won, named = (np.array([getattr(g, name) for g in games]) for name in ("won", "named"))
    wrong = won != named
    if len(games) < 20:
        return ""
    if wrong.all():
        return "the winner is exchanged in every game (the winner is written the other way round)"
    for colour, name in ((BLUE, "Blue"), (RED, "Red")):
        if (named == colour).mean() > _SHIFTED > (won == colour).mean() + 0.1:
            return f"{name} is named as the winner of every game, whoever connects"
    for shift in (1, -1, 2, -2):
        count = len(won) - abs(shift)
        given, right = named[max(shift, 0) :][:count], won[max(-shift, 0) :][:count]
        if (given == right).mean() > _SHIFTED:
            which = "before" if shift > 0 else "after"
            return (
                f"each line has the winner of the game {abs(shift)} line(s) {which} it: results "
                "are assigned to the wrong games"
            )
    place = region(wrong, _columns(games, refused[0].size))
    return (
        f"the winner is exchanged (the other way round) {place}"
        if place.startswith("exactly")
        else ""
    )


def _columns(games: Sequence[_Played], size: int) -> dict[str, NDArray[np.generic]]:
    first = np.array([game.moves[0] for game in games])
    second = np.array([game.moves[1] for game in games])
    row, column = np.divmod(first, size)
    last = np.array([game.moves[-1] for game in games])
    length = np.array([len(game.moves) for game in games])
    number = np.arange(len(games))
    lines = np.array([game.line for game in games])
    return {
        "where Red connects": np.array([game.won == RED for game in games]),
        "where the first move lies on the long diagonal": row == column,
        "where the first move lies on the short diagonal": row + column == size - 1,
        "where the first move lies on an edge": (
            np.minimum(np.minimum(row, column), size - 1 - np.maximum(row, column)) == 0
        ),
        "length of the game": length,
        "number of the game in the list": number,
        "line of the file": lines,
        "row of the first move (from 0)": row,
        "column of the first move (from 0)": column,
        "row of the second move (from 0)": second // size,
        "row of the last move (from 0)": last // size,
        "column of the last move (from 0)": last % size,
    }
