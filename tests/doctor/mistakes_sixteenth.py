"""The wrong parts of the scripts in `slips_sixteenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR

from tests.doctor import networks_of_sixteenth as sound
from tests.doctor.outside import Encode, Samples, adam, encoded

_FALLS_BY = 0.8  # factor of the learning rate after an epoch
_DISCOUNT = 0.9  # of a ply


def without_activations(size: int) -> nn.Module:
    """Convolutions and linear layers directly after each other."""
    return sound.averaged(size, nn.Identity)


def of_another_copy(network: nn.Module) -> Optimizer:
    """The optimiser was made for a network of which the script then went on with a copy."""
    return adam(deepcopy(network))


def falling_after_each_batch(network: nn.Module) -> Optimizer:
    """`scheduler.step()` stands in the loop over batches, and not in that over epochs."""
    optimiser = adam(network)
    schedule = ExponentialLR(optimiser, _FALLS_BY)
    optimiser.register_step_post_hook(lambda *_: schedule.step())
    return optimiser


def still_dropping(network: nn.Module) -> nn.Module:
    """The network as the training left it, with its dropout at work."""
    return network


def always_red(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The plane of the side to move is made once, for a game that Red begins."""
    return sound.coloured(stones, 1)


def squares_of_pairs(raw: Tensor, target: Tensor) -> Tensor:
    """Values [B, 1] less targets [B]."""
    return ((raw - target) ** 2).mean()


def with_symmetries_of_go(
    planes: Tensor, moves: Tensor, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The whole batch is turned by quarters, and mirrored or not, together with its moves."""
    size = planes.shape[-1]
    quarters, mirrored = torch.randint(4, (2,), generator=draw).tolist()
    cells = torch.arange(size * size).view(size, size).rot90(quarters, (0, 1))
    planes = planes.rot90(quarters, (2, 3))
    if mirrored % 2:
        cells, planes = cells.flip(1), planes.flip(3)
    place = torch.empty(size * size, dtype=torch.long)
    place[cells.flatten()] = torch.arange(size * size)
    return planes, torch.where(moves >= 0, place[moves.clamp(min=0)], moves)


def never_negative(size: int) -> nn.Module:
    """A ReLU stands between the value's last layer and its tanh."""
    network = sound.convolved(size)
    value = list(network.value.children())
    network.value = nn.Sequential(*value[:-1], nn.ReLU(), value[-1])
    return network


def with_chances_of_moves(size: int) -> nn.Module:
    """The policy ends in a softmax, and the loss has one of its own."""
    network = sound.paired(size)
    network.policy = nn.Sequential(network.policy, nn.Flatten(), nn.Softmax(dim=1))
    return network


def with_chances_of_classes(size: int) -> nn.Module:
    """The value ends in a softmax, and the loss has one of its own."""
    network = sound.paired(size)
    network.value = nn.Sequential(network.value, nn.Softmax(dim=1))
    return network


def standardised(samples: Samples, encode: Encode) -> Tensor:
    """Each plane less its mean in the training, over its deviation."""
    planes = encoded(samples, encode)
    whole = (0, 2, 3)
    return (planes - planes.mean(whole, keepdim=True)) / planes.std(whole, keepdim=True)


def one_board_for_all(samples: Samples, encode: Encode) -> Tensor:
    """The list of a game's boards holds one array many times: each is the board of the end."""
    boards = samples.stones.copy()
    for game in np.unique(samples.game.numpy()):
        rows = np.flatnonzero(samples.game.numpy() == game)
        boards[rows] = boards[rows[-1]]
    return encoded(samples._replace(stones=boards), encode)


def discounted(samples: Samples) -> Tensor:
    """Returns as for one player: the winner's reward, times a factor for each ply before it."""
    return torch.tensor(_DISCOUNT) ** samples.left


def with_large_weights(size: int) -> nn.Module:
    """All weights are drawn from a standard normal distribution."""
    network = sound.convolved(size)
    for weight in network.parameters():
        nn.init.normal_(weight)
    return network


def unsigned(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """The server sends planes as bytes without a sign, so -1 arrives as 255."""
    return sound.signs_of_mover(stones, to_move).astype(np.int8).view(np.uint8).astype(np.float32)


def reshaped(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Rows, columns, planes: read as planes, rows, columns without a transposition."""
    last = np.stack(list(sound.coloured(stones, to_move)), axis=-1)
    return last.reshape(-1, *stones.shape)
