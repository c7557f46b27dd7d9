"""One hash for a game and all of its symmetric copies."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.symmetry import symmetry_cells


def game_hashes(
    moves: NDArray[np.uint16], lengths: NDArray[np.int64], sizes: NDArray[np.uint8]
) -> NDArray[np.uint64]:
    """[G] hashes of 64 bits. Symmetric copies of a game have the same hash.

    Two different games have different hashes in practice. The hash is taken of the smallest of
    the four move sequences; `canonical_moves` says why all four symmetries are used.

    Args:
        moves: moves of all games, one game after the other.
        lengths: [G] number of moves of each game.
        sizes: [G] board size of each game.
    """
    forms = np.empty((4, len(moves)), dtype=">u2")
    size_of_move = np.repeat(sizes, lengths)
    for size in np.unique(sizes).tolist():
        of_size = slice(None) if len(np.unique(sizes)) == 1 else size_of_move == size
        forms[:, of_size] = symmetry_cells(size)[:, moves[of_size]]
    texts = [form.tobytes() for form in forms]
    hashes = np.empty(len(lengths), dtype=np.uint64)
    ends = np.cumsum(lengths).tolist()
    start = 0
    for index, (end, size) in enumerate(zip(ends, sizes.tolist(), strict=True)):
        form = min([text[2 * start : 2 * end] for text in texts])
        digest = hashlib.blake2b(form, digest_size=8, salt=size.to_bytes(16, "little")).digest()
        hashes[index] = int.from_bytes(digest, "little")
        start = end
    return hashes
