"""Slips listed a third time in steps: precision, the average, Muon and the schedule."""

from __future__ import annotations

from hexsearch.training.execution import Execution
from hexsearch.training.optimisation import schedule as schedule_module
from hexsearch.training.optimisation.muon import _Matrix
from hexsearch.training.step import Stepper
from tests.doctor.slips import Slip
from tests.doctor.source_edits import edited

SLIPS: dict[str, Slip] = {
    "bfloat16 never enabled": Slip(
        edited(
            Execution,
            "autocast",
            {"enabled=dtype is not torch.float32": "enabled=dtype is torch.float16"},
        ),
        r"configured precision \(bfloat16\) has no effect: autocast is not enabled",
        {"precision": "bfloat16"},
        cause="precision: bfloat16 is ignored: autocast is enabled for float16 alone.",
    ),
    "Muon's gradients in another order": Slip(
        edited(_Matrix, "take_gradient", {"self._flat(gradient)": "gradient.flatten(1)"}),
        "Muon's steps do not go along the gradients of their own weights: .*order of its columns",
        {"optimiser": {"name": "muon", "learning_rate": 4e-3}},
        cause="Muon gets the gradient of a kernel with its columns in another order than the "
        "weights' (channels-last), so its steps go to the wrong entries.",
    ),
    "warm-up falls": Slip(
        edited(
            schedule_module,
            "learning_rate",
            {"(peak * _ONE_CYCLE_START, peak, rising)": "(peak, peak * _ONE_CYCLE_START, rising)"},
        ),
        "warm-up is upside down: the learning rate falls from its peak to its start",
        cause="In the warm-up of one_cycle the rate falls from its peak instead of rising to it: "
        "exchanged arguments.",
    ),
    "annealing as long as the warm-up": Slip(
        edited(schedule_module, "learning_rate", {"/ (1.0 - config.warmup)": "/ config.warmup"}),
        "after the warm-up the learning rate falls within as short a time as the warm-up took",
        {"optimiser": {"schedule": "cosine", "warmup": 0.02}},
        cause="The rate falls within the length of the warm-up instead of the rest of the training,"
        " and is 0 from a fifth of the budget on.",
    ),
}
SLOW: dict[str, Slip] = {
    "half-life capped by steps": Slip(
        edited(Stepper, "step", {"positions_seen + len(batch))": "self._steps + 1)"}),
        "the limit of its half-life is a tenth of the steps and not of the positions seen",
        {"optimiser": {"ema_half_life": 2000}},
        cause="The half-life of the averaged weights is capped by a tenth of the steps instead of "
        "the positions seen, so the average is nothing but the last weights.",
    ),
}
