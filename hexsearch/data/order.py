"""Seeded order and chance that any point of a stream can be resumed from.

Both are functions of a seed and a position in the stream, not of a generator's state.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Bits = NDArray[np.uint64]

_ROUNDS = 6


def keyed_bits(seed: int, *keys: int | Indices | Bits) -> Bits:
    """64 random bits for each combination of the keys, independent of any other call's.

    SplitMix64, once for each key; broadcasts as numpy does.
    """
    mixed: Bits = np.full(1, (seed + 1) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    for key in keys:
        mixed = (mixed + np.asarray(key).astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def without_replacement(size: int, seed: int, cursor: int, count: int) -> Indices:
    """Numbers `cursor .. cursor + count - 1` of an endless shuffled walk over range(size).

    Each pass of `size` numbers is a permutation of its own, computed point by point (a keyed
    Feistel network, walked until it lands inside the range), so that neither resuming nor the
    size of the set costs memory.
    """
    walk = np.empty(count, dtype=np.int64)
    done = 0
    while done < count:
        number, offset = divmod(cursor + done, size)
        here = min(count - done, size - offset)
        keys = keyed_bits(seed, number, np.arange(_ROUNDS))
        walk[done : done + here] = _permuted(np.arange(offset, offset + here), size, keys)
        done += here
    return walk


def _permuted(values: Indices, size: int, keys: Bits) -> Indices:
    """Where a permutation of range(size) sends each value."""
    # A rectangle just large enough: few values land outside of the range and walk on.
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

    Each round shifts one half by a hash of the other (Black and Rogaway, CT-RSA 2002).
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
    # The high bits are the well mixed ones, and leave room for the sum.
    return mixed >> np.uint64(33)
