"""Slips in the evaluation, the reports and the monitors, of a blind set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.training import metrics as metrics_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import SLICES
from hexsearch.training.monitors.losses import LossMonitor
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_reported, patched

_FIRST = 128  # positions that are evaluated


def _in_training_mode(sound: Any) -> Any:
    def evaluate(self: Any, network: Any, *arguments: Any) -> Any:
        network.eval = network.train
        try:
            return sound(self, network, *arguments)
        finally:
            del network.eval

    return evaluate


def _only_the_first(sound: Any) -> Any:
    def batches(self: Any, positions: Any) -> Iterator[Batch]:
        left = _FIRST
        for batch in sound(self, positions):
            yield batch.piece(0, left)
            left -= min(left, len(batch))
            if not left:
                return

    return batches


def _twice(answers: Tensor, batch: Batch) -> Tensor:
    return torch.where(batch.final & batch.complement, 1.0 - answers, answers)


def _one_late(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        made = sound(self)
        before = getattr(self, "_metrics_before", None) or [report.metrics for report in made]
        self._metrics_before = [report.metrics for report in made]
        return tuple(
            replace(report, metrics=metrics) for report, metrics in zip(made, before, strict=True)
        )

    return reports


def _of_last_step(sound: Any) -> Any:
    def add(self: Any, losses: Any) -> None:
        if self._steps:  # the first micro-batch of another step
            self._sums.zero_()
            self._steps = 0
        sound(self, losses)

    return add


def _each_micro_batch(patch: Patch) -> None:
    add = LossMonitor.add

    def counting(self: Any, losses: Any) -> None:
        add(self, losses)
        self._steps += 1

    patch.setattr(LossMonitor, "add", counting)
    patch.setattr(LossMonitor, "end_step", lambda self: None)


def _at_the_end(sound: Any) -> Any:
    def slice_masks(columns: Any) -> Tensor:
        masks: Tensor = sound(columns).clone()
        masks[SLICES["stages"].index("penultimate")] = columns["to_end"] == 0
        return masks

    return slice_masks


SLIPS: dict[str, Slip] = {
    "evaluation in training mode": Slip(
        patched(Evaluator, "evaluate", _in_training_mode),
        "train(ing)? mode|eval(uation)? mode|eval\\(|batch.?(norm|statistic)|dropout|running|"
        "statistics|other positions|depend",
        {"value_head": {"family": "mlp", "widths": [64], "dropout": 0.1}},
        cause="The network is in training mode while it is evaluated: batch norms take the "
        "statistics of the evaluated batch and not the calibrated ones, and dropout is active.",
    ),
    "only the first validation positions": Slip(
        patched(Evaluator, "_batches", _only_the_first),
        "first|positions|validation|number|part of|left out|missing|few|games|all",
        cause="The evaluation reads only the first 128 validation positions, which are those of a "
        "few games: the other validation games are in no report.",
    ),
    "complement twice on finished positions": Slip(
        in_reported(_twice),
        "complement|final|finished|invert|win_prob_red|perspective|swap",
        cause="The complement is applied twice to the answers of finished positions: where the "
        "network answers for Blue, the reported probability of a finished position is that of Blue "
        "and not of Red.",
    ),
    "metrics one report late": Slip(
        patched(Trial, "reports", _one_late),
        "report before|previous|late\\b|stale|old|metrics|earlier|last report|not those",
        cause="Each report has the metrics of the report before: they are one report late, while "
        "its losses and health are those of now.",
    ),
    "training loss of the last step": Slip(
        patched(LossMonitor, "add", _of_last_step),
        "last step|train(ing)?.?(value|policy)?.?loss|mean|monitor|one step|average",
        cause="The training losses in a report are those of the last step and not the means since "
        "the last report: they are noisy and hide losses of earlier steps.",
    ),
    "micro-batches counted as steps": Slip(
        _each_micro_batch,
        "micro|train(ing)?.?(value|policy)?.?loss|steps|mean|monitor|divid|count",
        {"batch_size": 64, "micro_batch": 16},
        cause="The monitor of the training losses counts each micro-batch as a step: its sums are "
        "divided by four times too many steps, and reported training losses are four times too "
        "small.",
    ),
    "penultimate slice of final positions": Slip(
        patched(metrics_module, "slice_masks", _at_the_end),
        "penultimate|slice|final|to_end|one ply|stage",
        cause="The slice penultimate of a report holds the last positions of the games, with no "
        "ply left, and not those one ply before the end.",
    ),
}
