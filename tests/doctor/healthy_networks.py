"""Sound networks of several kinds, as users write and train them without hexsearch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.analysis.boards import Positions, positions_of_moves
from hexsearch.data.archive import GameArchive
from hexsearch.game.board import RED

Encode = Callable[[NDArray[np.int8], int], NDArray[np.float32]]
_WIDTH = 24


def encode_absolute(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes blue, red, side to move; 0.5 on a finished board."""
    mover = np.full(stones.shape, 0.5 if to_move == 0 else float(to_move == 1))
    return np.stack([stones == -1, stones == 1, mover]).astype(np.float32)


def encode_mover(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Planes own and other; reflected for Red, so that the side to move connects top to bottom."""
    shown = -stones.T if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


def encode_signed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """One plane of stones -1, 0 and 1, and one plane of the sign of the side to move."""
    return np.stack([stones, np.full(stones.shape, to_move)]).astype(np.float32)


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, group norm and two pointwise layers, with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, groups=_WIDTH),
            nn.GroupNorm(1, _WIDTH),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 1),
            nn.GELU(),
            nn.Conv2d(2 * _WIDTH, _WIDTH, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Tokens(nn.Module):
    """A transformer or a mixer over cells as tokens, with learnt position embeddings."""

    def __init__(self, planes: int, size: int, mixer: bool) -> None:
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(size * size, _WIDTH))
        self.embed = nn.Linear(planes, _WIDTH)
        if mixer:
            self.over_cells = nn.Sequential(
                nn.Linear(size * size, 32), nn.GELU(), nn.Linear(32, size * size)
            )
            self.over_channels = nn.Sequential(
                nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 48), nn.GELU(), nn.Linear(48, _WIDTH)
            )
        else:
            layer = nn.TransformerEncoderLayer(
                _WIDTH, 4, 48, dropout=0.0, batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.mixer = mixer

    def forward(self, planes: Tensor) -> Tensor:
        tokens = self.embed(planes.flatten(2).transpose(1, 2)) + self.place
        if self.mixer:
            tokens = tokens + self.over_cells(tokens.transpose(1, 2)).transpose(1, 2)
            tokens = tokens + self.over_channels(tokens)
        else:
            tokens = self.encoder(tokens)
        side = round(tokens.shape[1] ** 0.5)
        features: Tensor = tokens.transpose(1, 2).reshape(len(planes), _WIDTH, side, side)
        return features


def _trunk(kind: str, planes: int, size: int) -> nn.Module:
    if kind in ("transformer", "mixer"):
        return Tokens(planes, size, kind == "mixer")
    stem = nn.Conv2d(planes, _WIDTH, 3, padding=1)
    if kind == "convnext":
        return nn.Sequential(stem, ConvNeXtBlock(), ConvNeXtBlock())
    layers: list[nn.Module] = [stem, nn.ReLU()]
    for _ in range(3):
        layers += [nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH), nn.ReLU()]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Kind:
    """Architecture and training of a network, and the meaning of its value."""

    trunk: str = "conv"
    value: str = "logit"  # logit, signed, list (win, draw, loss) or bins
    view: str = "absolute"  # absolute, mover or signed
    dropout: float = 0.0
    smoothing: float = 0.0
    sgd: bool = False


OUTPUTS = {"logit": 1, "signed": 1, "list": 3, "bins": 51}
ENCODERS: dict[str, Encode] = {
    "absolute": encode_absolute,
    "mover": encode_mover,
    "signed": encode_signed,
}


class OwnNetwork(nn.Module):
    """A user's network. `win_prob_red` has a second argument if the value is the mover's."""

    def __init__(self, kind: Kind, size: int) -> None:
        super().__init__()
        planes = {"absolute": 3, "mover": 2, "signed": 2}[kind.view]
        self.kind = kind
        self.trunk = _trunk(kind.trunk, planes, size)
        self.policy = nn.Conv2d(_WIDTH, 1, 1)
        self.value = nn.Sequential(
            nn.Flatten(),
            nn.Linear(_WIDTH * size * size, 32),
            nn.ReLU(),
            nn.Dropout(kind.dropout),
            nn.Linear(32, OUTPUTS[kind.value]),
        )
        if kind.view == "mover":
            self.win_prob_red = self._win_prob_for_mover
        else:
            self.win_prob_red = self.win_prob  # type: ignore[assignment]

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(planes)
        value = self.value(features)
        value = value.tanh() if self.kind.value == "signed" else value
        return self.policy(features).flatten(1), value

    def win_prob(self, raw: Tensor) -> Tensor:
        """Win probability of the side that the value belongs to."""
        if self.kind.value == "logit":
            return raw.reshape(len(raw)).sigmoid()
        if self.kind.value == "signed":
            return (raw.reshape(len(raw)) + 1) / 2
        chances = raw.softmax(dim=1)
        if self.kind.value == "list":
            return chances[:, 0] + chances[:, 1] / 2
        return chances @ torch.linspace(0.0, 1.0, raw.shape[1])

    def _win_prob_for_mover(self, raw: Tensor, to_move: Tensor) -> Tensor:
        mover_wins = self.win_prob(raw)
        return torch.where(to_move > 0, mover_wins, 1 - mover_wins)

    def training_loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean loss for targets [B] of the side that the value belongs to."""
        if self.kind.value == "signed":
            return (raw[:, 0] - (2 * target - 1)).square().mean()
        if self.kind.value == "list":
            return functional.cross_entropy(raw, torch.where(target > 0.5, 0, 2))
        if self.kind.value == "bins":
            return functional.cross_entropy(raw, (target * 50).round().long())
        return functional.binary_cross_entropy_with_logits(raw[:, 0], target)


def train(
    kind: Kind, archive: GameArchive, size: int, steps: int = 250, seed: int = 0
) -> OwnNetwork:
    """A network of a kind, trained in a plain loop on positions of whole games."""
    torch.manual_seed(seed)
    network = OwnNetwork(kind, size)
    planes, to_move, won, played, _ = samples_of(kind.view, archive, size)
    parameters = network.parameters()
    optimiser: torch.optim.Optimizer = (
        torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
        if kind.sgd
        else torch.optim.AdamW(parameters, lr=3e-3)
    )
    draw = torch.Generator().manual_seed(seed)
    target = torch.where(to_move > 0, won, 1 - won) if kind.view == "mover" else won
    target = target * (1 - kind.smoothing) + kind.smoothing / 2
    for _ in range(steps):
        rows = torch.randint(len(planes), (128,), generator=draw)
        policy, raw = network(planes[rows])
        moving = played[rows] >= 0
        loss = network.training_loss(raw, target[rows])
        loss = loss + 0.5 * functional.cross_entropy(policy[moving], played[rows][moving])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return network.eval()


class Samples(NamedTuple):
    """The P positions of every second game: planes [P, C, N, N], the other columns [P]."""

    planes: Tensor
    to_move: Tensor
    red_won: Tensor
    played: Tensor
    game: Tensor


def samples_of(view: str, archive: GameArchive, size: int) -> Samples:
    """Training samples of a view, which is a key of ENCODERS; `played` is -1 where a game ends."""
    games = [archive.game(index) for index in range(0, len(archive), 2)]
    moves = [game.moves[:ply] for game in games for ply in range(len(game.moves) + 1)]
    positions: Positions = positions_of_moves(moves, size)
    red_won = [float(game.winner == RED) for game in games for _ in range(len(game.moves) + 1)]
    following = [cell for game in games for cell in (*game.moves, -1)]
    encode = ENCODERS[view]
    mover = positions.to_move
    if view == "mover":
        mover = np.where(positions.plies % 2 == 0, -1, 1).astype(np.int8)
    planes = np.stack(
        [encode(board, int(side)) for board, side in zip(positions.stones, mover, strict=True)]
    )
    cells = np.array(following)
    if view == "mover":  # the policy belongs to the board as shown
        row, column = np.divmod(cells, size)
        cells = np.where((mover > 0) & (cells >= 0), column * size + row, cells)
    lengths = torch.tensor([len(game.moves) + 1 for game in games])
    return Samples(
        torch.from_numpy(planes),
        torch.from_numpy(mover.astype(np.int64)),
        torch.tensor(red_won),
        torch.from_numpy(cells),
        torch.arange(len(games)).repeat_interleave(lengths),
    )
