"""One number for a game and all of its symmetric copies."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from hexsearch.game.symmetry import symmetry_cells


def game_hashes(
    moves: NDArray[np.uint16], lengths: NDArray[np.int64], sizes: NDArray[np.uint8]
) -> NDArray[np.uint64]:
    """[G] 64 bits each, equal for the symmetric copies of a game and for nothing else in practice.

    The hash of the smallest of the four move sequences; see hexsearch.game.symmetry on why all
    four count.

    Args:
        moves: all games' moves, one game after the other.
        lengths: [G] moves of each.
    """
    forms = np.empty((4, len(moves)), dtype=">u2")
    size_of_move = np.repeat(sizes, lengths)
    for size in np.unique(sizes).tolist():
        here = slice(None) if len(np.unique(sizes)) == 1 else size_of_move == size
        forms[:, here] = symmetry_cells(size)[:, moves[here]]
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
