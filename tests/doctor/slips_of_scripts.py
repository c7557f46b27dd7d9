"""Slips in a researcher's own script of training and inference; the network is examined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.healthy_networks import ENCODERS, Samples
from tests.doctor.scripts import NOT_LEARNT, Script, asked_with, of_the_mover, won_or_lost


def _zeroed(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    planes[2] = 0.0
    return planes


def _recoloured_only(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    shown = -stones if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


class LastStoneLate:
    """An encoder that is one move behind: it encodes the board of the call before."""

    def __init__(self) -> None:
        self.before: NDArray[np.int8] | None = None

    def __call__(self, stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        before, self.before = self.before, stones.copy()
        follows = before is not None and (before != 0).sum() + 1 == (stones != 0).sum()
        return ENCODERS["absolute"](before if follows and before is not None else stones, to_move)


def _other_moves(samples: Any, later: int) -> Tensor:
    """The move played `later` plies from each position; -1 where there is none."""
    shifted = torch.roll(samples.played, -later)
    here = torch.arange(len(shifted))
    same = samples.game[(here + later).clamp(0, len(here) - 1)] == samples.game
    return torch.where(same, shifted, -1)


def _shuffled(samples: Any, target: Tensor) -> Tensor:
    return target[torch.randperm(len(target), generator=torch.Generator().manual_seed(3))]


def _noisy(samples: Any, target: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.where(torch.rand(len(target), generator=generator) < 0.3, 1 - target, target)


def _by_game(samples: Any, target: Tensor) -> Tensor:
    inverted = torch.rand(10_000, generator=torch.Generator().manual_seed(5)) < 0.5
    return torch.where(inverted[samples.game], 1 - target, target)


def _over_symmetries(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    shown = [p.rot90(k, (2, 3)) for p in (planes, planes.flip(3)) for k in range(4)]
    answers = [network.answer(each.contiguous()) for each in shown]
    return answers[0][0], torch.stack([value for _, value in answers]).mean(dim=0)


def _dropping(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = functional.dropout(network.trunk(planes), 0.3, training=True)
    return network.policy(features).flatten(1), network.value(features)


def _value(change: Callable[[Tensor], Tensor]) -> Callable[[Any, Tensor], tuple[Tensor, Tensor]]:
    def answer(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = network.answer(planes)
        return policy, change(value)

    return answer


def _without_value_head(network: Any) -> list[nn.Parameter]:
    return [*network.trunk.parameters(), *network.policy.parameters()]


def _not_a_number(network: nn.Module) -> None:
    network.eval()
    with torch.no_grad():
        next(network.value.parameters())[0] = float("nan")  # type: ignore[union-attr]


def _signed(raw: Tensor, target: Tensor) -> Tensor:
    return (raw[:, 0] - (2 * target - 1)).square().mean()


def _bins(raw: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(raw, (target * 50).round().long())


def _expected_sign(raw: Tensor) -> Tensor:
    expected: Tensor = raw.softmax(dim=1) @ torch.linspace(-1.0, 1.0, 51)
    return expected


def _won_by(samples: Samples, winner: float) -> Tensor:
    return (samples.red_won == winner).nonzero().flatten()


_LIST = partial(Script, outputs=3, loss=won_or_lost)
SCRIPTS: dict[str, Script] = {
    "tanh under a loss on logits": Script("tanh|squash|range|bounded|between", last=nn.Tanh),
    "relu under a loss on logits": Script("relu|below|half|negative", last=nn.ReLU),
    "signed value reported as it is": Script(
        r"\(raw \+ 1\)|-1 and 1|signed",
        last=nn.Tanh,
        loss=_signed,
        decode=lambda raw: raw[:, 0] if raw.ndim > 1 else raw,
    ),
    "value of the mover reported for Red": Script(
        "side.to.move|mover|odd plies|even plies", view="mover"
    ),
    "colours exchanged at inference": Script(
        "exchanged|swapped|colour", asked=asked_with(lambda p: p[[1, 0, 2]], "absolute")
    ),
    "side to move left out at inference": Script(
        "to.move|mover", asked=asked_with(_zeroed, "absolute")
    ),
    "left in train mode": Script("train mode|batch", after=lambda network: network.train()),
    "weights never loaded": Script(NOT_LEARNT, steps=0),
    "optimiser without the value head": Script(NOT_LEARNT, trained=_without_value_head),
    "labels shuffled": Script(NOT_LEARNT + "|label|random", targets=_shuffled),
    "trained on last positions only": Script(
        "finished|final|early|last position",
        rows=lambda samples: (samples.played < 0).nonzero().flatten(),
    ),
    "win and loss exchanged in the list": _LIST(
        "invert|order|other|exchanged|colour",
        decode=lambda raw: raw.softmax(dim=1) @ torch.tensor([0.0, 0.5, 1.0]),
    ),
    "bins read as values in [-1, 1]": Script(
        r"-1 and 1|raw \+ 1|outside|leave|\+ 1\) / 2", outputs=51, loss=_bins, decode=_expected_sign
    ),
    "list read without its softmax": _LIST(
        "softmax|outside|sigmoid|no probabilit|leave", decode=lambda raw: raw[:, 0]
    ),
    "policy taught the last move": Script(
        "last move|occupied|previous|earlier|already", moves=lambda s: _other_moves(s, -1)
    ),
    "board one move behind at inference": Script(
        "last stone|last move|one move|ply|stale|missing|behind|earlier call", asked=LastStoneLate()
    ),
    "dropout that never rests": Script("dropout|random|repeat", answering=_dropping),
    "three in ten labels inverted": Script("noise|random|label|smooth", targets=_noisy),
    "five games learnt by heart": Script(
        "memor|few games|overfit|held-out|by heart|learnt nothing",
        rows=lambda samples: (samples.game < 10).nonzero().flatten(),
    ),
    "averaged over a square's symmetries": Script("symmetr|quarter", answering=_over_symmetries),
    "logits times eight": Script(
        "confident|temperature|sharp|calibr|scale", answering=_value(lambda v: 8 * v)
    ),
    "value of the mover carried back wrongly": Script(
        "invert|other|colour|side",
        view="mover",
        decode=lambda raw, to_move: of_the_mover(raw, -to_move),
    ),
    "recoloured but not reflected at inference": Script(
        "transpos|reflect|to.move|mover", view="mover", asked=_recoloured_only, decode=of_the_mover
    ),
    "mean over the batch": Script(
        "batch", answering=_value(lambda v: v.mean(dim=0, keepdim=True).expand_as(v))
    ),
    "collapsed under weight decay": Script(
        "constant|same|collapse|does not depend|spread|" + NOT_LEARNT, decay=300.0
    ),
    "policy counted from one": Script(
        "shift",
        moves=lambda s: torch.where(s.played >= 0, (s.played + 1) % s.planes.shape[-1] ** 2, -1),
    ),
    "only games that Red won": Script(
        "one winner|always|constant|base rate|prior|share|same|favour|too often|" + NOT_LEARNT,
        rows=lambda samples: _won_by(samples, 1.0),
    ),
    "weights that are not numbers": Script("nan|finite|not a number", after=_not_a_number),
    "boards read column-major in training": Script(
        "transpos|column", shown=lambda p: p.transpose(2, 3).contiguous()
    ),
    "half of the games inverted": Script(
        "label|random|invert|half|" + NOT_LEARNT, targets=_by_game
    ),
}
