"""Whether the games are played at all, or their moves are drawn at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.distance import connection_distances

_GAMES, _LAST = 200, 10  # games that are looked at, and their last plies
_CHANCES = 50  # positions that are needed
# Players of every strength take nearly all such chances (91% and more in five collections), moves
# at random 16% on 13x13 and 28% on 5x5.
_TAKEN = 0.4


def check_play(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A side that can connect with one stone must mostly do so."""
    chances, taken = _won_at_once(needed(pipeline.archive))
    if chances < _CHANCES or taken >= _TAKEN * chances:
        return
    yield Finding.warning(
        "play",
        f"of {chances:,} positions in which the side to move could connect with one stone, it did "
        f"so in {taken / chances:.0%}",
        "the games are hardly played: their moves look random (self-play of an untrained network, "
        "or of one that was not loaded; a temperature that is far too high; or moves of other "
        "cells than those that were played), so there is little to learn from them for a policy, "
        "or for the value of good play",
        "train on games of players that take a win (a search, an engine, people), or of later "
        "generations of self-play; see that games are stored as they were played",
        root="play",
    )


def _won_at_once(archive: GameArchive) -> tuple[int, int]:
    """Positions in which the side to move can connect at once, and those where it does."""
    size = int(np.bincount(archive.sizes).argmax())
    # A game that ends before the winning move shows none of the chances that were taken.
    games = np.flatnonzero((archive.sizes == size) & (archive.finished == 1))
    games = games[np.unique(archive.hashes[games], return_index=True)[1]]
    if not len(games):
        return 0, 0
    games = games[np.linspace(0, len(games) - 1, min(len(games), _GAMES)).astype(np.int64)]
    lengths, setups = archive.lengths_of(games), archive.setups[games].astype(np.int64)
    first = np.maximum(setups, lengths - _LAST)
    counts = lengths - first + 1
    rows = np.repeat(np.arange(len(games)), counts)
    plies = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    blue, red = connection_distances(stones_at(archive, games[rows], plies))
    of_blue = plies % 2 == 0
    own, other = np.where(of_blue, (blue, red), (red, blue))
    after: NDArray[np.int16] = np.where(of_blue[:-1], blue[1:], red[1:])
    chance = (own[:-1] == 1) & (other[:-1] > 0) & (rows[1:] == rows[:-1])
    return int(chance.sum()), int((after[chance] == 0).sum())
