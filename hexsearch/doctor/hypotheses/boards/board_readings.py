"""Other readings of recorded games, each judged by how often the named winner has connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.hypotheses.boards.move_orders import other_order
from hexsearch.game.board import RED, Stones, winners
from hexsearch.game.distance import connection_distances

_LOOKED_AT = 200  # games that are read in other ways
_FEW = 20
_RESULTS, _SHIFTED = 20_000, 0.97  # games whose results are compared with their neighbours'
_NEARLY, _SOME = 0.97, 0.25  # shares of games whose winner lacks at most one stone, and none
_FITS = 0.9  # share of games whose named winner has connected
_MOSTLY, _CONTRAST = 0.6, 0.25  # the same where a move is missing, and what the loser may reach
_MIXED = 0.05  # share of games that each side must win
_ENOUGH, _RELATED = 50, 4.0  # finished games, and errors of a correlation that are no chance
_RUNS = 0.2  # distance from a half, the share of equal neighbours among shuffled winners
_SHORTER = 0.85  # share of games whose named winner has the shorter path
Games = NDArray[np.int64]
_TURNED: dict[str, Callable[[Stones], Stones]] = {
    "rows are counted from the bottom: boards are flipped upside down": lambda b: b[:, ::-1],
    "columns are counted from the right: boards are mirrored": lambda b: b[:, :, ::-1],
    "boards are given a quarter turn": lambda b: np.rot90(b, 1, (1, 2)),
}
_CHANGES: dict[str, Callable[[Stones], Stones]] = {
    "rows and columns are exchanged (column-major)": lambda b: b.transpose(0, 2, 1),
    **_TURNED,
    "the colours are exchanged (the wrong side moves first)": lambda b: -b,
}


def other_reading(archive: GameArchive, games: Games) -> str:
    """In words, how games are read wrongly; empty if no other reading fits their winners.

    Args:
        games: games whose named winners do not fit their last boards.
    """
    if len(games) < _FEW or not _MIXED < (archive.winners[games] == RED).mean() < 1 - _MIXED:
        return ""
    some = games[np.linspace(0, len(games) - 1, min(len(games), _LOOKED_AT)).astype(np.int64)]
    won = archive.winners[some]
    boards = stones_at(archive, some, archive.lengths[some])
    if (winners(boards) == won).mean() > _FITS:
        return ""
    changed = {words: np.ascontiguousarray(change(boards)) for words, change in _CHANGES.items()}
    for words, others in changed.items():
        if (winners(others) == won).mean() > _FITS:
            return words
    # Where other games fit their winners as they are read, short paths alone are no evidence.
    fitting = int((archive.finished == 1).sum())
    if fitting < _FEW and _shorter(boards, won) < _SHORTER - _CONTRAST / 2:
        for words, others in changed.items():
            if _shorter(others, won) > _SHORTER:
                return words
    first = _without_first_move(boards, won)
    return first or other_order(archive, games) or _missing_move(archive, some, won)


def smaller_boards(archive: GameArchive, games: Games) -> tuple[int, int]:
    """How many games are finished games of a smaller board, and its size; 0 and 0 if none are.

    Args:
        games: games that end without a connection.
    """
    if not len(games):
        return 0, 0
    boards, won = stones_at(archive, games, archive.lengths[games]), archive.winners[games]
    best = (0, 0)
    for size in range(boards.shape[1] - 1, 2, -1):
        inside = ~(
            (boards[:, size:] != 0).any(axis=(1, 2)) | (boards[:, :, size:] != 0).any((1, 2))
        )
        part = np.ascontiguousarray(boards[:, :size, :size])
        fits = inside & (winners(part) == won)
        best = max(best, (int(fits.sum()), size))
    return best


def shifted_winners(archive: GameArchive, wrong: Games) -> str:
    """In words, whose result games have from some game on; empty if it is their own or unknown.

    Args:
        wrong: games whose named winner has not connected.
    """
    if len(wrong) < _FEW:
        return ""
    first, last = int(wrong[0]), int(wrong[-1])
    games = np.arange(first, last + 1, dtype=np.int64)[:_RESULTS]
    connected = winners(stones_at(archive, games, archive.lengths[games]))
    known = connected != 0
    for shift in (-1, 1, -2, 2, -3, 3):
        # A game has the result that belongs to the game `shift` places further on.
        inside = known & (games + shift >= 0) & (games + shift < len(archive))
        if inside.sum() < _FEW:
            continue
        given = archive.winners[games[inside] + shift]
        if (given == connected[inside]).mean() > _SHIFTED:
            which = "before" if shift > 0 else "after"
            return (
                f"from game {first + 1} to game {last + 1} each game has the winner of the game "
                f"{abs(shift)} place(s) {which} it in the list"
            )
    return ""


def turned_reading(boards: Stones, won: NDArray[np.int8]) -> tuple[int, str]:
    """How many winners have connected on flipped or turned boards, at the best, and how turned.

    It is not tried where most of them have connected on the boards as they are.
    """
    some = slice(0, _LOOKED_AT)
    if (winners(boards[some]) == won[some]).mean() > _MOSTLY:
        return 0, ""
    return max(
        (int((winners(np.ascontiguousarray(change(boards))) == won).sum()), words)
        for words, change in _TURNED.items()
    )


def _shorter(boards: Stones, won: NDArray[np.int8]) -> float:
    """Share of boards on which the named winner has the shorter path."""
    blue, red = connection_distances(boards)
    differ = blue != red
    return float((np.where(blue < red, -1, 1) == won)[differ].mean()) if differ.sum() > _FEW else 0


def _without_first_move(boards: Stones, won: NDArray[np.int8]) -> str:
    """In words, that the first stone is missing, so that all others have the other colour."""
    exchanged = np.ascontiguousarray(-boards)
    connected = winners(exchanged)
    blue, red = connection_distances(exchanged)
    short = np.where(won == RED, red, blue)
    if (short <= 1).mean() < _NEARLY or not (connected == won).mean() > _SOME:
        return ""
    if (connected == -won).mean() > _MIXED:
        return ""
    return (
        "the first move of each game is missing, so all other stones have the wrong colour: with "
        f"colours exchanged the named winner has connected in {(connected == won).mean():.0%}, and "
        "lacks one stone in the others"
    )


def _missing_move(archive: GameArchive, games: Games, won: NDArray[np.int8]) -> str:
    """Whether winners have connected if colours are exchanged from some move on."""
    own = other = 0
    for game, winner in zip(games.tolist(), won.tolist(), strict=True):
        found = set(winners(np.stack(list(_shifted(archive, game)))).tolist())
        own += winner in found
        other += -winner in found
    if own < _MOSTLY * len(games) or own - other < _CONTRAST * len(games):
        return ""
    return (
        f"a move is missing (a pass that was dropped, or a move that was lost): with the colours "
        f"of all later stones exchanged from some move on, the named winner has connected in "
        f"{own / len(games):.0%} of them, and the other side in {other / len(games):.0%}"
    )


def _shifted(archive: GameArchive, game: int) -> Iterator[Stones]:
    """The last board, with the colours of all stones from one move on exchanged."""
    record = archive.game(game)
    board = np.zeros(record.size**2, dtype=np.int8)
    cells = np.array(record.moves)
    colours = np.where(np.arange(len(cells)) % 2 == 0, -1, 1).astype(np.int8)
    for first in range(1, len(cells)):
        exchanged = colours.copy()
        exchanged[first:] = -exchanged[first:]
        shown = board.copy()
        shown[cells] = exchanged
        yield shown.reshape(record.size, record.size)


def moved_cells(archive: GameArchive, games: Games) -> str:
    """In words, by how many cells all moves are moved on; empty if this explains nothing.

    Args:
        games: finished games in which nobody has connected.
    """
    boards, won = stones_at(archive, games, archive.lengths[games]), archive.winners[games]
    flat = boards.reshape(len(boards), -1)
    for by in (1, -1):
        back = np.roll(flat, -by, axis=1).reshape(boards.shape)
        if (winners(back) == won).mean() > _FITS:
            return (
                f"every move is {'one cell further' if by > 0 else 'one cell back'} in the order "
                f"of the cells ({'counted from 1 in place of 0' if by > 0 else 'off by one'}, "
                "so the last cell becomes the first or the other way round)"
            )
    return ""


def unlike_winners(archive: GameArchive, wrong: Games) -> tuple[str, str] | None:
    """Cause and remedy if all winners are one colour, or do not follow the games at all."""
    finished = np.flatnonzero(archive.finished == 1)[:_RESULTS]
    named = archive.winners[finished].astype(np.float64)
    connected = np.where(np.isin(finished, wrong), -named, named)
    if len(finished) < _ENOUGH or not 0.2 < (connected > 0).mean() < 0.8:
        return None
    if named.std() == 0:
        colour = "Red" if named[0] > 0 else "Blue"
        return (
            f"every game has the winner {colour}, whoever connected: results are lost when games "
            "are read (a default, a constant, a comparison that never or always holds)",
            "read the winner of each game from its source, and import the games again",
        )
    together = float(np.corrcoef(named, connected)[0, 1])
    flags = np.isin(finished, wrong)
    files = archive.files[finished]
    shares = [float(flags[files == file].mean()) for file in np.unique(files)]
    in_runs = abs(float((flags[1:] == flags[:-1]).mean()) - 0.5) > _RUNS  # or every second one
    in_runs |= max(shares) - min(shares) > 2 * _RUNS  # some files, and others not
    by_chance = abs(together) < _RELATED / len(finished) ** 0.5
    if in_runs or not by_chance or shifted_winners(archive, wrong):
        return None
    return (
        "winners are those of other games: they are independent of who connected (sorted or "
        "shuffled in another order than the games)",
        "keep each game and its winner together, and import the games again",
    )
