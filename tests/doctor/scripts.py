"""What a researcher's own script of training and inference is, for slips in such scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.foreign import ForeignNetwork
from tests.doctor.healthy_networks import ENCODERS, Encode, samples_of
from tests.doctor.slips import Named

_LOGIT = functional.binary_cross_entropy_with_logits
# Words that name a network which has learnt nothing, whatever the reason.
NOT_LEARNT = "learnt nothing|chance|untrained|the value has not"


class ScriptNetwork(nn.Module):
    """A small two-headed network with batch norm, and what inference does with its value."""

    def __init__(self, planes: int, size: int, outputs: int, last: nn.Module | None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (planes, 24, 24):
            layers += [nn.Conv2d(inputs, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.policy = nn.Conv2d(24, 1, 1)
        value: list[nn.Module] = [nn.Flatten(), nn.Linear(24 * size * size, 32), nn.ReLU()]
        self.value = nn.Sequential(*value, nn.Linear(32, outputs), *([last] if last else []))
        self.answering: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]] | None = None

    def answer(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(planes)
        return self.policy(features).flatten(1), self.value(features)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.answer(planes) if self.answering is None else self.answering(self, planes)


@dataclass(frozen=True)
class Script(Named):
    """How a network is trained and used; the defaults are sound.

    Attributes:
        named_by: as in Named.
        view: name of its encoder, as in ENCODERS.
        outputs, last: entries of the value, and the module after its last layer.
        loss: value loss of raw values and targets.
        rows: samples that are used in training.
        shown: planes in training.
        targets, moves: value and policy targets.
        trained: parameters that the optimiser gets.
        decay, steps: weight decay, and number of steps.
        asked: encoder at inference, if it is another one.
        answering: outputs at inference, if they are not those of training.
        decode: win_prob_red of the network.
        after: what happens to the network after training.
        cause, report: as in Slip.
    """

    named_by: str = ""
    view: str = "absolute"
    outputs: int = 1
    last: Callable[[], nn.Module] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = lambda raw, target: _LOGIT(raw[:, 0], target)
    rows: Callable[[Any], Tensor] = lambda samples: torch.arange(len(samples.planes))
    shown: Callable[[Tensor], Tensor] = lambda planes: planes
    targets: Callable[[Any, Tensor], Tensor] = lambda samples, target: target
    moves: Callable[[Any], Tensor] = lambda samples: samples.played
    trained: Callable[[nn.Module], Any] = lambda network: network.parameters()
    decay: float = 0.01
    steps: int = 300
    asked: Encode | None = None
    answering: Callable[[Any, Tensor], tuple[Tensor, Tensor]] | None = None
    decode: Callable[..., Tensor] = lambda raw: raw.reshape(len(raw)).sigmoid()
    after: Callable[[nn.Module], object] = lambda network: network.eval()
    cause: str = ""
    report: str = ""


def trained_by(script: Script, archive: GameArchive, size: int, seed: int = 0) -> ForeignNetwork:
    """The network that a script gives, as `doctor --model` gets it."""
    torch.manual_seed(seed)
    samples = samples_of(script.view, archive, size)
    last = script.last() if script.last else None
    network = ScriptNetwork(samples.planes.shape[1], size, script.outputs, last)
    won = samples.red_won
    target = torch.where(samples.to_move > 0, won, 1 - won) if script.view == "mover" else won
    target, played = script.targets(samples, target), script.moves(samples)
    optimiser = torch.optim.AdamW(script.trained(network), lr=3e-3, weight_decay=script.decay)
    draw, chosen = torch.Generator().manual_seed(seed), script.rows(samples)
    for _ in range(script.steps):
        rows = chosen[torch.randint(len(chosen), (128,), generator=draw)]
        policy, raw = network(script.shown(samples.planes[rows]))
        moving = played[rows] >= 0
        loss = script.loss(raw, target[rows])
        if bool(moving.any()):
            loss = loss + 0.5 * functional.cross_entropy(policy[moving], played[rows][moving])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    network.answering = script.answering
    script.after(network)
    network.win_prob_red = script.decode  # type: ignore[assignment]
    encode = script.asked or ENCODERS[script.view]
    return ForeignNetwork(network, encode, size)


def sound_script(view: str) -> Script:
    """A script without a slip."""
    return Script(view=view, decode=of_the_mover) if view == "mover" else Script(view=view)


def asked_with(change: Callable[[NDArray[np.float32]], NDArray[np.float32]], view: str) -> Encode:
    """An encoder whose planes are changed."""
    return lambda stones, to_move: np.ascontiguousarray(change(ENCODERS[view](stones, to_move)))


def of_the_mover(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's win probability from a logit of the side to move."""
    p = raw.reshape(len(raw)).sigmoid()
    return torch.where(to_move > 0, p, 1 - p)


def won_or_lost(raw: Tensor, target: Tensor) -> Tensor:
    """Loss of a list of win, draw and loss."""
    return functional.cross_entropy(raw, torch.where(target > 0.5, 0, 2))
