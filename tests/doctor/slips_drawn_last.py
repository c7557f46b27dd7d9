"""Slips that were written down when the checks were complete, and run once.

Their author knew the checks. No check was changed between writing and running them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.model.network import Network
from hexsearch.training.optimisation.owner import Owner
from tests.doctor.slips import (
    Patch,
    Slip,
    before_clipping,
    in_batches,
    in_network,
    in_part,
    in_planes,
    in_rates,
    in_reported,
    in_value_loss,
    nothing,
)

_ABSOLUTE = {"encoder": {"perspective": "absolute", "edge_ring": False}}


def _two_steps_a_batch(patch: Patch) -> None:
    sound = Owner.step

    def step(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        self.optimiser.step()

    patch.setattr(Owner, "step", step)


def _halving() -> Any:
    seen = [0]

    def rate(group: dict[str, Any]) -> float:
        seen[0] += 1
        return float(group["lr"]) * math.pow(0.5, seen[0] / 6)

    return in_rates(rate)


def _next_move_marked(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    planes = batch.planes.clone()
    size = stream.builder.encoder.size
    rows = torch.arange(len(batch))[batch.has_move]
    cells = batch.policy_target[batch.has_move]
    planes[rows, 0, cells // size, cells % size] = 0.5
    return replace(batch, planes=planes)


def _clipped_one_by_one(network: Network) -> None:
    nn.utils.clip_grad_value_(network.parameters(), 1e-3)


def _validation_games_too(patch: Patch) -> None:
    sound = Dataset.training

    def training(self: Any, curriculum: Any) -> Any:
        return sound(replace(self, config=self.config), curriculum)

    patch.setattr(Dataset, "training", training)
    everything = property(lambda self: self.validation_games)
    patch.setattr(Dataset, "train_games", everything)


def _only_red_to_move(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    red = (batch.ply % 2 == 1).nonzero().flatten()
    return batch.rows(red[torch.arange(len(batch)) % len(red)]) if len(red) else batch


def _trunk_rests(network: Network) -> None:
    sound = network.trunk.train
    network.trunk.train = lambda mode=True: sound(False)  # type: ignore[method-assign]
    network.trunk.eval()


def _scaled_mover(planes: Tensor) -> Tensor:
    planes[:, 2] *= 255.0
    return planes


SLIPS: dict[str, Slip] = {
    "two steps a batch": Slip(_two_steps_a_batch, "twice|scaled|something else than|two steps"),
    "rate halved every other step": Slip(_halving(), "rate|schedule"),
    "next move marked on the board": Slip(
        in_batches(_next_move_marked), "added|next move|later|leak|marked", _ABSOLUTE
    ),
    "value averaged over the batch": Slip(
        in_part("value_head", after=lambda v: v.mean().expand_as(v)), "batch|does not depend"
    ),
    "value head reads zeros": Slip(
        in_part("value_head", before=lambda f: 0.0 * f), "detach|does not depend|gradient|zero"
    ),
    "trunk rests in eval mode": Slip(in_network(_trunk_rests), "eval mode"),
    "value rounded": Slip(
        in_part("value_head", after=torch.round), "round|detach|does not depend|gradient"
    ),
    "only wins count in the value loss": Slip(
        in_value_loss(lambda v, b: v * b.outcome), "mask|weight|half|outcome"
    ),
    "value clamped to a half": Slip(
        in_part("value_head", after=lambda v: v.clamp(-0.5, 0.5)), "bounded|range|between|clamp"
    ),
    "gradients clipped one by one": Slip(
        before_clipping(_clipped_one_by_one), "clip|changed between|single parts"
    ),
    "trained on validation games": Slip(_validation_games_too, "validation|split"),
    "reported squared": Slip(in_reported(lambda p, b: p.square()), "formula|something else"),
    "side to move times 255": Slip(in_planes(_scaled_mover), "scaled|side.to.move", _ABSOLUTE),
    "only positions with Red to move": Slip(
        in_batches(_only_red_to_move), "odd|side|Red is to move|part of"
    ),
    "nearly all units dropped": Slip(nothing, "dropout", {"value_head": "512->64->1 dropout 0.98"}),
    "average that hardly moves": Slip(
        nothing, "average|half.life", {"optimiser": {"ema_half_life": 10**9}}
    ),
}
