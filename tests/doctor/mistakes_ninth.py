"""The wrong parts of the scripts in `slips_ninth_scripts`, each a mistake of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.outside import Encode, Samples, adam, encoded
from tests.doctor.outside_networks import Tower, canonical


def unfinished(samples: Samples) -> Tensor:
    """Samples as self-play stores them: the finished board is not among them."""
    return torch.nonzero(samples.left > 0)[:, 0]


def openings(samples: Samples) -> Tensor:
    """Length of the opening from a book, which is 0, 1 or 2 plies by game."""
    return (samples.game // 2) % 3


def signs_from_the_book(samples: Samples) -> Tensor:
    odd = openings(samples) % 2 == 1
    return torch.where(odd, -samples.result, samples.result)


def of_the_last_player(samples: Samples) -> Tensor:
    """The player to move on a finished board has lost; the result is stored for every position."""
    return torch.full_like(samples.won, -1.0)


def final_boards(samples: Samples, encode: Encode) -> Tensor:
    """One array is played on to the end, and every sample of the game holds a reference to it."""
    last = torch.arange(len(samples.stones)) + samples.left
    return encoded(samples._replace(stones=samples.stones[last.numpy()]), encode)


def with_history(samples: Samples, encode: Encode) -> Tensor:
    now = encoded(samples, encode)
    before = torch.arange(len(now)) - (samples.ply > 0).long()
    earlier = samples._replace(stones=samples.stones[before.numpy()])
    past = encoded(earlier, encode) * (samples.ply > 0)[:, None, None, None]
    return torch.cat([now, past], dim=1)


def without_history(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    planes = canonical(stones, to_move)
    return np.concatenate([planes, np.zeros_like(planes)])


def not_transposed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    shown = -stones if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


def in_place(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    if to_move > 0:
        stones *= -1
        stones[:] = stones.T.copy()
    return np.stack([stones == -1, stones == 1]).astype(np.float32)


def by_columns(samples: Samples, encode: Encode) -> Tensor:
    boards = np.ascontiguousarray(samples.stones.transpose(0, 2, 1))
    return encoded(samples._replace(stones=boards), encode)


def cells_by_columns(samples: Samples) -> Tensor:
    size = samples.stones.shape[1]
    column_first = (samples.played % size) * size + samples.played // size
    return torch.where(samples.played >= 0, column_first, -1)


def symmetry_of_go(planes: Tensor, played: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    turns, mirrored = (int(torch.randint(n, (), generator=draw)) for n in (4, 2))
    side = planes.shape[-1]

    def turned(boards: Tensor) -> Tensor:
        boards = torch.rot90(boards, turns, (-2, -1))
        return boards.flip(-1) if mirrored else boards

    moves = functional.one_hot(played.clamp(min=0), side * side).reshape(-1, side, side)
    cells = turned(moves).flatten(1).argmax(dim=1)
    return turned(planes), torch.where(played >= 0, cells, -1)


def epochs_with_a_rest(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    rows = rows[: len(rows) - (len(rows) - 3) % 128]  # as it happens, 3 are left over
    for _ in range(7):
        yield from torch.split(rows[torch.randperm(len(rows), generator=draw)], 128)


def with_average(network: Any) -> torch.optim.Optimizer:
    network.average = {name: w.detach().clone() for name, w in network.state_dict().items()}
    optimiser = adam(network)

    def follow(*_: Any) -> None:
        for name, weight in network.named_parameters():
            network.average[name].lerp_(weight.detach(), 1 - 0.9999)

    optimiser.register_step_post_hook(follow)
    return optimiser


def averaged(network: Any) -> nn.Module:
    network.load_state_dict(network.average)
    return network.eval()  # type: ignore[no-any-return]


def as_keras_flattens(network: Any) -> nn.Module:
    linear, channels = network.value_fc1, network.value_conv.out_channels
    side = round((linear.in_features / channels) ** 0.5)
    weights = linear.weight.detach().reshape(-1, channels, side, side)
    linear.weight.data = weights.permute(0, 2, 3, 1).flatten(1)
    return network.eval()  # type: ignore[no-any-return]


def loaded_loosely(network: Any) -> nn.Module:
    renamed = {
        name.replace("value_fc", "value_head."): weight
        for name, weight in network.state_dict().items()
    }
    fresh = Tower(round((network.value_fc1.in_features / 8) ** 0.5))
    fresh.load_state_dict(renamed, strict=False)
    return fresh.eval()


def sliced_at_the_end(network: Any) -> nn.Module:
    network.value_first = False
    return network.eval()  # type: ignore[no-any-return]
