"""Findings on games that were played on a smaller board than the one that is named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.board_readings import smaller_boards

_FEW, _SHARE = 10, 0.03  # games of a smaller board that are reported, and their share
_LOOKED_AT = 5_000  # games without a connection


def size_findings(archive: GameArchive) -> Iterator[Finding]:
    """Report games of a smaller board: all of them, or some of those without a connection."""
    all_of_them = list(_unused_edge(archive))
    yield from all_of_them or _some_games(archive)


def _some_games(archive: GameArchive) -> Iterator[Finding]:
    """Games without a connection that have one if the board ends earlier."""
    open_games = np.flatnonzero(archive.finished == 0).astype(np.int64)[:_LOOKED_AT]
    count, size = smaller_boards(archive, open_games)
    if count < max(_FEW, _SHARE * len(archive)):
        return
    whole = int(archive.sizes.max())
    yield Finding.error(
        "results",
        f"of {len(open_games):,} games that end without a connection {count:,} have no move "
        f"outside {size}x{size} cells, and on a board of that size the named winner has connected "
        "with the last move",
        f"{count:,} games are of a smaller board, {size}x{size}, and are read as games of a "
        f"{whole}x{whole} board: their edges are in the wrong place, and no winner touches them",
        f"read these games as {size}x{size} games, or leave them out",
        root="recorded",
    )


def _unused_edge(archive: GameArchive) -> Iterator[Finding]:
    """If nobody ever plays in outer rows and columns, the games are of a smaller board."""
    size = int(archive.sizes.max(initial=0))
    if len(archive.moves) < 50 * size:
        return
    rows, columns = np.divmod(archive.moves.astype(np.int64), size)
    used = [np.bincount(lines, minlength=size) > 0 for lines in (rows, columns)]
    side = max(int(np.flatnonzero(each).max()) + 1 for each in used)
    first = min(int(np.flatnonzero(each).min()) for each in used)
    if side < size or first > 0:
        yield Finding.error(
            "results",
            f"in {len(archive):,} games all moves are in rows and columns {first} to {side - 1} "
            f"(counted from 0) of a {size}x{size} board",
            f"the games are of a smaller board ({side - first}x{side - first}), or cells are "
            "shifted: edges are in the wrong place",
            f"--set data.board_size={side - first}, or count rows and columns from 0",
        )
