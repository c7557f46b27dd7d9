"""Sound networks of the thirteenth set: kinds of layers that its mistakes are made in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 24
HEADS = 4
_GROWTH = 12


class Headed(nn.Module):
    """A policy and a value on the features [B, WIDTH, N, N] that `trunk` makes of the planes."""

    def __init__(self, size: int, outputs: int = 1, width: int = WIDTH, tanh: bool = False) -> None:
        super().__init__()
        self.size = size
        self.policy = nn.Conv2d(width, 1, 1)
        self.value = nn.Sequential(
            nn.Conv2d(width, 8, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * size * size, 32),
            nn.ReLU(),
            nn.Linear(32, outputs),
            *([nn.Tanh()] if tanh else []),
        )

    def trunk(self, planes: Tensor) -> Tensor:
        """Features of each cell."""
        raise NotImplementedError

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(planes)
        return self.policy(features).flatten(1), self.value(features)

    def as_map(self, tokens: Tensor) -> Tensor:
        """Features of a sequence of cells as a map."""
        return tokens.transpose(1, 2).reshape(len(tokens), -1, self.size, self.size)


class GatedUnit(nn.Module):
    """A gated linear unit whose gate and values come from one layer, the gate first."""

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.both, self.out = nn.Linear(inputs, 2 * inner), nn.Linear(inner, inputs)
        self.gate_first = True

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.both(x).chunk(2, dim=-1)
        gate, values = (first, second) if self.gate_first else (second, first)
        return self.out(gate.sigmoid() * values)  # type: ignore[no-any-return]


class Mixer(Headed):
    """Gated units over cells and over channels by turns."""

    def __init__(self, size: int) -> None:
        super().__init__(size, tanh=True)
        self.stem = nn.Linear(2, WIDTH)
        self.over_cells = nn.ModuleList(GatedUnit(size * size, 64) for _ in range(2))
        self.over_channels = nn.ModuleList(GatedUnit(WIDTH, 48) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(4))

    def trunk(self, planes: Tensor) -> Tensor:
        x = self.stem(planes.flatten(2).transpose(1, 2))
        units = zip(self.over_cells, self.over_channels, strict=True)
        for number, (cells, channels) in enumerate(units):
            x = x + cells(self.norms[2 * number](x).transpose(1, 2)).transpose(1, 2)
            x = x + channels(self.norms[2 * number + 1](x))
        return self.as_map(x)


def _by_heads(x: Tensor) -> Tensor:
    """[B, cells, channels] as [B, heads, cells, channels of a head]."""
    return x.reshape(len(x), x.shape[1], HEADS, -1).transpose(1, 2)


class RotaryAttention(nn.Module):
    """Attention whose queries and keys are turned by the number of the cell.

    Neighbouring channels are turned together if `interleaved`, else those of the two halves.
    """

    def __init__(self, interleaved: bool = True) -> None:
        super().__init__()
        self.queries, self.keys = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.values, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.interleaved = interleaved

    def _turned(self, x: Tensor) -> Tensor:
        x = _by_heads(x)
        pairs = x.shape[-1] // 2
        speed = 20.0 ** (-torch.arange(pairs) / pairs)
        angle = torch.arange(x.shape[2])[:, None] * speed
        a, b = (x[..., 0::2], x[..., 1::2]) if self.interleaved else x.chunk(2, dim=-1)
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        values = _by_heads(self.values(x))
        queries, keys = self._turned(self.queries(x)), self._turned(self.keys(x))
        read = functional.scaled_dot_product_attention(queries, keys, values)
        return self.out(read.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Rotary(Headed):
    """A convolution and two layers with rotary positions."""

    def __init__(self, size: int) -> None:
        super().__init__(size, tanh=True)
        self.stem = nn.Conv2d(2, WIDTH, 3, padding=1)
        self.attention = nn.ModuleList(RotaryAttention() for _ in range(2))
        self.perceptrons = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 48), nn.GELU(), nn.Linear(48, WIDTH)
            )
            for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def trunk(self, planes: Tensor) -> Tensor:
        x = self.stem(planes).flatten(2).transpose(1, 2)
        layers = zip(self.norms, self.attention, self.perceptrons, strict=True)
        for norm, attention, inner in layers:
            x = x + attention(norm(x))
            x = x + inner(x)
        return self.as_map(x)


class Inception(nn.Module):
    """Kernels of one and of nine cells and a mean over neighbours, side by side."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, 8, 1)
        self.nine = nn.Conv2d(inputs, 8, 3, padding=1)
        self.mean = nn.AvgPool2d(3, stride=1, padding=1)
        self.of_mean = nn.Conv2d(inputs, 8, 1)
        self.norm = nn.BatchNorm2d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.one(x), self.nine(x), self.of_mean(self.mean(x))]
        return functional.relu(self.norm(torch.cat(parts, dim=1)))


class Inceptions(Headed):
    """Three blocks of Inception, and a value of three logits."""

    def __init__(self, size: int) -> None:
        super().__init__(size, outputs=3)
        self.blocks = nn.Sequential(Inception(3), Inception(WIDTH), Inception(WIDTH))

    def trunk(self, planes: Tensor) -> Tensor:
        return self.blocks(planes)  # type: ignore[no-any-return]


class NormFirst(Headed):
    """Layers of a norm, a convolution and a ReLU; the first norm is that of the planes."""

    def __init__(self, size: int) -> None:
        super().__init__(size, tanh=True)
        inputs = (2, *4 * (WIDTH,))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in inputs)
        self.convs = nn.ModuleList(nn.Conv2d(i, WIDTH, 3, padding=1) for i in inputs)

    def trunk(self, planes: Tensor) -> Tensor:
        x = planes
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = functional.relu(conv(norm(x)))
        return x


class Dense(Headed):
    """Layers that each read the features of all layers before them, the oldest ones first."""

    def __init__(self, size: int) -> None:
        super().__init__(size, width=4 * _GROWTH)
        self.stem = nn.Conv2d(3, _GROWTH, 3, padding=1)
        inputs = [_GROWTH * count for count in (1, 2, 3)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in inputs)
        self.convs = nn.ModuleList(nn.Conv2d(i, _GROWTH, 3, padding=1) for i in inputs)
        self.newest_first = False

    def trunk(self, planes: Tensor) -> Tensor:
        x: Tensor = self.stem(planes)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            new = conv(functional.relu(norm(x)))
            x = torch.cat([new, x] if self.newest_first else [x, new], dim=1)
        return x


class Depthwise(nn.Module):
    """Two kernels for each channel, a norm and a perceptron at each cell, round a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(WIDTH, 2 * WIDTH, 3, padding=1, groups=WIDTH)
        self.norm = nn.GroupNorm(1, 2 * WIDTH)
        self.up, self.down = nn.Conv2d(2 * WIDTH, 48, 1), nn.Conv2d(48, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.norm(self.depthwise(x))
        return x + self.down(functional.gelu(self.up(inner)))  # type: ignore[no-any-return]


class Separable(Headed):
    """Two depthwise blocks."""

    def __init__(self, size: int) -> None:
        super().__init__(size, tanh=True)
        self.stem = nn.Conv2d(2, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Depthwise() for _ in range(2)))

    def trunk(self, planes: Tensor) -> Tensor:
        return self.blocks(self.stem(planes))  # type: ignore[no-any-return]


def hexagons(size: int, own: bool) -> Tensor:
    """The mean over neighbours, and over the cell itself with twice the weight where `own`.

    Weights [N*N, N*N] are divided by the root of the sum at both ends.
    """
    cells = torch.cartesian_prod(torch.arange(size), torch.arange(size))
    steps = cells[:, None] - cells[None]
    near = steps.abs().amax(dim=2) <= 1
    links = (near & (steps[..., 0] * steps[..., 1] < 1)).float()
    links += (1 if own else -1) * torch.eye(size * size)
    scale = links.sum(dim=1).rsqrt()
    return links * scale[:, None] * scale


class Graph(Headed):
    """Graph convolutions over cells, each of which is also its own neighbour."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.links: Tensor
        self.register_buffer("links", hexagons(size, own=True), persistent=False)
        self.cells = nn.Parameter(0.1 * torch.randn(size * size, WIDTH))
        self.stem = nn.Linear(3, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def trunk(self, planes: Tensor) -> Tensor:
        x = self.stem(planes.flatten(2).transpose(1, 2)) + self.cells
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = functional.relu(norm(layer(self.links @ x)))
        return self.as_map(x)


class Repeated(Headed):
    """One layer that is passed several times and sees the planes each time."""

    def __init__(self, size: int) -> None:
        super().__init__(size, tanh=True)
        self.stem = nn.Conv2d(2, WIDTH, 3, padding=1)
        self.again = nn.Conv2d(WIDTH + 2, WIDTH, 3, padding=1)
        self.norm = nn.GroupNorm(4, WIDTH)
        self.rounds = 6

    def trunk(self, planes: Tensor) -> Tensor:
        x = functional.relu(self.stem(planes))
        for _ in range(self.rounds):
            x = x + functional.relu(self.norm(self.again(torch.cat([x, planes], dim=1))))
        return x


class Bottleneck(nn.Module):
    """Two convolutions with norms and one without, squeeze and excitation, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(WIDTH, WIDTH, 1), nn.BatchNorm2d(WIDTH)
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(WIDTH)
        self.conv3 = nn.Conv2d(WIDTH, WIDTH, 1)
        self.squeeze, self.excite = nn.Linear(WIDTH, 8), nn.Linear(8, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = self.conv3(functional.relu(self.norm2(self.conv2(inner))))
        scale = self.excite(functional.relu(self.squeeze(inner.mean(dim=(2, 3))))).sigmoid()
        return x + inner * scale[..., None, None]  # type: ignore[no-any-return]


class Bottlenecks(Headed):
    """Three bottlenecks."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Bottleneck() for _ in range(3)))

    def trunk(self, planes: Tensor) -> Tensor:
        return self.blocks(functional.relu(self.stem(planes)))  # type: ignore[no-any-return]
