"""Whether a network turns its policy back to the board, if its encoder turns the board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.own_training.catalogue import Catalogue
from hexsearch.doctor.own_training.outputs import Output, policy_of, tensors_of
from hexsearch.errors import PluginError
from hexsearch.model.plugins import plugin_code

_BOARDS, _MOST = 24, 0.75  # boards that are changed, and the share of them that tells
_NEARER = 0.6  # distance to a cell that is nearer, as a share of that to the other one
_BESIDE = 1  # cells between a changed cell and the one that changes most


def turns_back(
    networks: Sequence[nn.Module], known: Catalogue, side: int, name: str
) -> bool | None:
    """Whether a changed cell of the planes changes the policy around the cell of the board.

    None if it changes the policy neither around this cell nor around its own.

    Args:
        networks: the networks that are trained.
        side: to move on these boards.
        name: symmetry of the square by which the encoder turns the board.
    """
    planes, size = known.inputs, known.truth.size
    rows = np.flatnonzero((known.to_move == side) & ~known.truth.finished & (known.truth.ply > 2))
    if planes.ndim != 4 or planes.shape[-1] != size or not len(rows):
        return False
    rng = np.random.default_rng(0)
    cells = np.arange(size * size, dtype=np.int64)
    board = np.empty_like(cells)  # cell of the board that each cell of the planes shows
    board[moved_cells(cells, size)[name]] = cells
    apart = _distance(cells, board, size) >= size // 2
    if not apart.any():
        return False
    chosen = rng.choice(rows, _BOARDS)
    at = rng.choice(cells[apart], _BOARDS)
    first = planes[torch.from_numpy(chosen)].clone()
    changed = first.clone()
    row, column = torch.from_numpy(at // size), torch.from_numpy(at % size)
    number = torch.arange(_BOARDS)
    for plane in range(min(2, planes.shape[1])):
        changed[number, plane, row, column] = 1 - changed[number, plane, row, column]
    before, after = (_policy(networks, each, size) for each in (first, changed))
    if before is None or after is None:
        return False
    weight = (after - before).abs()[:, : size * size].double().numpy()
    finite = np.isfinite(weight).all(axis=1) & (weight.sum(axis=1) > 0)
    if not finite.any():
        return False
    away = [
        (weight * _distance(cells[None], place[:, None], size)).sum(axis=1)[finite]
        for place in (at, board[at])
    ]
    most = weight.argmax(axis=1)
    beside = [(_distance(most, p, size) <= _BESIDE)[finite] for p in (at, board[at])]
    if (away[1] < _NEARER * away[0]).mean() > _MOST or beside[1].mean() > _MOST:
        return True
    near = (away[0] < _NEARER * away[1]).mean() > _MOST or beside[0].mean() > _MOST
    return False if near else None


def _policy(networks: Sequence[nn.Module], planes: Tensor, size: int) -> Tensor | None:
    """The policy of the first network that has one; None if none has, or it takes other input."""
    for network in networks:
        modes = [(module, module.training) for module in network.modules()]
        try:
            with torch.no_grad(), plugin_code("the network that is trained:"):
                given = tensors_of(network.eval()(planes))
        except PluginError:
            continue
        finally:
            for module, mode in modes:  # it may be the network that is examined
                module.training = mode
        policy = policy_of([Output(name, each, 0) for name, each in given.items()], size)
        if policy is not None:
            return policy.tensor.reshape(len(planes), -1)
    return None


def _distance(one: NDArray[np.int64], other: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Rows and columns between cells, whichever is more."""
    rows, columns = abs(one // size - other // size), abs(one % size - other % size)
    found: NDArray[Any] = np.maximum(rows, columns)
    return found
