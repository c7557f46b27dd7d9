"""Under which symmetries of the board each plane of an encoder shows its stones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.squares import moved_cells

Floats = NDArray[np.float64]
_FEW = 20  # boards of each side that are needed
_SAME = 1e-6
AS_IT_IS = "as it is"
# Under these, cells that touch on a board of Hex touch in the image, too.
_KEEPING = {AS_IT_IS, "transposed", "turned by 180 degrees", "mirrored in the short diagonal"}


def odd_frames(planes: Floats, stones: NDArray[np.int8], to_move: NDArray[np.int64]) -> str:
    """In words, the planes whose stones lie otherwise than those of other planes; else empty.

    Args:
        planes: [P, C, N, N] planes, or with a ring round them.
        stones: [P, N, N] stones, -1, 0 or 1.
        to_move: [P] -1 or 1.
    """
    size = stones.shape[1]
    ring, odd = divmod(planes.shape[-1] - size, 2)
    if odd or ring < 0 or planes.shape[-2] != planes.shape[-1]:
        return ""
    inner = planes[:, :, ring : ring + size, ring : ring + size].reshape(*planes.shape[:2], -1)
    flat, cells = stones.reshape(len(stones), -1), np.arange(size * size)
    maps = {AS_IT_IS: cells, **moved_cells(cells, size)}
    for shown, who in _shown_by_side(inner, flat, maps, to_move):
        if len(shown) < 2 or set.intersection(*shown.values()):
            continue
        usual = next(iter(shown.values()))
        other = [n for n, fits in shown.items() if not fits & usual]
        if len(other) == 0:
            continue
        first = next(number for number in shown)
        return (
            f"where {who} is to move, plane {first} shows its stones {_name(usual)}, and plane "
            f"{', '.join(map(str, other))} {_name(shown[other[0]])}"
        )
    return ""


def broken_frame(planes: Floats, stones: NDArray[np.int8], to_move: NDArray[np.int64]) -> str:
    """In words, the side whose board is turned so that other cells touch; else empty.

    A board that is shown so for both sides is only another drawing of it. Arguments as above.
    """
    frames = frames_shown(planes, stones, to_move)
    broken = {who: min(fits) for who, fits in frames.items() if fits and not fits & _KEEPING}
    if len(frames) == 2 and all(frames.values()) and len(broken) == 1:
        ((who, name),) = broken.items()
        return f"where {who} is to move the board is shown {name}"
    return ""


def frames_shown(
    planes: Floats, stones: NDArray[np.int8], to_move: NDArray[np.int64]
) -> dict[str, set[str]]:
    """For Red and Blue to move, the symmetries under which all planes with stones show them.

    A side that is left out was looked at too seldom. Arguments as above, planes without a ring.
    """
    if planes.shape[2:] != stones.shape[1:]:
        return {}
    inner, flat = planes.reshape(*planes.shape[:2], -1), stones.reshape(len(stones), -1)
    cells = np.arange(stones.shape[1] ** 2)
    maps = {AS_IT_IS: cells, **moved_cells(cells, stones.shape[1])}
    return {
        who: set.intersection(*shown.values()) if shown else set()
        for shown, who in _shown_by_side(inner, flat, maps, to_move)
    }


def _shown_by_side(
    inner: Floats,
    flat: NDArray[np.int8],
    maps: dict[str, NDArray[np.int64]],
    to_move: NDArray[np.int64],
) -> Iterator[tuple[dict[int, set[str]], str]]:
    """For each side to move, the symmetries under which each plane tells the stones."""
    for side, who in ((1, "Red"), (-1, "Blue")):
        rows = to_move == side
        if rows.sum() < _FEW:
            continue
        shown: dict[int, set[str]] = {}
        for number in range(inner.shape[1]):
            values = inner[rows, number]
            fits = {n for n, to in maps.items() if _tells(values[:, to], flat[rows])}
            if fits:
                shown[number] = fits
        yield shown, who


def _name(fits: set[str]) -> str:
    return next((name for name in (AS_IT_IS, "transposed") if name in fits), min(fits))


def _tells(values: Floats, stones: NDArray[np.int8]) -> bool:
    """Whether a plane's number on a cell depends on what lies there alone, and differs by it."""
    usual = []
    for content in (-1, 0, 1):
        here = values[stones == content]
        if not len(here):
            return False
        if np.ptp(here) > _SAME:
            return False
        usual.append(here[0])
    return bool(np.ptp(usual) > _SAME)
