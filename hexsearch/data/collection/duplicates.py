"""Games that occur more than once, and the ply from which on games differ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.order import Indices
from hexsearch.game.record import Game
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells

_LONGEST_PREFIX = 60


@dataclass(frozen=True)
class Duplicates:
    """Games that repeat an earlier one.

    Attributes:
        exact: number of games with the same moves as an earlier game.
        symmetric: number of other games that are symmetric copies of an earlier game.
        contradictory: pairs of an earlier and a later game, each as (file, line), with the same
            moves up to a half turn but different winners. Only unfinished games can do this.
        repeats: indices of all games that repeat an earlier one.
    """

    exact: int
    symmetric: int
    contradictory: list[tuple[tuple[str, int], tuple[str, int]]]
    repeats: Indices


def find_duplicates(archive: GameArchive) -> Duplicates:
    """Compare the games that have the same symmetry-invariant hash."""
    _, group, counts = np.unique(archive.hashes, return_inverse=True, return_counts=True)
    members: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(counts[group] > 1).tolist():
        members[int(group[index])].append(index)
    exact, repeats = 0, []
    contradictory = []
    for indices in members.values():
        seen: set[tuple[int, ...]] = set()
        winners: dict[tuple[int, ...], Game] = {}
        for index in indices:
            game = archive.game(index)
            exact += game.moves in seen
            seen.add(game.moves)
            # Winners can be compared only under the half turn, which keeps the colours.
            turned = symmetry_cells(game.size)[HALF_TURN]
            form = min(game.moves, tuple(int(turned[cell]) for cell in game.moves))
            earlier = winners.setdefault(form, game)
            if earlier.winner != game.winner:
                contradictory.append(((earlier.source, earlier.line), (game.source, game.line)))
        repeats += indices[1:]
    return Duplicates(
        exact, len(repeats) - exact, contradictory, np.array(sorted(repeats), dtype=np.int64)
    )


def unique_by_ply(archive: GameArchive, games: Indices) -> NDArray[np.float64]:
    """[K] share of games whose first k moves are those of no other game, for k from 1.

    It ends when every game is unique, or after 60 moves. All games have one board size.
    """
    offsets, lengths = archive.offsets[games].astype(np.int64), archive.lengths[games]
    prefix = np.zeros(len(games), dtype=np.int64)
    shares = []
    for ply in range(min(_LONGEST_PREFIX, int(lengths.max(initial=0)))):
        there = lengths > ply
        # A game that has ended keeps its prefix and gets an extra move that no cell has.
        moves = np.full(len(games), 511, dtype=np.int64)
        moves[there] = archive.moves[(offsets + ply)[there]]
        _, prefix, counts = np.unique(prefix * 512 + moves, return_inverse=True, return_counts=True)
        shares.append(float((counts[prefix] == 1).mean()))
        if shares[-1] == 1.0:
            break
    return np.array(shares)
