"""Which games a network has not been trained on, by the hash that all copies of a game share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, open_archive
from hexsearch.data.archive_header import is_archive
from hexsearch.data.order import Indices
from hexsearch.data.split import SplitName, split_games
from hexsearch.errors import GamesError

Hashes = NDArray[np.uint64]
_ARCHIVE = "games.archive"  # of a study, some folders above its checkpoints
_ABOVE = 4


@dataclass(frozen=True)
class UnseenGames:
    """Games to judge a network on, and why others are not.

    Attributes:
        judged, trained_on, for_confirmation: indices, ascending; together all games.
        is_guess: the training games are not known, so every game counts as one of theirs.
    """

    judged: Indices
    trained_on: Indices
    for_confirmation: Indices
    is_guess: bool

    def __str__(self) -> str:
        text = f"{len(self.judged):,} games are judged"
        if len(self.trained_on):
            text += f"; {len(self.trained_on):,} are left out because it was trained on them"
            text += " (or may have been: its training games are not known)" * self.is_guess
        if len(self.for_confirmation):
            text += f"; {len(self.for_confirmation):,} are test games, kept for confirmation"
        return text


def unseen_games(
    archive: GameArchive, data: DataConfig, training_archive: Hashes | None
) -> UnseenGames:
    """Sort games by what training has seen, mirrored and turned copies included.

    Args:
        training_archive: hashes of all games of the archive that it was trained on, of which it
            saw those of the training split; None if they are not known.
    Raises:
        GamesError: not one game is left to judge.
    """
    shares = data.split
    known = np.ones(len(archive), dtype=bool)
    if training_archive is not None:
        known = np.isin(archive.hashes, training_archive)

    def part(name: SplitName) -> NDArray[np.bool_]:
        inside = np.zeros(len(archive), dtype=bool)
        inside[split_games(archive, name, shares.validation, shares.test, shares.salt)] = True
        return inside & known

    seen, kept = part("train"), part("test")
    found = UnseenGames(
        judged=np.flatnonzero(~(seen | kept)),
        trained_on=np.flatnonzero(seen),
        for_confirmation=np.flatnonzero(kept),
        is_guess=training_archive is None,
    )
    if not len(found.judged):
        raise GamesError(f"no game to judge it on: {found}; give other games")
    return found


def archive_beside(checkpoint: Path, content_hash: str) -> Hashes | None:
    """The games of the study that a checkpoint lies in, if it is the archive of its training."""
    for folder in list(checkpoint.resolve().parents)[:_ABOVE]:
        path = folder / _ARCHIVE
        if path.is_file() and is_archive(path):
            archive = open_archive(path)
            return archive.hashes if archive.content_hash == content_hash else None
    return None
