"""Sound set-ups beside the ninth set of slips: no error, and at most one warning each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hexsearch.game.board import BLUE
from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile
from tests.doctor.outside import Foreign, Samples
from tests.doctor.outside_networks import POOLED, TRANSFORMER, WDL, BoardTransformer, WinDrawLoss
from tests.doctor.slips import Slip, nothing
from tests.doctor.slips_ninth_games import names_of, transposed

_BINS = 21
_HERE = "tests.doctor.plugins_ninth:"


class Ringed(WinDrawLoss):
    """Planes with a ring of painted edges, of which the policy shows the board."""

    def __init__(self, size: int) -> None:
        super().__init__(size + 2)
        self.side = size + 2

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        board = policy.reshape(-1, self.side, self.side)[:, 1:-1, 1:-1]
        return board.flatten(1), value


def _ringed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red and Blue with their edges, Red's left and right, and the side to move."""
    red, blue = (np.pad(stones == colour, 1).astype(np.float32) for colour in (1, -1))
    red[:, [0, -1]] = 1.0
    blue[[0, -1], 1:-1] = 1.0
    return np.stack([red, blue, np.full_like(red, to_move)])


def _in_bins(samples: Samples) -> Tensor:
    return torch.where(samples.won > 0, _BINS - 1, 0)


def _mean_of_bins(raw: Tensor) -> Tensor:
    return raw.softmax(dim=1) @ torch.linspace(0.0, 1.0, _BINS)


def _blue_by_tanh(raw: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(raw[:, 0].tanh(), target)


def _red_from_blue(raw: Tensor) -> Tensor:
    return (1 - raw[:, 0].tanh()) / 2


def _red_last(raw: Tensor) -> Tensor:
    chances = raw.softmax(dim=1)
    return chances[:, 2] + chances[:, 1] / 2


def _links_of_another_site(games: Sequence[Game]) -> Mapping[str, str]:
    """Links with comments; the first player connects left to right, and winners are 1 and 2."""
    lines = ["# games of a club\n"]
    for game in games:
        moves = names_of((transposed(cell, game.size) for cell in game.moves), game.size)
        first = 1 if game.winner == BLUE else 2
        lines.append(f"https://trmph.com/hex/board#{game.size},{moves} {first} # friendly\n")
    return {"club.txt": "".join(lines)}


CONTROLS: dict[str, Slip | Foreign | GamesFile] = {
    "transformer with a value in bins": replace(
        TRANSFORMER,
        network=lambda size: BoardTransformer(size, outputs=_BINS),
        targets=_in_bins,
        loss=functional.cross_entropy,
        decode=_mean_of_bins,
    ),
    "value of Blue in a tanh at inference": replace(
        POOLED, targets=lambda samples: -samples.won, loss=_blue_by_tanh, decode=_red_from_blue
    ),
    "loss, draw and win on a ringed board": replace(
        WDL,
        network=Ringed,
        encode=_ringed,
        targets=lambda samples: 1 + samples.won.long(),
        decode=_red_last,
    ),
    "spherical score": Slip(nothing, "", {"readout": {"name": _HERE + "Spherical"}}),
    "network that gives a mapping": Slip(
        nothing, "", {"network": _HERE + "Mapped", "policy_head": {"weight": 1.0}}
    ),
    "links of another site": GamesFile(_links_of_another_site),
}
