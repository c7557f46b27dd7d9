"""Games that are the same game, and how soon games part."""

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
        exact: how many repeat the very moves of an earlier game.
        symmetric: how many others repeat an earlier game mirrored or turned.
        contradictory: pairs of (earlier, later) game, each as (file, line), that agree up to a
            half turn but not on the winner; only unfinished games can.
        repeats: indices of all games that repeat an earlier one.
    """

    exact: int
    symmetric: int
    contradictory: list[tuple[tuple[str, int], tuple[str, int]]]
    repeats: Indices


def find_duplicates(archive: GameArchive) -> Duplicates:
    """Compare the games that share a symmetry-invariant hash."""
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
            # Only the half turn leaves colours alone, so that winners can be compared.
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
    """[K] share of games whose first k moves no other of them shares, for k from 1.

    Ends where every game is unique, or after 60 moves. All games are of one board size.
    """
    offsets, lengths = archive.offsets[games].astype(np.int64), archive.lengths[games]
    prefix = np.zeros(len(games), dtype=np.int64)
    shares = []
    for ply in range(min(_LONGEST_PREFIX, int(lengths.max(initial=0)))):
        there = lengths > ply
        # A game that has ended keeps its prefix and gets a move of its own kind.
        moves = np.full(len(games), 511, dtype=np.int64)
        moves[there] = archive.moves[(offsets + ply)[there]]
        _, prefix, counts = np.unique(prefix * 512 + moves, return_inverse=True, return_counts=True)
        shares.append(float((counts[prefix] == 1).mean()))
        if shares[-1] == 1.0:
            break
    return np.array(shares)
