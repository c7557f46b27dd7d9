"""Sound set-ups beside the tenth set of slips: no error, and at most one warning each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.game.board import cell_name
from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile
from tests.doctor.outside import Foreign, as_shown
from tests.doctor.outside_networks import ALPHAZERO, POOLED, WDL, Pooled, Tower, canonical
from tests.doctor.slips import Slip, nothing


def _with_colour(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Canonical planes, and one that says whose turn it is, which the value does not need."""
    colour = np.full((1, *stones.shape), float(to_move > 0), dtype=np.float32)
    return np.concatenate([canonical(stones, to_move), colour])


def _lists_of_the_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    chances = raw.softmax(dim=1)
    own = chances[:, 0] + chances[:, 1] / 2
    return torch.where(to_move > 0, own, 1 - own)


class _AllSymmetries(Pooled):
    """In eval mode the mean over the four symmetries of Hex, each carried back."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            return super().forward(planes)
        side = planes.shape[-1]
        reflected = (
            planes[:, [1, 0, 2]].transpose(2, 3) * planes.new_tensor([1, 1, -1])[:, None, None]
        )
        policies, values = [], []
        for shown, swapped in ((planes, False), (reflected, True)):
            for turned in (False, True):
                policy, value = super().forward(shown.flip(2, 3) if turned else shown)
                board = (policy.flip(1) if turned else policy).reshape(-1, side, side)
                policies.append((board.transpose(1, 2) if swapped else board).flatten(1))
                values.append(1 - value if swapped else value)
        return torch.stack(policies).mean(dim=0), torch.stack(values).mean(dim=0)


def _annotated(games: Sequence[Game]) -> Mapping[str, str]:
    """SGF with names, times and comments; every third game is given up by the side that lost."""
    texts = []
    for number, game in enumerate(games):
        given_up = number % 3 == 0
        moves = game.moves[:-2] if given_up else game.moves
        result = f"{'B' if game.winner < 0 else 'W'}+{'R' if given_up else '1'}"
        head = f"FF[4]GM[11]SZ[{game.size}]PB[A. Blue]PW[Red (2)]DT[2026-11-27]RE[{result}]"
        nodes = "".join(
            f";{'BW'[ply % 2]}[{cell_name(cell, game.size)}]{'BW'[ply % 2]}L[{300 - ply}]"
            + (f"C[a1 was better \\; see move {ply}\\]]" if ply == 3 else "")
            for ply, cell in enumerate(moves)
        )
        texts.append(f"(;{head}{nodes})\n")
    return {"annotated.sgf": "".join(texts)}


CONTROLS: dict[str, Slip | Foreign | GamesFile] = {
    "canonical board that also shows the colour": replace(
        ALPHAZERO, network=lambda size: Tower(size, planes=3), encode=_with_colour
    ),
    "win, draw and loss of the side to move": replace(
        WDL,
        encode=_with_colour,
        moves=as_shown,
        targets=lambda samples: 1 - samples.result.long(),
        decode=_lists_of_the_mover,
    ),
    "mean over the four symmetries of Hex": replace(POOLED, network=_AllSymmetries),
    "convolutions over six neighbours": Slip(
        nothing,
        "",
        {"network": "tests.doctor.plugins_tenth:HexNetwork", "policy_head": {"weight": 1.0}},
    ),
    "SGD with one cycle, batches of 32 and a value in -1..1": Slip(
        nothing,
        "",
        {
            "batch_size": 32,
            "readout": {"name": "tanh_mse"},
            "optimiser": {"name": "sgd", "learning_rate": 0.05, "warmup": 0.3, "clip": 1.0},
        },
    ),
    "annotated games, some of them given up": GamesFile(_annotated),
}
