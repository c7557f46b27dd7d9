"""Slips in the losses, the optimiser, the schedule, the average and the resumption: a blind set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.training import step as step_module
from hexsearch.training.optimisation import optimiser as optimiser_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, patched

_PERCENT = 100.0
_AVERAGED = {"optimiser": {"ema_half_life": 512}}


class _HalfLoss:
    """A read-out whose loss is computed in half precision."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = self._inner.loss(raw.half(), target.half())
        return loss.float()


def _losses_as_half(patch: Patch) -> None:
    init = Stepper.__init__

    def with_half(self: Any, *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        self._readouts = [_HalfLoss(readout) for readout in self._readouts]

    def policy_loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits.half(), target, reduction="none")
        mask = has_move.to(losses.dtype)
        return ((losses * mask).sum() / mask.sum().clamp(min=1.0)).float()

    patch.setattr(Stepper, "__init__", with_half)
    patch.setattr(step_module, "policy_loss", policy_loss)


def _value_weight_one(sound: Any) -> Any:
    def init(self: Any, *arguments: Any, **more: Any) -> None:
        sound(self, *arguments, **more)
        self._config = self._config.model_copy(update={"value_weight": 1.0})

    return init


def _in_percent(sound: Any) -> Any:
    def parameter_groups(*arguments: Any) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = sound(*arguments)
        for group in groups:
            group["weight_decay"] *= _PERCENT
        return groups

    return parameter_groups


def _one_by_one(_: Any) -> Any:
    def clip_gradients(network: Any, limit: float) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        joint = torch.nn.utils.get_total_norm(gradients)
        for parameter in network.parameters():
            torch.nn.utils.clip_grad_norm_([parameter], limit)
        return joint

    return clip_gradients


def _restarted(patch: Patch) -> None:
    """The progress of the schedule is counted from the last report."""
    prepare, reports = Owner.prepare, Trial.reports

    def from_report(self: Any, progress: float) -> None:
        prepare(self, progress - getattr(self, "_reported_at", 0.0))

    def reported(self: Any) -> Any:
        made = reports(self)
        for owner in self._stepper.owners:
            owner._reported_at = self.positions_seen / self.max_positions
        return made

    patch.setattr(Owner, "prepare", from_report)
    patch.setattr(Trial, "reports", reported)


def _twice_as_long(sound: Any) -> Any:
    def step(self: Any, batch: Any, positions_seen: int, max_positions: int) -> None:
        sound(self, batch, positions_seen, 2 * max_positions)

    return step


def _shares_exchanged(_: Any) -> Any:
    @torch.no_grad()
    def update(self: Any, size: int, positions_seen: int) -> None:
        half_life = min(self._half_life, 0.1 * positions_seen)
        torch._foreach_lerp_(self._averages, self._weights, 0.5 ** (size / half_life))

    return update


def _continued_from_average(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        made = sound(self)
        average = self._stepper.average
        if average is not None:
            with torch.no_grad():
                torch._foreach_copy_(average._weights, average._averages)
        return made

    return reports


def _steps_from_zero(sound: Any) -> Any:
    def load_state(self: Any, state: dict[str, Any]) -> None:
        sound(self, state)
        self._steps = 0

    return load_state


SLIPS: dict[str, Slip] = {
    "losses in half precision": Slip(
        _losses_as_half,
        "half|float16|precision|float32|round|dtype|underflow",
        cause="Raw values and logits are cast to 16-bit numbers before the losses: value and "
        "policy losses are computed in half precision and not in float32, so losses and their "
        "gradients are rounded.",
    ),
    "value_weight ignored": Slip(
        patched(Stepper, "__init__", _value_weight_one),
        "value_weight|value loss|weight",
        {"value_weight": 4.0},
        cause="The weight of the value loss is ignored: the value loss counts once in the training "
        "loss and not four times as configured.",
    ),
    "weight decay times 100": Slip(
        patched(optimiser_module, "parameter_groups", _in_percent),
        "weight.decay|decay|shrink",
        cause="The weight decay is taken as a percentage and multiplied by 100: it is 1 instead of "
        "0.01, and pulls all kernels to 0.",
    ),
    "each parameter clipped alone": Slip(
        patched(owner_module, "clip_gradients", _one_by_one),
        "clip|norm|limit|gradient",
        {"optimiser": {"clip": 0.25}},
        cause="The gradient of each parameter is clipped to the limit alone and not all of them "
        "together: the joint norm of a step stays far above the limit, and the direction changes.",
    ),
    "warm-up restarts at each report": Slip(
        _restarted,
        "warm-?up|schedule|learning rate|restart|progress|report",
        cause="The schedule begins anew after each report: its progress is counted from the last "
        "report, so the rate warms up again and again and never falls to its end.",
    ),
    "schedule twice as long as the training": Slip(
        patched(Stepper, "step", _twice_as_long),
        "schedule|learning rate|end|progress|anneal|half|max_positions|decay|rate",
        cause="The schedule is laid out for twice as many positions as the training has: the "
        "training ends in the middle of the schedule, while the rate is still high.",
    ),
    "shares of the average exchanged": Slip(
        patched(AveragedNetwork, "update", _shares_exchanged),
        "average|ema|half.?life",
        _AVERAGED,
        cause="Old and new weights are exchanged in the moving average: the new weights have the "
        "share of the old ones, so the average is nearly the last weights and averages nothing.",
    ),
    "training goes on from the average": Slip(
        patched(Trial, "reports", _continued_from_average),
        "average|ema|report.*(weights|network|change)|weights?\\b.*(report|overwr|chang|copied)|"
        "evaluat.*chang",
        _AVERAGED,
        cause="After each report the averaged weights are copied into the network that is trained, "
        "which goes on from there with the old moments of the optimiser: reports change the "
        "training.",
    ),
    "step count not resumed": Slip(
        patched(Stepper, "load_state", _steps_from_zero),
        "resum|step count|steps|restor|checkpoint|continu|look|state",
        cause="A resumed training counts its steps from 0 again: the step count is in the "
        "checkpoint but not restored, so the monitors sample other steps than in a training that "
        "was not interrupted.",
    ),
}
