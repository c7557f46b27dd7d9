"""Symmetry-invariant forms of games, computed without the symmetry tables of `game.symmetry`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import stones_at


def game_forms(archive: GameArchive, games: NDArray[np.int64]) -> dict[int, tuple[bytes, int]]:
    """Form of each game by its index in the archive, and the colours of that form.

    Games that are symmetric copies of each other have the same form: the smallest text of their
    moves under the four symmetries of Hex.

    Args:
        games: [G] indices into the archive.
    Returns:
        For each index the form, and 1 if its colours are as played, -1 if they are exchanged.
    """
    offsets = archive.offsets.astype(np.int64)
    cells = archive.moves[: offsets[int(games.max(initial=-1)) + 1]].astype(np.int64)
    size = np.repeat(archive.sizes.astype(np.int64), archive.lengths)[: len(cells)]
    row, column, last = cells // size, cells % size, size - 1
    images = [
        (np.stack([pair[0], pair[1]], axis=1).astype(">u2").tobytes(), colours)
        for pair, colours in (
            ((row, column), 1),
            ((last - row, last - column), 1),
            ((column, row), -1),
            ((last - column, last - row), -1),
        )
    ]
    forms = {}
    for game in games.tolist():
        start, end = 4 * int(offsets[game]), 4 * int(offsets[game + 1])
        forms[game] = min((text[start:end], colours) for text, colours in images)
    return forms


def last_boards(archive: GameArchive, games: NDArray[np.int64]) -> list[bytes]:
    """The last board of each game, as the smallest of its images under the symmetries of Hex."""
    boards = stones_at(archive, games, archive.lengths[games].astype(np.int64))
    exchanged = -boards.transpose(0, 2, 1)
    images = (boards, boards[:, ::-1, ::-1], exchanged, exchanged[:, ::-1, ::-1])
    whole = [np.ascontiguousarray(image).reshape(len(games), -1) for image in images]
    return [min(image[game].tobytes() for image in whole) for game in range(len(games))]
