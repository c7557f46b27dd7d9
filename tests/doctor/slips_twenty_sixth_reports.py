"""Slips in the evaluation and the checkpoints, of the twenty-sixth set.

See `slips_twenty_sixth_data` for how the set was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexsearch.model.trunk import Trunk
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import all_of
from tests.doctor.slips import Slip, patched
from tests.doctor.slips_twenty_second_reports import average_not_restored


def _noise_that_never_rests(sound: Any) -> Any:
    def forward(self: Any, planes: Tensor) -> Tensor:
        kept = torch.rand(len(planes), 1, *planes.shape[2:], device=planes.device) > 0.1
        features: Tensor = sound(self, planes * kept)
        return features

    return forward


def _without_average(sound: Any) -> Any:
    def state(self: Any) -> dict[str, Any]:
        return {name: part for name, part in sound(self).items() if name != "average"}

    return state


def _without_complement(_: Any) -> Any:
    return lambda readout, raw, complement: readout.win_prob(raw.float())


SLIPS: dict[str, Slip] = {
    "noise on planes in evaluation": Slip(
        patched(Trunk, "forward", _noise_that_never_rests),
        "nois|random|cut-?out|dropout|drops|eras|never rests|eval mode|train mode|determinis|"
        "differ\\w* (each|every|from) (time|call)",
        cause="The trunk blanks a tenth of the cells of its planes at random (an augmentation of "
        "training), also in eval mode: answers are random there.",
    ),
    "average not in the checkpoint": Slip(
        all_of(
            patched(Stepper, "state", _without_average),
            patched(Stepper, "load_state", average_not_restored),
        ),
        "averag|\\bema\\b|resum|checkpoint|restor",
        {"optimiser": {"ema_half_life": 200}},
        cause="The averaged weights are neither stored in a checkpoint nor restored from it: after "
        "resuming, the average begins again with the initial weights, and readers of the "
        "checkpoint find the last weights in place of the average.",
    ),
    "answers without complement": Slip(
        patched(evaluation_module, "win_prob_red", _without_complement),
        "complement|perspective|side to move|mover|\\bred\\b|1 minus|flip|invert|something else",
        cause="The evaluation reports the network's own probability (of the side to move) as that "
        "of Red: the complement for positions with Blue to move is missing.",
    ),
}
