"""Describes planes as a function of the right planes: plane by plane, then as one linear map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.truth import Planes

_ROWS, _FEW = 400, 60  # boards that are looked at
_FULL = 0.6  # share of cells that are not 0 from which on these are no stones
_EXACT = 0.02  # largest residual of a plane, in its standard deviations
_LINEAR = 0.98  # share of the variance that a linear map must explain
_BETTER = 0.5  # share of the variance that cells leave alone, and that the map may leave
_RIDGE = 1e-3  # keeps the map determined where cells are always empty


def described(found: Planes, right: Planes, stones: int = 2) -> str:
    """In words, what planes hold, as far as a formula of the right planes gives it; else empty.

    Args:
        found: [R, C, N, N] planes as the network gets them.
        right: [R, C, N, N] the right planes of the same samples, under the same symmetries.
        stones: number of planes that hold stones.
    """
    some, board = found[:_ROWS].astype(np.float64), right[:_ROWS].astype(np.float64)
    if len(some) < _ROWS // 8 or some.shape != board.shape:
        return ""
    terms = _terms(board)
    sentences = []
    for number in range(some.shape[1]):
        if np.abs(some[:, number] - board[:, number]).max() < 1e-3:
            continue
        fit = short_sum(
            some[:, number].reshape(-1), {name: term.reshape(-1) for name, term in terms.items()}
        )
        if fit.left > _EXACT:
            return _linear(some[:, :stones], board[:, :stones])
        sentences.append(f"plane {number} is {fit}" if fit.terms else f"plane {number} is 0")
    return "; ".join(sentences)


def strided(whole: Planes, right: list[Planes]) -> str:
    """In words, that stones lie in rows of another length than those of their plane; else empty.

    Args:
        whole: [R, C, S, S] planes with the ring of edges, if they have one.
        right: [R, C, N, N] the right planes for each symmetry.
    """
    side, size = whole.shape[-1], right[0].shape[-1]
    flat = (whole[:_FEW, :2] != 0).reshape(min(len(whole), _FEW), 2, -1)
    if flat.mean() > _FULL:
        return ""
    stones = [np.nonzero(each[:_FEW, :2].reshape(len(flat), 2, -1)) for each in right]
    for length in (size - 1, size, size + 1, size + 2, size + 3):
        for first in range(2 * side) if length != side else ():
            fits = np.zeros(len(flat), dtype=bool)
            for row, plane, place in stones:
                at = place // size * length + place % size + first
                inside = at < flat.shape[2]
                held = np.where(inside, flat[row, plane, np.minimum(at, flat.shape[2] - 1)], True)
                fits |= np.bincount(row, ~held, len(flat)) == 0
            if fits.mean() > _LINEAR:
                return (
                    f"the place of a stone is computed with rows of {length} cells, and the planes "
                    f"have rows of {side}: boards are sheared, and stones overwrite the edges"
                )
    return ""


def _terms(board: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """What a plane may be made of, each [R, N, N]."""
    count = board[:, :2].sum(axis=(1, 2, 3), keepdims=True)[:, 0]
    terms = {f"the right plane {n}": board[:, n] for n in range(board.shape[1])}
    terms["1"] = np.ones_like(board[:, 0])
    terms["the number of stones"] = np.broadcast_to(count, board[:, 0].shape)
    for number in range(2):
        terms[f"the mean of plane {number} over 3 x 3 cells"] = _around(board[:, number])
        total = board[:, number].sum(axis=(1, 2), keepdims=True)
        terms[f"the number of stones on plane {number}"] = np.broadcast_to(total, board[:, 0].shape)
    terms["the right plane 0 of the sample before"] = np.roll(board[:, 0], 1, axis=0)
    terms["the right plane 1 of the sample before"] = np.roll(board[:, 1], 1, axis=0)
    return terms


def _around(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """[R, N, N] the mean over the cell and its eight neighbours; beyond the board are zeros."""
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)))
    rows, columns = plane.shape[1:]
    shifted = [padded[:, r : r + rows, c : c + columns] for r in range(3) for c in range(3)]
    mean: NDArray[np.float64] = np.mean(shifted, axis=0)
    return mean


def _linear(some: NDArray[np.float64], board: NDArray[np.float64]) -> str:
    """In words, the fixed linear map from the right planes to the given ones; else empty."""
    count, channels, rows, columns = some.shape
    inputs = board.reshape(count, -1)
    outputs = some.reshape(count, -1)
    half = count // 2  # the map is fitted on one half, and judged on the other
    x = np.concatenate([inputs, np.ones((count, 1))], axis=1)
    gram = x[:half].T @ x[:half] + _RIDGE * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[:half].T @ outputs[:half])
    rest = outputs[half:] - x[half:] @ weights
    share = 1 - float(rest.var()) / max(float(outputs[half:].var()), 1e-12)
    slope, offset = np.polyfit(inputs.reshape(-1), outputs.reshape(-1), 1)
    alone = (outputs - slope * inputs - offset)[half:]
    if share < _LINEAR or rest.var() > _BETTER * alone.var():
        return ""
    size = np.abs(weights[:-1]).reshape(channels, rows * columns, channels, rows * columns)
    own = np.stack([size[n, :, n] for n in range(channels)]).mean(axis=0)  # [from, to]
    place = np.arange(rows * columns)
    distance = np.maximum(
        np.abs(place[:, None] // columns - place[None] // columns),
        np.abs(place[:, None] % columns - place[None] % columns),
    )
    total = max(float(own.sum()), 1e-12)
    near = float(own[distance == 0].sum()) / total
    beside = float(own[distance == 1].sum()) / total
    if near + beside < 0.7 or near > 0.95:
        return (
            "the planes are a fixed linear function of the right planes: cells are mixed with "
            f"others ({near:.0%} of the weight lies on the cell itself)"
        )
    return (
        "each cell holds a mean of its neighbourhood, not its own stone: "
        f"{near:.0%} of the weight lies on the cell itself and {beside:.0%} on its neighbours "
        "(the board is blurred, as by an interpolation or a rescaling)"
    )
