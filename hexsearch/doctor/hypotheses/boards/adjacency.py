"""Under which notion of neighbouring cells games end with a connection of their winners."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.game.board import BLUE, RED

Steps = Sequence[tuple[int, int]]
Boards = NDArray[np.bool_]
SQUARE: Steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
HEX: Steps = (*SQUARE, (1, -1), (-1, 1))
_RULES: dict[str, Steps] = {
    "with the other diagonal: cells touch along the long diagonal of the drawing that Hex does not "
    "have": (*SQUARE, (1, 1), (-1, -1)),
    "with both diagonals, as eight neighbours on a square board": (
        *SQUARE,
        (1, 1),
        (-1, -1),
        (1, -1),
        (-1, 1),
    ),
    "without diagonals, as four neighbours on a square board": SQUARE,
}
_GAMES = 200
_FITS, _MOST = 0.97, 0.9


def other_adjacency(archive: GameArchive, games: NDArray[np.int64]) -> str:
    """In words, the rule by which the winners of nearly all games connect; empty if there is none.

    Args:
        games: games that do not end with a connection by the rules of Hex.
    """
    some = games[:_GAMES]
    if not len(some):
        return ""
    boards = stones_at(archive, some, archive.lengths[some].astype(np.int64))
    for words, steps in _RULES.items():
        won = [
            connects(board == winner, steps, winner == BLUE)
            for board, winner in zip(boards, archive.winners[some], strict=True)
        ]
        if np.mean(won) > _FITS:
            return words
    return ""


def cause_of_rule(rule: str, share: float) -> tuple[str, str]:
    """Cause and remedy of games whose winners connect by another rule.

    Code that judges connections judges those of all games. Mirrored boards look so, too.

    Args:
        share: of the finished games that they are.
    """
    if rule == next(iter(_RULES)) and share < _MOST:
        return (
            "a part of the games is mirrored: their columns (or rows) are counted from the other "
            f"side, which is no symmetry of Hex; as they stand, winners connect {rule}",
            "turn the columns of these games round in their files, and import them again",
        )
    return (
        "a connection was judged by wrong neighbours: these games end where their winner connects "
        f"{rule}",
        "correct the test for the end of the game (a cell of Hex has six neighbours), and play or "
        "cut these games again",
    )


def other_winners(truth: Truth, red_won: Flags) -> str:
    """In words, the rule of connections that gives these winners; empty if there is none.

    Args:
        red_won: [B] whether Red is said to have won the games of the positions.
    """
    games, rows = np.unique(truth.game, return_inverse=True)
    rows = rows.reshape(-1)
    some = np.arange(min(len(games), _GAMES))
    known = rows < len(some)
    ends = truth.archive.lengths[games[some]].astype(np.int64)
    boards = stones_at(truth.archive, games[some], ends)
    fits: dict[str, float] = {}
    for words, steps in _RULES.items():
        won = np.array(
            [[connects(b == side, steps, side == BLUE) for b in boards] for side in (BLUE, RED)]
        )
        # The colour that is looked at first has the boards on which both connect.
        for others, red in (("Blue", won[1]), ("Blue", won[1] & ~won[0]), ("Red", ~won[0])):
            cause = (
                f"results are computed anew {words}; {others} gets the boards on which nobody "
                "connects by that rule"
            )
            fit = float((red[rows[known]] == red_won[known]).mean())
            fits[cause] = max(fit, fits.get(cause, 0.0))
    best = max(fits, key=lambda cause: fits[cause])
    return best if fits[best] > _FITS else ""


def connects(stones: NDArray[np.bool_], steps: Steps, downwards: bool) -> bool:
    """Whether stones [N, N] connect top to bottom, or left to right, by some steps."""
    board = stones if downwards else stones.T
    # Both axes are exchanged for the other colour, and so are the steps.
    moves = steps if downwards else [(column, row) for row, column in steps]
    begun = np.zeros_like(board)
    begun[0] = board[0]
    return bool(reached(begun[None], board[None], moves)[0, -1].any())


def reached(begun: Boards, stones: Boards, steps: Steps) -> Boards:
    """[B, N, N] the stones that are reached from some of them by steps over stones."""
    while True:
        padded = np.pad(begun, ((0, 0), (1, 1), (1, 1)))
        wider = begun.copy()
        for row, column in steps:
            wider |= np.roll(padded, (row, column), axis=(1, 2))[:, 1:-1, 1:-1]
        wider &= stones
        if (wider == begun).all():
            return begun
        begun = wider
