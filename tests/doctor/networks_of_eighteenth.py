"""Networks of the eighteenth set's scripts, without a slip."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Excitation(nn.Module):
    """Two convolutions with batch norm, channels scaled by the whole board, and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.scale = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU())
        self.back = nn.Linear(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.body(x)
        scale = self.back(self.scale(inner.mean(dim=(2, 3)))).sigmoid()
        out: Tensor = (x + inner * scale[:, :, None, None]).relu()
        return out


class Excited(nn.Module):
    """Squeeze and excitation with batch norm, and dropout in the value, which is a tanh."""

    def __init__(self, size: int, width: int = 24) -> None:
        super().__init__()
        cells = size * size
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(Excitation(width), Excitation(width))
        self.policy = nn.Conv2d(width, 1, 1)
        self.squeeze = nn.Sequential(nn.Conv2d(width, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.value = nn.Sequential(
            nn.Linear(4 * cells, 48), nn.ReLU(), nn.Dropout(0.5), nn.Linear(48, 1)
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(planes).relu())
        value = self.value(self.squeeze(features).flatten(1))
        return self.policy(features).flatten(1), value.tanh()


class Biased(nn.Module):
    """A convolution whose channels get a bias from the mean and the maximum over the board."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.pooled = nn.Linear(2 * width, width)
        self.norm = nn.GroupNorm(2, width)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.pooled(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))
        out: Tensor = x + self.norm(self.conv(x) + whole[:, :, None, None]).relu()
        return out


class GloballyBiased(nn.Module):
    """Convolutions with biases from the whole board, as in KataGo; one logit for Red."""

    def __init__(self, size: int, width: int = 28) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Biased(width) for _ in range(4)))
        self.policy = nn.Conv2d(width, 1, 1)
        self.value = nn.Sequential(nn.Linear(2 * width, 40), nn.ReLU(), nn.Linear(40, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(planes).relu())
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        return self.policy(features).flatten(1), self.value(pooled)


class Perceptron(nn.Module):
    """A residual perceptron with layer norm; logits of Red's win and of Blue's."""

    def __init__(self, size: int, width: int = 72) -> None:
        super().__init__()
        self.first = nn.Linear(2 * size * size, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()) for _ in range(2)
        )
        self.policy, self.value = nn.Linear(width, size * size), nn.Linear(width, 2)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.first(planes.flatten(1))
        for block in self.blocks:
            features = features + block(features)
        return self.policy(features), self.value(features)


class Attending(nn.Module):
    """A convolution, then attention of cells and a class token; logits of loss, draw and win."""

    def __init__(self, size: int, width: int = 24) -> None:
        super().__init__()
        self.cell = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.ReLU())
        self.places = nn.Parameter(0.3 * torch.randn(size * size, width))
        self.token = nn.Parameter(0.3 * torch.randn(1, 1, width))
        self.layer = nn.TransformerEncoderLayer(
            width, 3, 48, dropout=0.0, batch_first=True, norm_first=True
        )
        self.policy = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.cell(planes).flatten(2).transpose(1, 2) + self.places
        tokens = torch.cat([self.token.expand(len(cells), -1, -1), cells], dim=1)
        tokens = self.layer(tokens)
        whole = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)
        return self.policy(tokens[:, 1:])[..., 0], self.value(whole)


class Messages(nn.Module):
    """Cells that send messages to their six neighbours; the value is a tanh, for Blue."""

    def __init__(self, size: int, planes: int = 6, width: int = 32, layers: int = 4) -> None:
        super().__init__()
        rows, columns = torch.arange(size * size) // size, torch.arange(size * size) % size
        down, right = rows[None] - rows[:, None], columns[None] - columns[:, None]
        near = (down.abs() <= 1) & (right.abs() <= 1) & (down != right)
        self.near: Tensor
        self.register_buffer("near", near.float() / near.sum(dim=1, keepdim=True))
        self.first = nn.Linear(planes, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.sent = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.policy = nn.Linear(width, 1)
        self.value = nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.first(planes.flatten(2).transpose(1, 2))
        for own, sent in zip(self.own, self.sent, strict=True):
            cells = cells + (own(cells) + sent(self.near @ cells)).relu()
        pooled = torch.cat([cells.mean(dim=1), cells.amax(dim=1)], dim=1)
        return self.policy(cells)[..., 0], self.value(pooled).tanh()


class Dilated(nn.Module):
    """Convolutions with growing gaps; the value is the mover's chance, and ends in a sigmoid."""

    def __init__(self, size: int, width: int = 26) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=gap, dilation=gap) for gap in (1, 2, 1)
        )
        self.policy = nn.Conv2d(width, 1, 3, padding=1)
        self.narrow = nn.Conv2d(width, 4, 1)
        self.value = nn.Sequential(nn.Linear(4 * size * size, 32), nn.SiLU(), nn.Linear(32, 1))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = functional.silu(self.stem(planes))
        for layer in self.layers:
            features = features + functional.silu(layer(features))
        value = self.value(functional.silu(self.narrow(features)).flatten(1))
        return self.policy(features).flatten(1), value.sigmoid()


class Votes(nn.Module):
    """Convolutions alone: each cell has a vote, and Red's logit is the mean of the votes."""

    def __init__(self, size: int, kernels: tuple[int, ...] = (3, 3, 3, 3), width: int = 30) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for number, kernel in enumerate(kernels):
            inputs = width if number else 4
            body += [nn.Conv2d(inputs, width, kernel, padding=kernel // 2), nn.LeakyReLU(0.1)]
        self.body = nn.Sequential(*body)
        self.policy, self.vote = nn.Conv2d(width, 1, 1), nn.Conv2d(width, 1, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        return self.policy(features).flatten(1), self.vote(features).mean(dim=(2, 3))


class Plain(nn.Module):
    """Three convolutions with ELU; the value is a tanh of the side to move."""

    def __init__(self, size: int, width: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.policy = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ELU(), nn.Conv2d(width, 1, 1)
        )
        self.value1 = nn.Linear(width * self.cells(size), 40)
        self.value2 = nn.Linear(40, 1)

    def cells(self, size: int) -> int:
        """How many cells the value reads."""
        return size * size

    def shown(self, features: Tensor) -> Tensor:
        """What the value reads of the features [B, C, N, N]."""
        return features.flatten(1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = functional.elu(self.conv2(functional.elu(self.conv1(planes))))
        value = self.value2(functional.elu(self.value1(self.shown(features))))
        return self.policy(features).flatten(1), value.tanh()
