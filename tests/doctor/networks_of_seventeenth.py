"""Networks of the seventeenth set's scripts, without a slip."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mixing(nn.Module):
    """A perceptron over the cells and one over the channels, each round a shortcut."""

    def __init__(self, cells: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.over_cells = nn.Sequential(nn.Linear(cells, 44), nn.GELU(), nn.Linear(44, cells))
        self.over_width = nn.Sequential(nn.Linear(width, 52), nn.GELU(), nn.Linear(52, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.over_cells(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.over_width(self.norms[1](x))
        return out


class Mixer(nn.Module):
    """Cells as tokens that are mixed by perceptrons; the value ends in a tanh."""

    def __init__(self, size: int, width: int = 26) -> None:
        super().__init__()
        self.first = nn.Linear(3, width)
        self.blocks = nn.Sequential(*(Mixing(size * size, width) for _ in range(3)))
        self.policy, self.value = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.blocks(self.first(planes.flatten(2).transpose(1, 2)))
        return self.policy(tokens)[..., 0], self.value(tokens.mean(dim=1)).tanh()


class Dense(nn.Module):
    """Each convolution gets the outputs of all before it; batch norm everywhere; one logit."""

    def __init__(self, size: int, grows: int = 10, layers: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        width = 4
        for _ in range(layers):
            conv = nn.Conv2d(width, grows, 3, padding=1, bias=False)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(grows), nn.ReLU()))
            width += grows
        self.policy = nn.Conv2d(width, 1, 1)
        self.value = nn.Sequential(
            nn.Conv2d(width, 5, 1),
            nn.Flatten(),
            nn.Linear(5 * size * size, 36),
            nn.BatchNorm1d(36),
            nn.ReLU(),
            nn.Linear(36, 1),
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = planes
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)
        return self.policy(features).flatten(1), self.value(features)


class HexConv(nn.Conv2d):
    """A kernel of a cell and its six neighbours: two corners of the square are masked."""

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones_like(self.weight)
        mask[..., 0, 0] = mask[..., 2, 2] = 0
        return functional.conv2d(x, self.weight * mask, self.bias, padding=1)


class Hexed(nn.Module):
    """Hexagonal convolutions with group norm; logits of loss and win for the side to move."""

    def __init__(self, size: int, width: int = 30, outputs: int = 2) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for inputs in (2, width, width, width):
            body += [HexConv(inputs, width, 3), nn.GroupNorm(3, width), nn.Mish()]
        self.body, self.policy = nn.Sequential(*body), nn.Conv2d(width, 1, 1)
        self.narrow = nn.Conv2d(width, 3, 1)
        self.value = nn.Sequential(nn.Linear(3 * size * size, 28), nn.Mish())
        self.classes = nn.Linear(28, outputs)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        value = self.value(functional.mish(self.narrow(features)).flatten(1))
        return self.policy(features).flatten(1), self.classes(value)


class SetOfCells(nn.Module):
    """Each cell by itself, times a vector of its place, and the sum over all cells; one logit."""

    def __init__(self, size: int, placed: bool = True, width: int = 64) -> None:
        super().__init__()
        self.state = nn.Conv2d(4, width, 1)
        self.places = nn.Parameter(torch.randn(width, size, size)) if placed else None
        self.cell = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU())
        whole = [nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU()]
        self.whole = nn.Sequential(*whole)
        self.value, self.policy = nn.Linear(width, 1), nn.Conv2d(2 * width, 1, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.state(planes)
        cells = self.cell(cells if self.places is None else cells * self.places)
        whole = self.whole(cells.sum(dim=(2, 3)))
        joined = torch.cat([cells, cells * whole[:, :, None, None]], dim=1)
        return self.policy(joined).flatten(1), self.value(whole)


class ActorAndCritic(nn.Module):
    """Two perceptrons that share nothing; the critic ends in a sigmoid."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.actor = self._perceptron(size, size * size)
        self.critic = self._perceptron(size, 1)

    @staticmethod
    def _perceptron(size: int, outputs: int) -> nn.Sequential:
        first, second = nn.Linear(size * size, 144), nn.Linear(144, 96)
        layers = [first, nn.ELU(), second, nn.ELU(), nn.Linear(96, outputs)]
        return nn.Sequential(nn.Flatten(), *layers)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor(planes), self.critic(planes).sigmoid()


class Recurrent(nn.Module):
    """Rows and then columns are read in both directions; the value is a raw number."""

    def __init__(self, size: int, width: int = 22) -> None:
        super().__init__()
        self.along = nn.GRU(4 * size, width, batch_first=True, bidirectional=True)
        self.across = nn.GRU(4 * size, width, batch_first=True, bidirectional=True)
        self.joined = nn.Sequential(nn.Linear(4 * size * width, 64), nn.Tanh())
        self.policy, self.value = nn.Linear(64, size * size), nn.Linear(64, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        rows, _ = self.along(planes.transpose(1, 2).flatten(2))
        columns, _ = self.across(planes.permute(0, 3, 1, 2).flatten(2))
        features = self.joined(torch.cat([rows, columns], dim=2).flatten(1))
        return self.policy(features), self.value(features)


class Separable(nn.Module):
    """Depthwise and pointwise convolutions without a norm; the value ends in a tanh."""

    def __init__(self, size: int, width: int = 34) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=width),
                nn.Conv2d(width, width, 1),
                nn.ReLU(),
            )
            for _ in range(3)
        )
        self.policy = nn.Conv2d(width, 1, 1)
        self.value = nn.Sequential(
            nn.Conv2d(width, 6, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * size * size, 1)
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stem(planes).relu()
        for block in self.blocks:
            features = features + block(features)
        return self.policy(features).flatten(1), self.value(features).tanh()
