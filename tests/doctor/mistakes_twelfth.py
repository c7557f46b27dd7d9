"""The wrong parts of the scripts in `slips_twelfth_scripts`, each a mistake of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.outside import Encode, Samples, encoded
from tests.doctor.outside_networks import Pooled, Tower, canonical

_WIDTH = 24
_HEADS = 4
_BLOCKS = 10
_MATCH = 10  # games of a match, of which every second one is in the training
_TAKEN_IN = 0.97  # share of the weights that fit into eight bits


class Recurrent(nn.Module):
    """Reads the rows of the board in both directions, with gated recurrent units."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.rows = nn.GRU(2 * size, 64, batch_first=True, bidirectional=True)
        self.policy = nn.Linear(128, size)
        self.value = nn.Sequential(nn.Linear(128 * size, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        read = self.rows(planes.transpose(1, 2).flatten(2))[0]
        return self.policy(read).flatten(1), self.value(read.flatten(1)).tanh()


def with_updates_first(network: Any) -> nn.Module:
    """Gates in the order of Keras and ONNX, update and reset; torch has the reset first."""
    for weight in network.rows.parameters():
        reset, update, new = weight.detach().chunk(3)
        weight.data = torch.cat([update, reset, new])
    return network.eval()  # type: ignore[no-any-return]


def with_heads_first(network: Any) -> nn.Module:
    """Queries, keys and values head by head, read as all queries, all keys and all values."""
    for layer in network.layers.layers:
        for weight in (layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias):
            parts = weight.detach().unflatten(0, (3, _HEADS, _WIDTH // _HEADS))
            weight.data = parts.transpose(0, 1).flatten(0, 2).contiguous()
    return network.eval()  # type: ignore[no-any-return]


def with_norms_last(network: Any) -> nn.Module:
    """Built anew with torch's default of `norm_first`; names and shapes of weights are the same."""
    for layer in network.layers.layers:
        layer.norm_first = False
    return network.eval()  # type: ignore[no-any-return]


def in_groups_of_two(network: nn.Module) -> nn.Module:
    """Built anew with another number of groups, which the file of weights does not hold."""
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = _WIDTH // 2
    return network.eval()


class Thin(nn.Module):
    """One convolution with its norm, without a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))


class DeepTower(Tower):
    """AlphaZero's tower with ten thin blocks."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.blocks = nn.Sequential(*(Thin() for _ in range(_BLOCKS)))


def in_alphabetical_order(network: Any) -> nn.Module:
    """Blocks from a file that lists block_1, block_10, block_2 and so on."""
    named = {f"block_{number + 1}": block for number, block in enumerate(network.blocks)}
    network.blocks = nn.Sequential(*(named[name] for name in sorted(named)))
    return network.eval()  # type: ignore[no-any-return]


class HexConv(nn.Conv2d):
    """A kernel of seven cells: the two corners that are no neighbours are masked out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        seven = torch.ones(3, 3)
        seven[0, 0] = seven[2, 2] = 0
        self.seven: Tensor
        self.register_buffer("seven", seven)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.seven, self.bias, padding=1)


class HexPooled(Pooled):
    """The pooled network with kernels of seven cells."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        for place, module in enumerate(self.trunk):
            if isinstance(module, nn.Conv2d):
                self.trunk[place] = HexConv(module.in_channels, module.out_channels)


def as_plain_convolutions(network: Any, masked: bool = False) -> nn.Module:
    """Plain convolutions with the weights of the masked ones, in which the mask is put or not."""
    for place, module in enumerate(network.trunk):
        if isinstance(module, HexConv):
            plain = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1)
            plain.load_state_dict({"weight": module.weight, "bias": module.bias})
            if masked:
                plain.weight.data *= module.seven
            network.trunk[place] = plain
    return network.eval()  # type: ignore[no-any-return]


def wrapped_round(network: nn.Module, clamped: bool = False) -> nn.Module:
    """Weights in eight bits, the largest of which run over to the other sign if not clamped."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.detach()
            limit = weight.abs().max() if clamped else weight.abs().quantile(_TAKEN_IN)
            step = limit / 127
            whole = (weight / step).round().to(torch.int32)
            module.weight.data = ((whole + 128) % 256 - 128) * step
    return network.eval()


class Attending(nn.Module):
    """A convolution, two layers of attention over cells and a class token, which has the value."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH))
        self.own = nn.Parameter(0.02 * torch.randn(1, 1, _WIDTH))
        self.cells = nn.Parameter(0.02 * torch.randn(size * size, _WIDTH))
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.policy = nn.Linear(_WIDTH, 1)
        self.value = nn.Sequential(nn.Linear(_WIDTH, 32), nn.GELU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        tokens = functional.gelu(self.stem(planes)).flatten(2).transpose(1, 2) + self.cells
        tokens = self.layers(torch.cat([self.own.expand(len(tokens), -1, -1), tokens], dim=1))
        return self.policy(tokens[:, 1:])[..., 0], self.value(tokens[:, 0]).tanh()


class EvenKernels(nn.Module):
    """Kernels of 2x2 with a row and a column of zeros below and on the right, as Keras pads."""

    def __init__(self, size: int) -> None:
        super().__init__()
        channels = (2, 32, 32, 32, 32)
        self.convs = nn.ModuleList(nn.Conv2d(i, 32, 2) for i in channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(32) for _ in channels)
        self.policy = nn.Conv2d(32, 1, 1)
        self.value_conv = nn.Conv2d(32, 4, 1)
        self.value = nn.Sequential(nn.Linear(4 * size * size, 32), nn.ReLU(), nn.Linear(32, 1))
        self.margins = (0, 1, 0, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = planes
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.relu(norm(conv(functional.pad(x, self.margins))))
        return self.policy(x).flatten(1), self.value(self.value_conv(x).flatten(1)).tanh()


def padded_before(network: Any) -> nn.Module:
    """The port pads above and on the left."""
    network.margins = (1, 0, 1, 0)
    return network.eval()  # type: ignore[no-any-return]


def with_progress(samples: Samples, encode: Encode) -> Tensor:
    """A third plane with the share of the game that has been played, by the record's length."""
    planes, length = encoded(samples, encode), samples.ply + samples.left
    share = (samples.ply / length)[:, None, None, None].expand(-1, 1, *planes.shape[2:])
    return torch.cat([planes, share], dim=1)


def with_all_played(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The same for a record that ends with this position, so that all of it has been played."""
    return np.concatenate([canonical(stones, to_move), np.ones((1, *stones.shape), np.float32)])


def from_a_network_never_renewed(samples: Samples) -> Tensor:
    """The next position's value, by a target network that nobody copies the weights to."""
    target = Tower(samples.stones.shape[1]).eval()
    with torch.no_grad():
        following = target(encoded(samples, canonical))[1][:, 0].roll(-1)
    return torch.where(samples.left == 0, samples.result, -following)


def moved_by_a_cell(planes: Tensor, moves: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boards moved by up to a cell in each direction; what leaves the board is lost."""
    size = planes.shape[-1]
    shifts = torch.randint(-1, 2, (len(planes), 2), generator=draw)
    padded, shown = functional.pad(planes, (1, 1, 1, 1)), planes.clone()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rows = (shifts == torch.tensor([down, right])).all(dim=1)
            top, left = 1 - down, 1 - right
            shown[rows] = padded[rows, :, top : top + size, left : left + size]
    row, column = moves // size + shifts[:, 0], moves % size + shifts[:, 1]
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size) & (moves >= 0)
    return shown, torch.where(inside, row * size + column, -1)


def hinge(raw: Tensor, target: Tensor) -> Tensor:
    """The loss of a support vector machine, for results of -1 and 1."""
    return functional.relu(1 - target * raw.reshape(len(raw))).mean()


def by_pairs(raw: Tensor, target: Tensor) -> Tensor:
    """How much each position that Red wins is rated above each that Red loses."""
    values = raw.reshape(len(raw))
    gaps = values[target > 0.5][:, None] - values[target < 0.5][None]
    return functional.softplus(-gaps).mean()


def of_the_match(samples: Samples) -> Tensor:
    """1.0 where Red wins most games of the match that a game belongs to, else 0.0."""
    match = samples.game // _MATCH
    ended = torch.where(samples.left == 0, samples.won, 0.0)
    score = torch.zeros(int(match.max()) + 1).index_add(0, match, ended)
    return (score[match] > 0).float()
