"""Splits games into train, validation and test by a symmetry-invariant hash of each game.

A game stays in its split when other games are added. All symmetric copies of a game are in the
same split.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive

SplitName = Literal["train", "validation", "test"]


def split_games(
    archive: GameArchive, split: SplitName, validation: float, test: float, salt: str
) -> NDArray[np.int64]:
    """Indices of one split's games, in ascending order.

    Args:
        validation, test: shares of the games, each in [0, 1); the other games are for training.
        salt: another salt gives another, independent split.
    """
    draw = _uniform(archive.hashes, salt)
    if split == "test":
        chosen = draw < test
    elif split == "validation":
        chosen = (draw >= test) & (draw < test + validation)
    else:
        chosen = draw >= test + validation
    return np.flatnonzero(chosen)


def _uniform(hashes: NDArray[np.uint64], salt: str) -> NDArray[np.float64]:
    """[G] numbers in [0, 1), which depend on hash and salt alone."""
    key = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "little")
    # Finaliser of SplitMix64. The stored hash is uniform already; this mixes in the salt.
    mixed = hashes ^ np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
