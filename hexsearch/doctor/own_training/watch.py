"""Runs a user's training function for some steps, and finds the positions of its batches."""

from __future__ import annotations

import numpy as np

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.catalogue import (
    GAMES,
    Catalogue,
    Change,
    catalogue,
    games_of,
    played,
)
from hexsearch.doctor.own_training.rows import rows_of
from hexsearch.doctor.own_training.running import record
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.errors import GamesError

_FEW_GAMES, _NEARLY_ALL = 8, 0.99


def watch(foreign: ForeignNetwork, archive: GameArchive, most: int = GAMES) -> OwnTraining:
    """Run a user's training function on some games, and find the positions of its batches.

    Args:
        most: of the games that it is given.
    Raises:
        GamesError: there are too few games of the network's size.
        PluginError: the function raises an error.
    """
    games = games_of(archive, foreign.size)[:most]
    if len(games) < _FEW_GAMES:
        raise GamesError(
            f"--train: {len(games)} games of {foreign.size}x{foreign.size} without set-up stones "
            f"were found, and {_FEW_GAMES} are needed to watch a training; give more with --games"
        )
    assert foreign.train is not None
    recording = record(foreign.train, played(archive, games), "--train", foreign.size)
    kinds = [type(module).__name__ for module in recording.network.values()]

    def shown(symmetry: int = 0, change: Change | None = None) -> Catalogue:
        return catalogue(foreign, archive, games, kinds, symmetry, change)

    known = [shown()]
    passes = recording.passes or recording.late
    rows = rows_of(passes, known, foreign.size)
    side, over = known[0].to_move, known[0].truth.finished
    # Scripts differ in whether somebody is to move on a finished board.
    other = np.where(over, 0, side).astype(np.int8) if foreign.for_mover else side
    further: list[tuple[int, Change | None]] = [(0, lambda boards, told: (boards, other))]
    further += [(symmetry, None) for symmetry in (1, 2, 3)]
    for symmetry, change in further:
        if rows is None or rows.found.mean() > _NEARLY_ALL:
            break
        known.append(shown(symmetry, change))
        rows = rows_of(passes, known, foreign.size)
    return OwnTraining(recording, foreign, known, rows, games)
