"""A user's network with two heads, with one fault on request."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.doctor.healthy_networks import encode_absolute as encode

__all__ = ["encode", "encode_flat", "load", "load_text"]


class Wrapped(nn.Module):
    """A trained network with an interface of the user's own."""

    def __init__(self, network: nn.Module, fault: str = "") -> None:
        super().__init__()
        self.network, self.fault = network, fault
        self.train(fault == "train mode")

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(planes)
        policy, raw = output.policy_logits, output.value_raw
        if self.fault == "column-major":
            size = planes.shape[-1]
            policy = policy.reshape(-1, size, size).transpose(1, 2).flatten(1)
        if self.fault == "trained raw":  # what MSE against 0 and 1 would have taught it
            raw = raw.sigmoid()
        if self.fault == "dead value head":
            raw = 0.0 * raw + 0.2
        if self.fault == "overconfident":
            raw = 12.0 * raw
        return policy, raw[:, None]

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return 1.0 - raw.sigmoid() if self.fault == "blue for red" else raw.sigmoid()


MODEL: nn.Module | None = None  # set by the tests


def load() -> nn.Module:
    assert MODEL is not None
    return MODEL


def encode_flat(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The stones as one vector, which are no planes."""
    return stones.reshape(-1).astype(np.float32)


def load_text() -> str:
    return "no model"
