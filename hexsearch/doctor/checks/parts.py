"""Whether the parts of a split hold games of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from hexsearch.data.archive import GameArchive
from hexsearch.data.split import SplitName
from hexsearch.doctor.findings import Finding
from hexsearch.game.board import RED

_SURE = 1e-9  # chance of a difference between parts that are drawn by hash
_FEW = 30  # games of a part that say something


def unlike_parts(
    archive: GameArchive, parts: Mapping[SplitName, NDArray[np.int64]]
) -> Iterator[Finding]:
    """Report a part whose games are longer, shorter or won by others than those of training.

    Copies of a game belong to one part, and count once.

    Args:
        parts: games of `train` and of other parts.
    """
    parts = {name: games[_first(archive.hashes[games])] for name, games in parts.items()}
    train = parts["train"]
    columns = {
        "length": archive.lengths.astype(np.float64),
        "result": (archive.winners == RED).astype(np.float64),
    }
    for name, games in parts.items():
        for column, numbers in columns.items():
            if name == "train" or min(len(train), len(games)) < _FEW:
                continue
            own, other = numbers[games], numbers[train]
            if own.std() + other.std() == 0.0 or mannwhitneyu(own, other).pvalue > _SURE:
                continue
            in_order = train.max() < games.min() or games.max() < train.min()
            how = (
                f"games are sorted by {column} and cut by their place in the archive"
                if in_order
                else f"what decides the part of a game depends on its {column}"
            )
            means = (
                f"they have {own.mean():.1f} moves on average, and the training games "
                f"{other.mean():.1f}"
                if column == "length"
                else f"Red wins {own.mean():.0%} of them, and {other.mean():.0%} of the training "
                "games"
            )
            yield Finding.error(
                "split",
                f"{len(games):,} {name} games and {len(train):,} training games are of other "
                f"kinds: {means}",
                f"the split goes by the {column} of games and not by chance ({how}): {name} games "
                "are of another kind than those that are trained on",
                "split by a hash of the game, whatever its place, length or result",
                root="split",
            )
            return


def _first(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.sort(np.unique(hashes, return_index=True)[1])
