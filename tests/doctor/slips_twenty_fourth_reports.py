"""Slips in the evaluation, the monitors, the average and the states, of the twenty-fourth set.

See `slips_twenty_fourth_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import metrics as metrics_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors.gradients import GradientMonitor
from hexsearch.training.monitors.losses import LossMonitor
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import AVERAGED, all_of
from tests.doctor.listed_again.reports import steps_only
from tests.doctor.slips import ABSOLUTE, Inject, Slip, in_reported, patched
from tests.doctor.slips_of_classes_reports import never_reset
from tests.doctor.slips_twenty_second_reports import average_not_restored

_EVALUATED = 128  # positions in a batch of an evaluation


def with_another_view(
    view: Callable[[Batch], Batch], policy: Callable[[Tensor, Tensor], Tensor]
) -> Inject:
    """Raw values of an evaluation are means over a position and another view of it.

    Args:
        policy: logits from those of the position and those of the other view.
    """

    def make(sound: Any) -> Any:
        def answer(self: Any, network: Any, batch: Batch) -> Any:
            raws, logits = sound(self, network, batch)
            if any(module.training for module in network.modules()):  # norms are calibrated
                return raws, logits
            there, other = sound(self, network, view(batch))
            return [(a + b) / 2 for a, b in zip(raws, there, strict=True)], policy(logits, other)

        return answer

    return patched(Evaluator, "_answer", make)


def _reflected(batch: Batch) -> Batch:
    planes = batch.planes.transpose(2, 3).clone()
    planes[:, :2] = planes[:, :2].flip(1)
    planes[:, 2] = 1.0 - planes[:, 2]
    return replace(batch, planes=planes)


def _without_policy(sound: Any) -> Any:
    def init(self: Any, network: Any, half_life: int) -> None:
        sound(self, network, half_life)
        averaged = [self.network.trunk, *self.network.heads]
        trained = [network.trunk, *network.heads]
        self._averages = [weight for part in averaged for weight in part.parameters()]
        self._weights = [weight for part in trained for weight in part.parameters()]

    return init


def _one_batch_late(sound: Any) -> Any:
    """Answers are fetched one batch later, so that they can be computed meanwhile."""

    def evaluate(self: Any, network: Any, asked: Any) -> Any:
        waiting: list[Any] = []
        answer = Evaluator._answer

        def late(one: Any, network: Any, batch: Batch) -> Any:
            raws, logits = answer(one, network, batch)
            waiting.append(raws)
            ready = waiting.pop(0) if len(waiting) > 1 else raws
            return [raw[: len(batch)] for raw in ready], logits

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evaluator, "_answer", late)
            return sound(self, network, asked)

    return evaluate


def _last_tensor(_: Any) -> Any:
    def after_step(self: Any) -> None:
        for name, part in self._parts.items():
            before = self._before[name]
            change = (part[-1].detach() - before[-1]).norm()
            whole = torch.nn.utils.get_total_norm(before).clamp(min=1e-30)
            self._record(f"update_ratio.{name}", change / whole)
        self._before = {}

    return after_step


def _log_loss_as_brier(sound: Any) -> Any:
    def slice_of(row: Any) -> Any:
        figures = sound(row)
        return replace(figures, value_loss=figures.log_loss)

    return slice_of


SLIPS: dict[str, Slip] = {
    "mean over symmetries without exchange": Slip(
        with_another_view(_reflected, lambda own, _: own),
        "symmetr|reflect|mean of|averag|not exchanged|complement|turned back",
        ABSOLUTE,
        cause="An evaluation averages the raw value of a position and of its reflection, but does "
        "not complement the value of the reflected board, whose colours are exchanged, so both "
        "nearly cancel.",
    ),
    "average without the policy head": Slip(
        patched(AveragedNetwork, "__init__", _without_policy),
        r"average|policy head.*(never|not|initial)|\bema\b|initial weights",
        AVERAGED,
        cause="The averaged network has trunk and value head averaged, but its policy head is "
        "left out, so the evaluated policy head stays at its initial weights.",
    ),
    "answers of the batch before": Slip(
        all_of(
            patched(evaluation_module, "_BATCH", lambda sound: dict.fromkeys(sound, _EVALUATED)),
            patched(Evaluator, "evaluate", _one_batch_late),
        ),
        r"batch before|previous|other position|\border|\blate\b|\brows?\b|stale|something else",
        cause="An evaluation goes in batches of 128, and from the second batch on each gets the "
        "value answers of the batch before it.",
    ),
    "training losses not reset": Slip(
        never_reset,
        "reset|since the (start|begin)|last report|training loss|running mean|loss monitor",
        cause="The loss monitor is not reset at a report: training losses are means since the "
        "start of training, not since the last report.",
    ),
    "average not restored, again": Slip(
        patched(Stepper, "load_state", average_not_restored),
        r"average|\bema\b|resum|restor|continu|checkpoint",
        AVERAGED,
        cause="When a trial is resumed, the averaged weights are not restored; the average begins "
        "again at the initial weights.",
    ),
    "update ratio of the last tensor": Slip(
        patched(GradientMonitor, "after_step", _last_tensor),
        "update.?ratio|relative (change|step)|monitor",
        cause="The monitor's update ratio divides the change of the last tensor of a part by the "
        "norm of all of its weights, so it is far too small.",
    ),
    "answers clamped": Slip(
        in_reported(lambda answers, _: answers.clamp(0.1, 0.9)),
        "clamp|clipped|bound|range|narrow|something else",
        cause="Answers of an evaluation are clamped to [0.1, 0.9] before metrics are computed.",
    ),
    "loss sums not restored": Slip(
        patched(LossMonitor, "load_state", steps_only),
        "loss sum|sums|resum|restor|continu|checkpoint|training loss",
        cause="A resumed loss monitor has its number of steps, but not its sums, so the training "
        "losses of the next report are too small.",
    ),
    "log loss as Brier score": Slip(
        patched(metrics_module, "_slice_of", _log_loss_as_brier),
        "log.?loss|brier|squared|value_loss|another (loss|metric|formula)",
        cause="`value_loss` of the metrics is the log loss instead of the Brier score.",
    ),
}
