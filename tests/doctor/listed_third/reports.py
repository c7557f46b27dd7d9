"""Slips listed a third time in evaluations and in the figures of reports and monitors."""

from __future__ import annotations

from hexsearch.data import batches as batches_module
from hexsearch.data.dataset import Dataset
from hexsearch.training import report as report_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors import activations as activations_module
from hexsearch.training.monitors.gradients import GradientMonitor
from tests.doctor.slips import Slip
from tests.doctor.source_edits import edited

SLIPS: dict[str, Slip] = {
    "validation positions of the training games": Slip(
        edited(Dataset, "validation", {"self.validation_games": "self.train_games"}),
        "reports are made on the positions of training games, not of the validation games",
        cause="Reports are made on the positions of the training games instead of the validation "
        "games.",
    ),
}
SLOW: dict[str, Slip] = {
    "finished boards of an evaluation from the winner's side": Slip(
        edited(
            batches_module,
            "evaluation_batches",
            {
                "(builder.archive.hashes[games] & np.uint64(1)).astype(bool)": "builder.archive"
                ".winners[games] == RED"
            },
        ),
        "in evaluation finished boards are always encoded from the winner's side",
        cause="In an evaluation finished positions are encoded from the winner's side, instead of "
        "from one that is independent of the winner: the side tells the label.",
    ),
    "reported auxiliary losses divided twice": Slip(
        edited(
            Evaluator,
            "auxiliary_losses",
            {"sums[name].append(loss * count)": "sums[name].append(loss)"},
        ),
        "auxiliary loss of head ownership is divided by the number of entries once more",
        {"auxiliary": {"ownership": 0.5}},
        cause="The mean auxiliary loss of a batch is divided by the number of entries again: the "
        "reported losses are far too small.",
    ),
    "clip rate of what was not clipped": Slip(
        edited(
            GradientMonitor,
            "before_step",
            {"joint_norm.detach() > self._clip": "joint_norm.detach() < self._clip"},
        ),
        "share of steps that were not clipped as the clip rate",
        cause="The reported clip rate is the share of steps that were not clipped.",
    ),
    "dead units counted over positions": Slip(
        edited(
            activations_module,
            "_describe",
            {"values.transpose(0, 1).flatten(1).T": "values.flatten(1).T"},
        ),
        r"monitor of activations reports another number as spread \(over another axis",
        cause="Dead units and spread of maps are computed for each position over its channels and "
        "cells instead of for each channel over the batch.",
    ),
    "progress upside down": Slip(
        edited(
            report_module,
            "make_report",
            {
                "point.positions_seen / point.max_positions": "point.max_positions / "
                "point.positions_seen"
            },
        ),
        r"share of the budget that verdicts are judged by is another one \(upside down\)",
        cause="The progress that a verdict is based on is max_positions / positions_seen, so "
        "answers are judged from the first report on.",
    ),
}
