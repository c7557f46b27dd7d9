"""Slips listed a third time in losses: smoothing, weights of stages, of heads, of micro-batches."""

from __future__ import annotations

from hexsearch.data import weights as weights_module
from hexsearch.data.batches import TrainingStream
from hexsearch.model.readout import SmoothedReadout
from hexsearch.training.step import Stepper
from tests.doctor.slips import Slip
from tests.doctor.source_edits import edited

SLIPS: dict[str, Slip] = {
    "stage weights scaled for the first phase": Slip(
        edited(TrainingStream, "_weights", {"phase_at(cursor)": "phase_at(0)"}),
        r"all weights of positions of phase 2 are 0\.\d+ times .*scaled by the mean of the first",
        {
            "curriculum": {
                "name": "progressive",
                "phases": [{"name": "last_k", "k": 4, "until": 160}, {"name": "all"}],
                "stage_weights": {"early": 0.2, "late": 2.0},
            }
        },
        cause="The stage weights are always those that were scaled for the first phase of the "
        "curriculum, so their mean is not 1 in later phases.",
    ),
    "weights scaled by the number of stages": Slip(
        edited(
            weights_module,
            "stage_weights",
            {"mean = float(shares @ relative)": "mean = float(relative.mean())"},
        ),
        r"all weights of positions are 0\.\d+ times .*their plain mean over the stages",
        {"curriculum": {"stage_weights": {"early": 4.0, "late": 0.5}}},
        cause="Stage weights are divided by their plain mean over the stages instead of that over "
        "the samples, so the mean weight is not 1.",
    ),
    "smoothing without the half": Slip(
        edited(SmoothedReadout, "loss", {"+ 0.5 * self.smoothing": "+ self.smoothing"}),
        r"label smoothing moves targets towards 1 and not towards 0\.5: .*s is added where s / 2",
        {"readout": {"name": "bce", "label_smoothing": 0.1}},
        cause="Label smoothing moves targets towards 1 instead of 0.5.",
    ),
    "means of micro-batches are added": Slip(
        edited(
            Stepper,
            "_backward",
            {"(each * part.weight).sum() / whole": "(each * part.weight).mean()"},
        ),
        "value loss enters with 4 times its weight: the means of the 4 micro-batches are summed",
        {"micro_batch": 16},
        cause="The value loss of a micro-batch is its mean instead of its share of the batch's "
        "mean, so that it counts as many times as there are micro-batches (4).",
    ),
    "policy with the weight of the value": Slip(
        edited(
            Stepper,
            "_backward",
            {"config.policy_head.weight * policy": "config.value_weight * policy"},
        ),
        r"policy loss is multiplied by trial\.value_weight \(1\) and not by policy_head\.weight",
        cause="The policy loss is multiplied by value_weight instead of policy_head.weight.",
    ),
    "auxiliary losses at full weight": Slip(
        edited(
            Stepper,
            "_backward",
            {"[weight * auxiliary[name] for": "[auxiliary[name] for"},
        ),
        r"auxiliary losses are not multiplied by their weights: moves_left 1 \(configured 0\.2\), "
        r"ownership 1 \(configured 0\.1\)",
        {"auxiliary": {"ownership": 0.1, "moves_left": 0.2}},
        cause="The auxiliary losses are not multiplied by their weights.",
    ),
}
