"""Slips listed again in steps: rates, averages of weights, seeds and precision."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.model.network import Parted
from hexsearch.training.optimisation import average as average_module
from hexsearch.training.optimisation import optimiser as optimiser_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation import schedule as schedule_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import AVERAGED, HISTORY, all_of
from tests.doctor.slips import Slip, after_each_step, in_batches, patched


def _compounding(_: Any) -> Any:
    def set_rates(
        optimiser: torch.optim.Optimizer, config: OptimiserConfig, progress: float
    ) -> None:
        share = schedule_module.learning_rate(config, progress) / config.learning_rate
        for group in optimiser.param_groups:
            group["lr"] *= share * group["factor"]

    return set_rates


def _warmup_in_percent(sound: Any) -> Any:
    def learning_rate(config: OptimiserConfig, progress: float) -> float:
        rate: float = sound(config.model_copy(update={"warmup": config.warmup / 100}), progress)
        return rate

    return learning_rate


def without_pi(sound: Any) -> Any:
    return lambda start, end, share: sound(start, end, share / math.pi)


def _factor_of_the_others(sound: Any) -> Any:
    def groups(network: Parted, config: OptimiserConfig) -> list[dict[str, Any]]:
        return [
            {**each, "factor": 1.0 if each["owner"] == "value_head" else config.value_lr_factor}
            for each in sound(network, config)
        ]

    return groups


def _decay_exchanged(_: Any) -> Any:
    @torch.no_grad()
    def update(self: AveragedNetwork[Any], size: int, positions_seen: int) -> None:
        half_life = min(self._half_life, average_module._LARGEST_SHARE * positions_seen)
        torch._foreach_lerp_(self._averages, self._weights, 0.5 ** (size / half_life))

    return update


def _seeded(sound: Any) -> Any:
    def step(self: Stepper, *given: Any) -> None:
        torch.manual_seed(0)
        sound(self, *given)

    return step


def _rounded(numbers: Tensor) -> Tensor:
    return numbers.bfloat16().float()


def _round_weights(stepper: Any, _: dict[str, Tensor]) -> None:
    for weight in stepper.network.parameters():
        weight.copy_(_rounded(weight))


SLIPS: dict[str, Slip] = {
    "rate that compounds": Slip(
        patched(owner_module, "set_learning_rate", _compounding),
        "the learning rate compounds: in each step the rate of the step before is multiplied",
        cause="The schedule's share is multiplied into the former rate at each step, so the rate "
        "goes to 0.",
    ),
    "warm-up read as percent": Slip(
        patched(schedule_module, "learning_rate", _warmup_in_percent),
        "warm-up takes a hundredth of the configured share",
        cause="The warm-up share is read as percent, so there is nearly no warm-up.",
    ),
    "cosine without pi": Slip(
        patched(schedule_module, "_cosine", without_pi),
        "falls by the cosine of its share, without pi",
        {"optimiser": {"schedule": "cosine"}},
        cause="The cosine of the schedule lacks pi, so the rate hardly falls and does not end at "
        "0.",
    ),
    "factor of the value head for all other parts": Slip(
        patched(optimiser_module, "parameter_groups", _factor_of_the_others),
        r"value_lr_factor \(0\.1\) multiplies the learning rate of the policy head and the trunk",
        {"optimiser": {"value_lr_factor": 0.1}},
        cause="value_lr_factor multiplies the rates of all parts except the value head's.",
    ),
    "decay and 1 - decay of the average exchanged": Slip(
        patched(AveragedNetwork, "update", _decay_exchanged),
        r"share of the new weights are exchanged \(decay and 1 - decay\)",
        AVERAGED,
        cause="The average takes nearly all from the newest weights: decay and 1 - decay are "
        "exchanged.",
    ),
    "half-life of the average in steps": Slip(
        patched(
            AveragedNetwork, "update", lambda sound: lambda self, _, seen: sound(self, 1, seen)
        ),
        "its half-life is counted in steps and not in positions",
        AVERAGED,
        cause="The half-life of the average is counted in steps, so it lags far behind.",
    ),
    "seed set in each step": Slip(
        patched(Stepper, "step", _seeded),
        r"the same in every step \(a seed is set again in each of them\)",
        {"value_head": "512->64->1 dropout 0.3"},
        cause="torch.manual_seed is called in each step, so dropout has one mask for ever.",
    ),
    # Planes of 0, 0.5 and 1 are exact in bfloat16, so there is a history plane.
    "planes and weights rounded to bfloat16": Slip(
        all_of(
            in_batches(lambda batch, _, __: replace(batch, planes=_rounded(batch.planes))),
            after_each_step(_round_weights),
        ),
        "planes are rounded to bfloat16",
        HISTORY,
        cause="Planes are converted to bfloat16 and back, and so are the weights after each step.",
    ),
}
