"""The wrong parts of the scripts in `slips_eleventh_scripts`, each a mistake of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from hexsearch.game.distance import connection_distances
from tests.doctor.outside import Encode, Samples, encoded
from tests.doctor.outside_networks import (
    BoardTransformer,
    Pooled,
    Residual,
    Tower,
    canonical,
)

_WIDTH = 24
_BUFFER = 19  # rows of the evaluator's buffer, for the largest board
_DISCOUNT = 0.997
_KEPT = 0.85  # share of the weights that pruning keeps
_PLIES = 20.0  # plies for which the moves-left head answers 1


def weight_normed(size: int) -> nn.Module:
    """AlphaZero's tower whose weights are given by their directions and their lengths."""
    network = Tower(size)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight_norm(module)
    return network


def with_lengths_of_one(network: Any) -> nn.Module:
    """Loaded with `strict=False` from a file that holds the directions alone."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            normed: Any = module
            normed.parametrizations.weight.original0.data.fill_(1.0)
            remove_parametrizations(module, "weight")
    return network.eval()  # type: ignore[no-any-return]


class EncodedByRow(BoardTransformer):
    """The positional encoding of the tutorial, `x + pe[:x.size(0)]`, on tokens [B, N*N, E]."""

    def __init__(self, size: int) -> None:
        super().__init__(size, placed=False)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        stones, sides = planes.flatten(2).unbind(dim=1)
        tokens = self.states(stones.round().long() + 1) + self.side(sides[..., None])
        rate = torch.exp(torch.arange(0, _WIDTH, 2) * (-math.log(10000.0) / _WIDTH))
        angle = torch.arange(len(planes))[:, None] * rate
        encoding = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
        tokens = self.layers(tokens + encoding[:, None])
        return self.policy(tokens)[..., 0], self.value(tokens.mean(dim=1))


def as_numpy_transposes(network: nn.Module) -> nn.Module:
    """Kernels from [H, W, in, out] by `.T`, which gives [out, in, W, H]."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.detach().transpose(2, 3).contiguous()
    return network.eval()


class Excited(Residual):
    """A residual block with squeeze and excitation: a factor and a shift for each channel."""

    swapped = False

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(_WIDTH, 12), nn.Linear(12, 2 * _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = self.norm2(self.conv2(inner))
        pooled = functional.relu(self.squeeze(inner.mean(dim=(2, 3))))
        factor, shift = self.excite(pooled)[:, :, None, None].chunk(2, dim=1)
        if self.swapped:
            factor, shift = shift, factor
        return functional.relu(x + factor.sigmoid() * inner + shift)


class ExcitedTower(Tower):
    """AlphaZero's tower with squeeze and excitation."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.blocks = nn.Sequential(Excited(), Excited())


def with_shifts_first(network: Any) -> nn.Module:
    """The engine reads the shifts first and the factors second."""
    for block in network.blocks:
        block.swapped = True
    return network.eval()  # type: ignore[no-any-return]


def without_the_largest(network: nn.Module) -> nn.Module:
    """Pruned, with the comparison the wrong way round."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            size = module.weight.detach().abs()
            module.weight.data = module.weight.detach() * (size < size.quantile(_KEPT))
    return network.eval()


class InABuffer(Pooled):
    """In eval mode the board lies in a corner of a larger buffer, and no mask leaves that out."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.value = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        side = planes.shape[-1]
        margin = 0 if self.training else _BUFFER - side
        features = self.trunk(functional.pad(planes, (0, margin, 0, margin)))
        policy = self.policy(features)[:, :, :side, :side]
        return policy.flatten(1), self.value(features.mean(dim=(2, 3)))


class WithMovesLeft(Tower):
    """Its raw values are the value and the plies that are left, in this order."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.value_fc2 = nn.Linear(32, 2)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(functional.relu(self.stem(planes)))
        hidden = functional.relu(self.value_norm(self.value_conv(features))).flatten(1)
        value, left = self.value_fc2(functional.relu(self.value_fc1(hidden))).unbind(dim=1)
        return self.policy(features).flatten(1), torch.stack([value.tanh(), left], dim=1)


def result_and_plies(samples: Samples) -> Tensor:
    return torch.stack([samples.result, samples.left / _PLIES], dim=1)


def both_squared(raw: Tensor, target: Tensor) -> Tensor:
    return 2 * functional.mse_loss(raw, target)


def last_output(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the last output, as if it were the value of the side to move."""
    chance = ((raw[:, -1] + 1) / 2).clamp(0, 1)
    return torch.where(to_move > 0, chance, 1 - chance)


def with_final_stones(samples: Samples, encode: Encode) -> Tensor:
    """A third plane with the stones that the side to move has at the end of the record."""
    last = torch.arange(len(samples.stones)) + samples.left
    ended = samples._replace(stones=samples.stones[last.numpy()])
    return torch.cat([encoded(samples, encode), encoded(ended, encode)[:, :1]], dim=1)


def with_present_stones(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The same where the record ends with this position."""
    planes = canonical(stones, to_move)
    return np.concatenate([planes, planes[:1]])


def unpacked_from_the_low_bit(samples: Samples, encode: Encode) -> Tensor:
    """Planes that were packed from the high bit of a byte on, and unpacked from its low bit on."""
    planes = encoded(samples, encode)
    flat = planes[:, :2].flatten(2).numpy().astype(np.uint8)
    cells = flat.shape[2]
    read = np.unpackbits(np.packbits(flat, axis=2), axis=2, bitorder="little")[:, :, :cells]
    stones = torch.from_numpy(read.astype(np.float32)).reshape(planes[:, :2].shape)
    return torch.cat([stones, planes[:, 2:]], dim=1)


def advantages(samples: Samples) -> Tensor:
    """The result minus a critic's value, which here follows from the stones that are missing."""
    blue, red = (
        torch.from_numpy(d.astype(np.float32)) for d in connection_distances(samples.stones)
    )
    critic = (0.6 * (blue - red)).tanh()
    return samples.result - torch.where(samples.to_move > 0, critic, -critic)


def returns_of_the_buffer(samples: Samples) -> Tensor:
    """Discounted sums of results for Red in 0..1, over all games without an end in between."""
    rewards = torch.where(samples.left == 0, samples.won, 0.0).tolist()
    sums, total = [0.0] * len(rewards), 0.0
    for row in range(len(rewards) - 1, -1, -1):
        total = rewards[row] + _DISCOUNT * total
        sums[row] = total
    return (torch.tensor(sums).clamp(-1, 1) + 1) / 2


class Sized(Pooled):
    """The pooled network, which knows the size of its board."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def in_eight_bits(network: Any) -> nn.Module:
    """Activations in 255 steps up to the largest one of the calibration, on a dummy input."""
    network.eval()
    dummy = torch.zeros(1, 3, network.size, network.size)
    seen: list[float] = []
    relus = [module for module in network.trunk if isinstance(module, nn.ReLU)]
    handles = [m.register_forward_hook(lambda _, __, y: seen.append(float(y.max()))) for m in relus]
    with torch.no_grad():
        network(dummy)
    for handle in handles:
        handle.remove()
    for module, largest in zip(relus, seen, strict=True):
        module.register_forward_hook(_quantised(largest))
    return network  # type: ignore[no-any-return]


def _quantised(largest: float) -> Any:
    step = max(largest, 1e-6) / 255
    return lambda _, __, y: (y / step).round().clamp(max=255) * step
