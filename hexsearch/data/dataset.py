"""An archive and its split: games for training, for validation and for the final test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.positions import Indices, PositionSet, all_positions, curriculum_positions
from hexsearch.data.split import SplitName, split_games
from hexsearch.errors import GamesError


@dataclass(frozen=True)
class Dataset:
    """Games of one board size with their split. It is small: it holds indices and no planes."""

    archive: GameArchive
    config: DataConfig

    def __post_init__(self) -> None:
        sizes = sorted({int(size) for size in np.unique(self.archive.sizes)})
        if sizes != [self.config.board_size]:
            raise GamesError(
                f"the archive holds boards of size {sizes}, but data.board_size is "
                f"{self.config.board_size}"
            )
        for name, games in (("training", self.train_games), ("validation", self.validation_games)):
            if len(games) < 2:
                raise GamesError(
                    f"only {len(games)} {name} games of {len(self.archive)}; give more games or "
                    "change data.split"
                )

    def games(self, split: SplitName) -> Indices:
        """Indices of a split's games, in ascending order."""
        shares = self.config.split
        return split_games(self.archive, split, shares.validation, shares.test, shares.salt)

    @cached_property
    def train_games(self) -> Indices:
        """Games that trials train on."""
        return self.games("train")

    @cached_property
    def validation_games(self) -> Indices:
        """Games by which the search ranks trials, at most `data.validation_games` of them.

        The games with the smallest hashes are kept, so this choice is as stable as the split.
        """
        games = self.games("validation")
        cap = self.config.validation_games
        if cap is None or len(games) <= cap:
            return games
        by_hash = np.argsort(self.archive.hashes[games], kind="stable")
        return np.sort(games[by_hash[:cap]])

    @cached_property
    def validation(self) -> PositionSet:
        """Every position of the validation games."""
        return all_positions(self.archive, self.validation_games)

    def training(self, curriculum: CurriculumConfig) -> PositionSet:
        """The training positions that a curriculum asks for.

        Raises:
            GamesError: it asks for something that the games do not have.
        """
        if curriculum.search_value and self.archive.search_values is None:
            raise GamesError(
                "curriculum.search_value: none of the games holds values of a search; make some "
                "with `games annotate`, or with `games generate --root-values`; or set it to 0"
            )
        return curriculum_positions(self.archive, self.train_games, curriculum, self.config.stages)
