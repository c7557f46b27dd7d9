"""Models as they are used for play: wrappers of the networks with the read-outs of their values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.doctor.nineteenth.common import N


class Player:
    """A network ready for play, whatever order or form its outputs have."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval()

    @torch.no_grad()
    def __call__(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits and raw value."""
        out = self.net(planes)
        if isinstance(out, dict):
            return out["policy"], out["value"]
        policy, value = out if out[0].shape[-1] == N * N else (out[1], out[0])
        return policy, value


class RedLogit(Player):
    """The value is the logit of Red's win."""

    def win_prob_red(self, raw: Tensor) -> Tensor:
        """Return Red's win probability."""
        return torch.sigmoid(raw.reshape(len(raw)))


class RedTanh(Player):
    """The value is Red's expected result in [-1, 1]."""

    def win_prob_red(self, raw: Tensor) -> Tensor:
        """Return Red's win probability."""
        return (raw.reshape(len(raw)) + 1) / 2


class RedClass(Player):
    """Two classes: Blue wins, Red wins."""

    def win_prob_red(self, raw: Tensor) -> Tensor:
        """Return Red's win probability."""
        return raw.softmax(1)[:, 1]


class MoverLogit(Player):
    """The value is the logit of a win of the side to move."""

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        """Return Red's win probability."""
        win = torch.sigmoid(raw.reshape(len(raw)))
        return torch.where(to_move > 0, win, 1 - win)


class MoverTanh(Player):
    """The value is the expected result of the side to move in [-1, 1]."""

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        """Return Red's win probability."""
        return (1 + raw.reshape(len(raw)) * to_move) / 2


class MoverWDL(Player):
    """Three classes for the side to move: loss, draw, win."""

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        """Return Red's win probability."""
        p = raw.softmax(1)
        win = p[:, 2] + p[:, 1] / 2
        return torch.where(to_move > 0, win, 1 - win)


class CanonicalTanh(MoverTanh):
    """MoverTanh on a turned board; the moves are turned back where Red is to move."""

    def __call__(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Return policy logits in the order of the real board, and raw value."""
        policy, value = super().__call__(planes)
        turned = policy.reshape(-1, N, N).transpose(1, 2).reshape(-1, N * N)
        return torch.where(planes[:, 2, 0, :1] > 0, turned, policy), value


def loader(player: type[Player], build: Callable[[], nn.Module]) -> Callable[[], Player]:
    """Return a load() that builds the network with the same fresh weights each time."""

    def load() -> Player:
        torch.manual_seed(19)
        return player(build())

    return load
