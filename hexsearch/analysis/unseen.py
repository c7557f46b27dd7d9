"""Finds the games that a network was not trained on, by a symmetry-invariant hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.loading import LoadedCheckpoint
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, open_archive
from hexsearch.data.archive_header import is_archive
from hexsearch.data.order import Indices
from hexsearch.data.split import SplitName, split_games
from hexsearch.errors import GamesError

Hashes = NDArray[np.uint64]
_ARCHIVE = "games.archive"  # a study's games, in one of the folders above its checkpoints
_ABOVE = 4


@dataclass(frozen=True)
class UnseenGames:
    """Games on which a network is evaluated, and games that are left out.

    Attributes:
        judged, trained_on, for_confirmation: ascending indices of the games that are evaluated,
            that may be training games, and that are test games. Together they are all games.
        is_guess: the training games are not known, so every game may be one of them.
        confirms: the test games are those that are evaluated.
    """

    judged: Indices
    trained_on: Indices
    for_confirmation: Indices
    is_guess: bool
    confirms: bool = False

    def __str__(self) -> str:
        kind = "test games" if self.confirms else "games"
        text = f"{len(self.judged):,} {kind} are evaluated"
        if len(self.trained_on):
            reason = "may have been (its training games are not known)" if self.is_guess else "was"
            verb = f"the network {reason} trained on them"
            text += f"; {len(self.trained_on):,} are left out because {verb}"
        if len(self.for_confirmation):
            text += f"; {len(self.for_confirmation):,} are test games, kept for confirmation"
        return text

    def confirming(self) -> UnseenGames:
        """The same games, where the test games are evaluated instead of the validation games.

        Raises:
            GamesError: there are no test games.
        """
        if not len(self.for_confirmation):
            raise GamesError(f"there are no test games among these games: {self}")
        return replace(
            self,
            judged=self.for_confirmation,
            for_confirmation=self.judged[:0],
            confirms=True,
        )


def unseen_games(
    archive: GameArchive, data: DataConfig, training_archive: Hashes | None
) -> UnseenGames:
    """Divide games by whether training has seen them or a symmetric copy of them.

    Args:
        training_archive: hashes of all games in the archive of the network's training, which used
            the training split of them; None if they are not known.
    Raises:
        GamesError: no game is left to evaluate.
    """
    shares = data.split
    in_training_archive = np.ones(len(archive), dtype=bool)
    if training_archive is not None:
        in_training_archive = np.isin(archive.hashes, training_archive)

    def part(name: SplitName) -> NDArray[np.bool_]:
        inside = np.zeros(len(archive), dtype=bool)
        inside[split_games(archive, name, shares.validation, shares.test, shares.salt)] = True
        return inside & in_training_archive

    seen, kept = part("train"), part("test")
    unseen = UnseenGames(
        judged=np.flatnonzero(~(seen | kept)),
        trained_on=np.flatnonzero(seen),
        for_confirmation=np.flatnonzero(kept),
        is_guess=training_archive is None,
    )
    if not len(unseen.judged):
        raise GamesError(f"no game is left to evaluate: {unseen}; give other games")
    return unseen


def unseen_by(path: Path, loaded: LoadedCheckpoint, archive: GameArchive) -> UnseenGames:
    """The games of an archive by what the network in the file `path` was trained on.

    Raises:
        GamesError: no game is left to evaluate.
    """
    training = loaded.games
    if archive.content_hash == loaded.archive_hash:
        training = archive.hashes
    elif training is None:
        training = archive_beside(path, loaded.archive_hash)
    return unseen_games(archive, loaded.data, training)


def unseen_by_both(first: UnseenGames, second: UnseenGames) -> UnseenGames:
    """Games that neither network was trained on, and that are test games of neither.

    Raises:
        GamesError: no game is left to evaluate.
    """
    trained_on = np.union1d(first.trained_on, second.trained_on)
    kept = np.union1d(first.for_confirmation, second.for_confirmation)
    both = UnseenGames(
        judged=np.intersect1d(first.judged, second.judged),
        trained_on=trained_on,
        for_confirmation=np.setdiff1d(kept, trained_on),
        is_guess=first.is_guess or second.is_guess,
    )
    if not len(both.judged):
        raise GamesError(f"no game is left to evaluate: {both}; give other games")
    return both


def archive_beside(checkpoint: Path, content_hash: str) -> Hashes | None:
    """Hashes of the games of the study that a checkpoint belongs to, if it was trained on them."""
    for folder in list(checkpoint.resolve().parents)[:_ABOVE]:
        path = folder / _ARCHIVE
        if path.is_file() and is_archive(path):
            archive = open_archive(path)
            return archive.hashes if archive.content_hash == content_hash else None
    return None
