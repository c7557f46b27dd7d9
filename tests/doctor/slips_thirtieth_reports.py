"""Slips in the evaluation, the reports and the monitors, of the thirtieth set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.model.network import Network
from hexsearch.statistics import slices as slices_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors import activations as activations_module
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_network, patched

_MOMENTUM = 0.001
_RIGHT = 4  # column of the right answers


def _ties_are_right(sound: Any) -> Any:
    def columns(self: Any, rows: slice) -> Tensor:
        found: Tensor = sound(self, rows)
        shown = self.answers.p[rows].mul(100).round().div(100)
        called = (shown > 0.5) == (self.answers.won[rows] == 1)
        found[:, _RIGHT] = torch.where(shown == 0.5, 1.0, called.double())
        return found

    return columns


def _last_weights(patch: Patch) -> None:
    patch.setattr(Trial, "_answering", property(lambda self: self.body))
    patch.setattr(Trial, "answering", property(lambda self: self.network))


def _not_calibrated(patch: Patch) -> None:
    def slow(network: Network) -> None:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = _MOMENTUM

    in_network(slow)(patch)
    patch.setattr(Evaluator, "calibrate", lambda self, network: network.eval() and None)


def _zero_anywhere(sound: Any) -> Any:
    def describe(values: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = sound(values)
        by_unit = (
            values.reshape(len(values), -1)
            if values.ndim < 3
            else values.transpose(0, 1).flatten(1).T
        )
        return seen | {"dead": (by_unit == 0).any(dim=0).float().mean()}

    return describe


SLIPS: dict[str, Slip] = {
    "ties count as right": Slip(
        patched(slices_module._Slices, "_columns", _ties_are_right),
        "accuracy|\\bties?\\b|half|0\\.5|round|right answers",
        cause="Accuracy is computed from answers that are rounded to two digits, and an answer of "
        "0.50 counts as right, where it should count half: undecided answers are all right.",
    ),
    "last weights evaluated": Slip(
        _last_weights,
        "averag|\\bema\\b|half.?life|last weights|not used",
        {"optimiser": {"ema_half_life": 200}},
        cause="Averaged weights are configured and computed, but reports evaluate the last weights "
        "of the training: the average is not used anywhere.",
    ),
    "norms not calibrated": Slip(
        _not_calibrated,
        "calibrat|batch.?norm|running|statistics|momentum|norms",
        cause="The batch-norm statistics are not computed again before an evaluation, and the "
        "running ones have a momentum of 0.001: they are nearly the initial ones, 0 and 1.",
    ),
    "dead if zero anywhere": Slip(
        patched(activations_module, "_describe", _zero_anywhere),
        "\\bdead\\b|constant|units|activation|verdict|monitor",
        cause="The monitor counts a unit as dead if it is 0 at any place of any position, and not "
        "if it is constant over the batch: sound networks get the verdict dead.",
    ),
}
