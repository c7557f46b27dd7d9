"""Slips in the monitors, the verdict and the reports, of the twenty-fifth set.

See `slips_twenty_fifth_data` for how the set was drawn.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import Tensor

from hexsearch.training.monitors import activations as activations_module
from hexsearch.training.monitors import verdict as verdict_module
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, patched
from tests.doctor.source_edits import edited

_PERCENT = {
    "_ANSWERS_COUNT_FROM": 20.0,
    "_LEARNT_FROM": 40.0,
    "_LARGEST_UPDATE": 10.0,
    "_LARGEST_HEAD_UPDATE": 50.0,
    "_DEAD": 90.0,
    "_SATURATED": 90.0,
}


def _thresholds_in_percent(patch: Patch) -> None:
    for name, percent in _PERCENT.items():
        patch.setattr(verdict_module, name, percent)


def _not_centred(_: Any) -> Any:
    def scatter(rows: Tensor) -> Tensor:
        return rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows

    return scatter


def _evaluated_copy_is_renewed_too_late(patch: Patch) -> None:
    prepare, reports = Trial._prepare, Trial.reports
    answering: Any = vars(Trial)["_answering"].fget

    def prepare_too(self: Any, *arguments: Any) -> None:
        prepare(self, *arguments)
        self._shown, self._reporting = deepcopy(answering(self)), False

    def reports_of(self: Any) -> Any:
        self._reporting = True
        try:
            return reports(self)
        finally:
            self._reporting = False
            self.evaluator.calibrate(answering(self))
            self._shown.load_state_dict(answering(self).state_dict())

    patch.setattr(Trial, "_prepare", prepare_too)
    patch.setattr(Trial, "reports", reports_of)
    shown = property(lambda self: self._shown if self._reporting else answering(self))
    patch.setattr(Trial, "_answering", shown)


SLIPS: dict[str, Slip] = {
    "verdict thresholds in percent": Slip(
        _thresholds_in_percent,
        "verdict|threshold|percent|monitor",
        {"optimiser": {"learning_rate": 0.1, "schedule": "constant", "warmup": 0.0}},
        cause="The thresholds of the verdict (update ratio, dead and saturated shares, progress) "
        "are written in percent (10, 50, 90, 20, 40), but what they are compared with are shares. "
        "So the verdict is healthy whatever happens, here at a rate at which each step changes the "
        "weights by far more than 10%.",
    ),
    "effective rank of features that are not centred": Slip(
        patched(activations_module, "scatter", _not_centred),
        "rank|centr|covarian|mean|spectrum",
        cause="The effective rank of the trunk's features in the reports is computed from products "
        "of the features without subtracting their mean, so the mean direction dominates and "
        "the reported rank is far too small.",
    ),
    "weighted training losses are reported": Slip(
        edited(
            Stepper,
            "_backward",
            {
                "[*means, policy, *auxiliary.values()]": "[*(config.value_weight * value for value "
                "in values), *roots]"
            },
        ),
        "report|train(ing)?[ _](value|policy|loss)|monitor|unweighted|weight",
        {"value_weight": 0.5, "policy_head": {"weight": 0.25}},
        cause="The training losses in the reports are multiplied by their weights (0.5 and 0.25) "
        "although they should be unweighted.",
    ),
    "report shows the values of the report before": Slip(
        _evaluated_copy_is_renewed_too_late,
        "report|stale|earlier|previous|before|initial|other weights|copy|another network|late",
        cause="Reports evaluate a copy of the network that is renewed after the evaluation and not "
        "before it. So each report shows the metrics of the weights at the report before, the "
        "first one those of the initial weights.",
    ),
}
