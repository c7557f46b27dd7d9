"""Sound set-ups beside the eleventh set of slips: no error, and at most one warning each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data.auxiliary import joining_stones
from hexsearch.game.board import cell_name
from hexsearch.game.distance import connection_distances
from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED, Pooled, absolute
from tests.doctor.slips import Slip, nothing
from tests.doctor.slips_ninth_games import line_of

_HERE = "tests.doctor.plugins_eleventh:"


def _by_counting(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Finds the side to move from the stones: Blue moves first, and the colours take turns."""
    even = int(np.count_nonzero(stones)) % 2 == 0
    return absolute(stones, -1 if even else 1)


def _with_distances(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The planes, and two that hold how many stones Red and Blue need at least."""
    blue, red = connection_distances(stones[None])
    needed = [np.full((1, *stones.shape), min(int(d[0]), 9) / 9, np.float32) for d in (red, blue)]
    return np.concatenate([absolute(stones, to_move), *needed])


class _FivePlanes(Pooled):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.trunk[0] = nn.Conv2d(5, 32, 3, padding=1)


class _KnowsTheEnd(Pooled):
    """In eval mode a finished board is answered by its winner, 0 or 1, and not by the network."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        if self.training:
            return policy, value
        red = joining_stones((planes[:, 0] > 0.5).transpose(1, 2)).flatten(1).any(dim=1)
        blue = joining_stones(planes[:, 1] > 0.5).flatten(1).any(dim=1)
        known = torch.where(red, 1.0, torch.where(blue, 0.0, value[:, 0]))
        return policy, known[:, None]


def _in_pieces(network: nn.Module) -> nn.Module:
    """Norms folded into the convolutions before them, as an engine does."""
    for block in network.blocks:  # type: ignore[union-attr]
        for number in (1, 2):
            conv, norm = getattr(block, f"conv{number}"), getattr(block, f"norm{number}")
            fused = nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
            setattr(block, f"conv{number}", fused)
            setattr(block, f"norm{number}", nn.Identity())
    return network.eval()


def _of_two_programs(games: Sequence[Game]) -> Mapping[str, str]:
    """Half of the games as TRMPH with Windows line ends, the others as SGF on many lines."""
    half, trees = len(games) // 2, []
    for game in games[half:]:
        stones = [
            f";{'BW'[ply % 2]}[{cell_name(cell, game.size)}]" for ply, cell in enumerate(game.moves)
        ]
        rows = "\n".join("".join(stones[ply : ply + 4]) for ply in range(0, len(stones), 4))
        result = f"{'B' if game.winner < 0 else 'W'}+"
        trees.append(f"(;FF[4]GM[11]SZ[{game.size}]RE[{result}]\n{rows})\n\n")
    lines = [line_of(g.moves, g.winner, g.size).replace("\n", "\r\n") for g in games[:half]]
    return {"old.trmph": "".join(lines), "new.sgf": "".join(trees)}


CONTROLS: dict[str, Slip | Foreign | GamesFile] = {
    "side to move found by counting": replace(POOLED, encode=_by_counting),
    "distances on planes of their own": replace(
        POOLED, network=_FivePlanes, encode=_with_distances
    ),
    "finished boards answered by the rules": replace(POOLED, network=_KnowsTheEnd),
    "norms folded into the convolutions": replace(ALPHAZERO, after=_in_pieces),
    "mean of two networks, one with log-softmax": Slip(
        nothing, "", {"network": _HERE + "Twins", "policy_head": {"weight": 1.0}}
    ),
    "games of two programs": GamesFile(_of_two_programs),
}
