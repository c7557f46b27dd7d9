"""Slips in evaluation, reports and monitors, of the twenty-seventh set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import all_positions
from hexsearch.statistics import slices as slices_module
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.gradients import GradientMonitor
from hexsearch.training.monitors.losses import LossMonitor
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_reported, patched

_PAST = 0.7  # share of earlier reports in the smoothed loss
_CHUNK = 128  # positions whose mean error is averaged
_CONFIDENT, _CONFIDENT_RIGHT = 6, 7  # columns of the sums


def _not_turned(answers: Tensor, batch: Batch) -> Tensor:
    return torch.where(batch.complement, 1.0 - answers, answers)


def _trained_games(patch: Patch) -> None:
    def validation(self: Any) -> Any:
        return all_positions(self.archive, self.train_games)

    patch.setattr(Dataset, "validation", property(validation))


def _smoothed_over_reports(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        past = self.__dict__.setdefault("_smoothed_losses", {})
        made = []
        for number, report in enumerate(sound(self)):
            loss = report.value_loss
            loss = past[number] = _PAST * past.get(number, loss) + (1 - _PAST) * loss
            overall = replace(report.metrics.overall, value_loss=loss)
            made.append(replace(report, metrics=replace(report.metrics, overall=overall)))
        return tuple(made)

    return reports


def _mean_of_means(sound: Any) -> Any:
    def metrics(self: Any) -> Any:
        found = sound(self)
        errors = (np.asarray(self.win_prob_red) - np.asarray(self.red_won)) ** 2
        if not len(errors):
            return found
        parts = [errors[at : at + _CHUNK].mean() for at in range(0, len(errors), _CHUNK)]
        return replace(found, overall=replace(found.overall, value_loss=float(np.mean(parts))))

    return metrics


def _confident_if_high(sound: Any) -> Any:
    def columns(self: Any, rows: slice) -> Tensor:
        table: Tensor = sound(self, rows).clone()
        p, won = self.answers.p[rows], self.answers.won[rows]
        high = (p > 0.7).double()
        table[:, _CONFIDENT] = high
        table[:, _CONFIDENT_RIGHT] = high * won
        return table

    return columns


def _last_batch_alone(patch: Patch) -> None:
    add = LossMonitor.add

    def added(self: Any, losses: Any) -> None:
        if self.__dict__.pop("_has_ended", False):
            self._sums.zero_()
        add(self, losses)

    def ended(self: Any) -> None:
        self._steps, self._has_ended = 1, True

    patch.setattr(LossMonitor, "add", added)
    patch.setattr(LossMonitor, "end_step", ended)


def _counts_below(sound: Any) -> Any:
    def before_step(self: Any, joint_norm: Tensor) -> None:
        counted = self._clipped
        sound(self, joint_norm)
        below = (joint_norm.detach() <= self._clip).float()
        self._clipped = below if counted is None else counted + below

    return before_step


SLIPS: dict[str, Slip] = {
    "answers of the side to move reported as Red's": Slip(
        in_reported(_not_turned),
        "complement|perspective|red.?s? (probab|win)|win_prob_red|side to move|mover|blue|not "
        "turned|other side|wrong side|colour",
        cause="Evaluation reports the network's probability, which is that of the side to move, as "
        "win_prob_red; where Blue's win is answered it is not turned into 1 minus it.",
    ),
    "evaluated on training games": Slip(
        _trained_games,
        "training (games|positions|set)|split|validation (games|positions|set)|held.?out|leak|"
        "overlap|evaluated on",
        cause="The validation positions are built from the training games, so reports are made on "
        "positions that the network was trained on.",
    ),
    "validation loss smoothed": Slip(
        patched(Trial, "reports", _smoothed_over_reports),
        "smooth|earlier reports?|last reports?|moving average|running mean|reports? before|"
        "(reported )?value loss.*(answers|differs|not (that|the)|agree|again|computed)|brier",
        cause="The value loss in a report is a moving average over the trial's reports (0.7 of the "
        "past), and not the Brier score of the answers of this report.",
    ),
    "mean of the means of batches": Slip(
        patched(Evaluation, "metrics", _mean_of_means),
        "mean of (the )?(batch )?means|batch(es)?\\b|last (short )?(batch|part|positions)|value "
        "loss.*(answers|differs|not (that|the)|agree|again|computed|slice|mean)|brier|unequal",
        cause="The overall value loss is the mean of the means of batches of 128 positions: the "
        "positions of the last, shorter batch count more than the others.",
    ),
    "confident only above 0.7": Slip(
        patched(slices_module._Slices, "_columns", _confident_if_high),
        "confident|0\\.7|0\\.3",
        cause="Only answers above 0.7 count as confident, and not those below 0.3: the confident "
        "share and accuracy leave out all sure answers for Blue.",
    ),
    "training loss of the last batch": Slip(
        _last_batch_alone,
        "last (training )?batch|last step|train(ing)?_?.?(value_?.?)?loss|mean (over|of) (all )?("
        "steps|batches)|since the last report",
        cause="The training losses in a report are those of the last batch and not means over all "
        "steps since the last report; a loss that was not finite before is not noticed.",
    ),
    "clip rate of the others": Slip(
        patched(GradientMonitor, "before_step", _counts_below),
        "clip",
        cause="The clip rate counts the sampled steps whose gradient norm is below the limit, in "
        "place of those above it.",
    ),
}
