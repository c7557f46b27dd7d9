"""Random order and random bits for streams that can be resumed at any point.

Both are functions of a seed and of the position in the stream. There is no generator state.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Bits = NDArray[np.uint64]

_ROUNDS = 6


def keyed_bits(seed: int, *keys: int | Indices | Bits) -> Bits:
    """64 random bits for each combination of the keys. Other keys give independent bits.

    SplitMix64 is applied once for each key. The keys are broadcast as in numpy.
    """
    mixed: Bits = np.full(1, (seed + 1) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    for key in keys:
        mixed = (mixed + np.asarray(key).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def without_replacement(size: int, seed: int, cursor: int, count: int) -> Indices:
    """Numbers `cursor .. cursor + count - 1` of an endless sequence of permutations of range(size).

    Each pass of `size` numbers is another permutation. It is computed number by number, with a
    keyed Feistel network that is repeated until the result lies inside the range. So it needs no
    memory for the set, and can be resumed at any number.
    """
    walk = np.empty(count, dtype=np.int64)
    done = 0
    while done < count:
        number, offset = divmod(cursor + done, size)
        of_pass = min(count - done, size - offset)
        keys = keyed_bits(seed, number, np.arange(_ROUNDS))
        walk[done : done + of_pass] = _permuted(np.arange(offset, offset + of_pass), size, keys)
        done += of_pass
    return walk


def _permuted(values: Indices, size: int, keys: Bits) -> Indices:
    """The image of each value under a permutation of range(size)."""
    # rows * columns is little more than size, so few values land outside and must be repeated.
    rows = math.isqrt(size - 1) + 1
    columns = -(-size // rows)
    result = _feistel(values.astype(np.uint64), np.uint64(rows), np.uint64(columns), keys)
    outside = np.flatnonzero(result >= size)
    while len(outside):
        result[outside] = _feistel(result[outside], np.uint64(rows), np.uint64(columns), keys)
        outside = outside[result[outside] >= size]
    return result.astype(np.int64)


def _feistel(values: Bits, rows: np.uint64, columns: np.uint64, keys: Bits) -> Bits:
    """A permutation of range(rows * columns).

    Each round adds a hash of one half to the other half (Black and Rogaway, CT-RSA 2002).
    """
    left = values // columns
    right = values - left * columns
    for number in range(0, _ROUNDS, 2):
        left = (left + _hashed(right, keys[number])) % rows
        right = (right + _hashed(left, keys[number + 1])) % columns
    return left * columns + right


def _hashed(values: Bits, key: np.uint64) -> Bits:
    mixed = (values + key) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    # The high bits are mixed best. The shift also prevents an overflow of the sum.
    return mixed >> np.uint64(33)
