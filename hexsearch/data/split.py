"""Train, validation and test games, by a hash of each game's symmetry-invariant form.

A game keeps its side when others are added, and its mirrored and turned copies keep it company.
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
    """Indices of one split's games, ascending.

    Args:
        validation, test: shares of the games, each in [0, 1); the rest trains.
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
    """[G] in [0, 1), a function of hash and salt alone."""
    key = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "little")
    # SplitMix64's finaliser: the stored hash is uniform already, this only makes the salt count.
    mixed = hashes ^ np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
