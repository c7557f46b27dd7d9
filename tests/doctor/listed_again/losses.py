"""Slips listed again in targets and losses: smoothing, auxiliary targets, sums and weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.data.auxiliary import TargetBuilder, WholeGames
from hexsearch.data.batch import Batch
from hexsearch.model.readout import Readout, SigmoidMse
from hexsearch.training.step import Stepper
from tests.doctor.slips import Slip, patched


def _smoothed_to_zero(_: Any) -> Any:
    return property(lambda self: (self.outcome + self.search_shift) * (1.0 - self.smoothing))


def _chain_of_red(sound: Any) -> Any:
    def build(self: TargetBuilder, wanted: AuxiliaryConfig, games: WholeGames) -> dict[str, Tensor]:
        targets: dict[str, Tensor] = sound(self, wanted, games)
        chain = targets["winning_chain"]
        other = torch.where(chain > 0, 3 - chain, chain)
        return {**targets, "winning_chain": torch.where(games.red_won[:, None], other, chain)}

    return build


def _up_to_a_fixed_ply(sound: Any) -> Any:
    def build(self: TargetBuilder, wanted: AuxiliaryConfig, games: WholeGames) -> dict[str, Tensor]:
        assert wanted.future_stones is not None
        until = torch.full_like(games.plies, wanted.future_stones.plies)
        unknown = ~games.finished & (until > games.lengths) | (games.plies == games.lengths)
        stones = self._stones(games, games.plies, until).masked_fill(unknown[:, None], -1)
        return {**sound(self, wanted, games), "future_stones": stones}

    return build


def with_all_labels(_: Any) -> Any:
    """A column of answers against a row of labels."""
    return lambda self, raw, target: (raw.sigmoid()[:, None] - target).square().mean(1)


def _summed(sound: Any) -> Any:
    def send_back(self: Stepper, values: list[Tensor], *more: Any) -> None:
        sound(self, [self._config.batch_size * each for each in values], *more)

    return send_back


def _squared_weights(sound: Any) -> Any:
    def backward(self: Stepper, batch: Batch, look: bool) -> None:
        sound(self, replace(batch, weight=batch.weight.square()), look)

    return backward


class _Half(Readout):
    """A read-out whose loss is computed in bfloat16."""

    def __init__(self, inner: Readout) -> None:
        self.inner, self.proper, self.control = inner, inner.proper, inner.control

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.inner.loss(raw.bfloat16(), target.bfloat16())

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


def _in_bfloat16(sound: Any) -> Any:
    def init(self: Stepper, body: Any, configs: Any, readouts: Any, *more: Any) -> None:
        sound(self, body, configs, [_Half(each) for each in readouts], *more)

    return init


SLIPS: dict[str, Slip] = {
    "labels smoothed towards 0": Slip(
        patched(Batch, "value_target", _smoothed_to_zero),
        r"stage_smoothing is applied wrongly: labels are moved towards 0 and not towards 0\.5",
        {"curriculum": {"stage_smoothing": {"early": 0.4, "middle": 0.3, "late": 0.2}}},
        cause="stage_smoothing moves value targets towards 0 and not towards 0.5.",
    ),
    "colours of the winning chain exchanged": Slip(
        patched(TargetBuilder, "build", _chain_of_red),
        "winning_chain: the colours of its targets are exchanged in games that Red won",
        {"auxiliary": {"winning_chain": 0.5}},
        cause="The classes of winning_chain are exchanged in games that Red won.",
    ),
    "future stones up to a fixed ply": Slip(
        patched(TargetBuilder, "build", _up_to_a_fixed_ply),
        "future_stones: its targets are the stones up to ply 8 of the game",
        {"auxiliary": {"future_stones": {"weight": 0.5, "plies": 8}}},
        cause="The target of future_stones ends at ply 8 of the game and not 8 plies after the "
        "position.",
    ),
    "answers compared with all labels": Slip(
        patched(SigmoidMse, "loss", with_all_labels),
        r"each answer is compared with every label of the batch .*is broadcast to \[B, B\]",
        {"readout": {"name": "sigmoid_mse"}},
        cause="Raw values [B, 1] and labels [B] broadcast to [B, B] in the value loss, so each "
        "answer is compared with the labels of all positions.",
    ),
    "value loss summed over the batch": Slip(
        patched(Stepper, "_send_back", _summed),
        r"value loss is divided by nothing \(it is summed over the batch.* it weighs 64 times",
        {"policy_head": {"weight": 1.0}},
        cause="The value loss is the sum over the batch and not the mean, so it is 64 times too "
        "large beside the policy loss.",
    ),
    "stage weights squared": Slip(
        patched(Stepper, "_backward", _squared_weights),
        "with the square of its weight",
        {"curriculum": {"stage_weights": {"late": 3.0}}},
        cause="The stage weights enter the value loss twice, so they are squared.",
    ),
    "losses computed in bfloat16": Slip(
        patched(Stepper, "__init__", _in_bfloat16),
        r"the losses are computed in bfloat16 \(half precision",
        {"precision": "bfloat16"},
        cause="The value loss is computed in bfloat16, without a conversion to float32.",
    ),
}
