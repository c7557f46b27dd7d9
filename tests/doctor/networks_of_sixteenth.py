"""Networks of the sixteenth set's scripts, and each script as it is without a slip (`SOUND`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.mistakes_fourteenth import half_turned
from tests.doctor.outside import Foreign, Samples, as_shown

_MOST_PLIES = 25.0  # to which the plies that are left are scaled


class TwoHeads(nn.Module):
    """A body with a policy and a value on its features."""

    def __init__(self, body: nn.Module, policy: nn.Module, value: nn.Module) -> None:
        super().__init__()
        self.body, self.policy, self.value = body, policy, value

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        return self.policy(features).flatten(1), self.value(features)


class Gated(nn.Module):
    """A residual bottleneck whose channels are scaled by numbers from the whole board."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.SiLU(),
            nn.Conv2d(inner, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 8, 1), nn.SiLU(), nn.Conv2d(8, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inner(x)
        return functional.silu(x + inner * self.gate(inner).sigmoid())


class Preactivated(nn.Module):
    """A norm over all channels, an ELU and a convolution, twice, round a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(1, width), nn.ELU(), nn.Conv2d(width, width, 3, padding=1)]
        self.inner = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inner(x)
        return out


def convolved(size: int, planes: int = 3, outputs: int = 1) -> TwoHeads:
    """Four convolutions without a norm, and a value that ends in a tanh."""
    body: list[nn.Module] = []
    for inputs in (planes, 28, 28, 28):
        body += [nn.Conv2d(inputs, 28, 3, padding=1), nn.LeakyReLU(0.1)]
    value = [nn.Conv2d(28, 4, 1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(4 * size * size, 48)]
    value += [nn.LeakyReLU(0.1), nn.Linear(48, outputs), nn.Tanh()]
    return TwoHeads(nn.Sequential(*body), nn.Conv2d(28, 1, 1), nn.Sequential(*value))


def with_one_plane(size: int) -> TwoHeads:
    """The same for one plane of signs."""
    return convolved(size, planes=1)


def gated(size: int) -> TwoHeads:
    """Bottlenecks with batch norm, and one logit."""
    body = [nn.Conv2d(3, 20, 3, padding=1), *(Gated(20, 12) for _ in range(3))]
    value = [nn.Conv2d(20, 6, 1), nn.SiLU(), nn.Flatten(), nn.Linear(6 * size * size, 1)]
    return TwoHeads(nn.Sequential(*body), nn.Conv2d(20, 1, 1), nn.Sequential(*value))


def averaged(size: int, activation: Callable[[], nn.Module] = nn.ReLU) -> TwoHeads:
    """Wide convolutions, and one logit from the means of their channels."""
    body: list[nn.Module] = []
    for inputs in (3, 32, 32):
        body += [nn.Conv2d(inputs, 32, 5, padding=2), activation()]
    value = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 40), activation()]
    policy, last = nn.Conv2d(32, 1, 1), nn.Linear(40, 1)
    return TwoHeads(nn.Sequential(*body), policy, nn.Sequential(*value, last))


def flat(size: int, dropped: float = 0.0, outputs: int = 1) -> TwoHeads:
    """A perceptron with layer norm and, if asked for, dropout; raw values."""
    body: list[nn.Module] = [nn.Flatten()]
    for inputs, width in ((3 * size * size, 160), (160, 80)):
        body += [nn.Linear(inputs, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropped)]
    return TwoHeads(nn.Sequential(*body), nn.Linear(80, size * size), nn.Linear(80, outputs))


def dropping(size: int) -> TwoHeads:
    """The same with every second feature dropped in training."""
    return flat(size, dropped=0.5)


def with_plies(size: int) -> TwoHeads:
    """The same with two values: who wins, and the plies that are left."""
    return flat(size, outputs=2)


def paired(size: int) -> TwoHeads:
    """Pre-activated blocks with group norm, and a logit each for a loss and a win."""
    body = [nn.Conv2d(3, 24, 3, padding=1), Preactivated(24), Preactivated(24), nn.ELU()]
    value = [nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(24 * 9, 24), nn.ELU()]
    last = nn.Linear(24, 2)
    return TwoHeads(nn.Sequential(*body), nn.Conv2d(24, 1, 1), nn.Sequential(*value, last))


def of_mover(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own, other and empty cells; Red's board is transposed, so the mover connects its top."""
    shown = stones.T if to_move > 0 else -stones
    return np.stack([shown == 1, shown == -1, shown == 0]).astype(np.float32)


def signs_of_mover(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """One plane of the same board: 1 for own stones and -1 for the other's."""
    shown = stones.T if to_move > 0 else -stones
    return shown[None].astype(np.float32)


def coloured(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Blue's stones, Red's stones, and 1 everywhere if Red is to move."""
    red = np.full(stones.shape, float(to_move > 0))
    return np.stack([stones == -1, stones == 1, red]).astype(np.float32)


def result(samples: Samples) -> Tensor:
    """1 where the side to move wins, else -1."""
    return samples.result


def red_wins(samples: Samples) -> Tensor:
    """1.0 where Red wins, else 0.0."""
    return (samples.won > 0).float()


def win_class(samples: Samples) -> Tensor:
    """Class 1 where the side to move wins, else class 0."""
    return (samples.result > 0).long()


def result_and_plies(samples: Samples) -> Tensor:
    """[P, 2] the result for Red as 1 or -1, and the plies that are left as a share."""
    return torch.stack([samples.won, samples.left / _MOST_PLIES], dim=1)


def squares(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of one value."""
    return functional.mse_loss(raw[:, 0], target)


def squares_of_tanh(raw: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the tanh of a raw value."""
    return squares(raw.tanh(), target)


def logistic(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one logit."""
    return functional.binary_cross_entropy_with_logits(raw[:, 0], target)


def of_both(raw: Tensor, target: Tensor) -> Tensor:
    """Squared errors of the value's tanh and of the plies."""
    gaps = torch.stack([raw[:, 0].tanh(), raw[:, 1]], dim=1) - target
    return gaps.square().sum(dim=1).mean()


def as_red(chance: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from that of the side to move."""
    return torch.where(to_move > 0, chance, 1 - chance)


def read_value(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from a value in [-1, 1] of the side to move."""
    return as_red((raw[:, 0] + 1) / 2, to_move)


def read_tanh(raw: Tensor, to_move: Tensor) -> Tensor:
    """The same from a value before its tanh."""
    return read_value(raw.tanh(), to_move)


def read_logit(raw: Tensor) -> Tensor:
    """Red's chance from a logit."""
    return raw[:, 0].sigmoid()


def read_classes(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from logits of loss and win of the side to move."""
    return as_red(raw.softmax(dim=1)[:, 1], to_move)


CONVOLVED = Foreign(
    convolved, of_mover, result, squares, read_value, moves=as_shown, turned=half_turned
)
SIGNS = replace(CONVOLVED, network=with_one_plane, encode=signs_of_mover)
GATED = Foreign(gated, coloured, red_wins, logistic, read_logit, turned=half_turned)
AVERAGED = replace(GATED, network=averaged)
DROPPING = replace(GATED, network=dropping)
SIDED = Foreign(flat, coloured, result, squares_of_tanh, read_tanh, turned=half_turned)
PLIES = Foreign(
    with_plies,
    coloured,
    result_and_plies,
    of_both,
    lambda raw: (raw[:, 0].tanh() + 1) / 2,
    turned=half_turned,
)
PAIRED = Foreign(
    paired,
    of_mover,
    win_class,
    functional.cross_entropy,
    read_classes,
    moves=as_shown,
    turned=half_turned,
)
SOUND = {
    "convolutions and a tanh": CONVOLVED,
    "one plane of signs": SIGNS,
    "gated bottlenecks": GATED,
    "means of wide convolutions": AVERAGED,
    "perceptron with dropout": DROPPING,
    "perceptron for the side to move": SIDED,
    "value and plies": PLIES,
    "loss and win": PAIRED,
}
