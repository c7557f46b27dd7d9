"""Slips listed again in evaluations, in the figures of reports, and in what a state restores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batch import Batch
from hexsearch.statistics import slices as slices_module
from hexsearch.statistics.slices import FIGURES, Answers, _Slices
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.monitors.losses import LossMonitor
from hexsearch.training.trial import Trial
from tests.doctor.slips import Inject, Slip, in_reported, patched

_BINS = 15


def _on_validation_positions(sound: Any) -> Any:
    def reports(self: Trial) -> Any:
        stream = replace(self.stream, positions=self.dataset.validation)
        other = replace(self.evaluator, stream=stream)
        object.__setattr__(self.evaluator, "calibrate", other.calibrate)
        return sound(self)

    return reports


def _running_on(_: Any) -> Any:
    """Statistics go on from those of training, with the momentum of training."""

    def calibrate(
        network: nn.Module, batches: Iterable[Batch], forward: Callable[[Batch], object]
    ) -> None:
        network.eval()
        for module in network.modules():
            module.train(isinstance(module, _BatchNorm))
        with torch.no_grad():
            for batch in batches:
                forward(batch)
        network.eval()

    return calibrate


def _of_independent_positions(sound: Any) -> Any:
    def clustered(
        self: _Slices, weights: Tensor, mean: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor]:
        games, _ = sound(self, weights, mean, count)
        gaps = weights * (self.answers.errors - mean[:, None])
        spread = games / (games - 1) * gaps.square().sum(1)
        return games, torch.where(games < 2, torch.nan, spread.sqrt() / count)

    return clustered


def _means_by_game(sound: Any) -> Any:
    def losses_by_game(answers: Answers, kinds: Tensor, number: int) -> tuple[Tensor, Tensor]:
        sums, counts = sound(answers, kinds, number)
        return sums / counts.clamp(min=1), counts

    return losses_by_game


def _figure(name: str, change: Callable[[_Slices, Tensor, Tensor, Tensor], Tensor]) -> Inject:
    """Another figure of each slice; `change` gets the slices, positions, sums and the figure."""
    place = FIGURES.index(name)

    def make(sound: Any) -> Any:
        def figures(self: _Slices, inside: Tensor, sums: Tensor) -> Tensor:
            found: Tensor = sound(self, inside, sums).clone()
            found[:, place] = change(self, inside, sums, found[:, place])
            return found

        return figures

    return patched(_Slices, "figures", make)


def _plain_mean(slices: _Slices, inside: Tensor, sums: Tensor, _: Tensor) -> Tensor:
    bins = (slices.answers.p * _BINS).clamp(0, _BINS - 1).floor()
    each = (bins[:, None] == torch.arange(_BINS, device=bins.device)).double()
    counts = inside.double() @ each
    return (sums[:, -_BINS:].abs() / counts.clamp(min=1)).mean(1)


def _covariance(_: Any) -> Any:
    def correlation(
        count: Tensor, p: Tensor, won: Tensor, p2: Tensor, won2: Tensor, both: Tensor
    ) -> Tensor:
        return (both - p * won / count) / count

    return correlation


def steps_only(_: Any) -> Any:
    def load_state(self: LossMonitor, state: dict[str, Any]) -> None:
        self._steps = state["steps"]

    return load_state


SLIPS: dict[str, Slip] = {
    "answers rounded to half precision": Slip(
        in_reported(lambda answers, _: answers.half().float()),
        r"answers are rounded to half precision \(float16\) before the figures",
        cause="Answers are rounded to half precision before the metrics.",
    ),
    "standard error of independent positions": Slip(
        patched(_Slices, "_clustered", _of_independent_positions),
        r"standard error of positions as if they were independent \(not clustered by game\)",
        cause="The standard error treats positions as independent and is not clustered by game.",
    ),
    "losses by game are means": Slip(
        patched(slices_module, "losses_by_game", _means_by_game),
        r"losses of single games \(game_losses\).*: their means, and not sums",
        cause="The game losses of a report are means over a game's positions and not sums.",
    ),
    "calibration error without weights": Slip(
        _figure("calibration_error", _plain_mean),
        "calibration error that is reported is the mean over all bins, empty ones too",
        cause="The calibration error is the plain mean over all bins, empty ones too, and not "
        "weighted.",
    ),
    "calibration slope inverted": Slip(
        _figure("calibration_slope", lambda _, __, ___, slope: 1.0 / slope),
        "is the inverse of the calibration slope",
        cause="The calibration slope is 1 divided by the right one.",
    ),
    "correlation is the covariance": Slip(
        patched(slices_module, "_correlation", _covariance),
        "correlation that is reported is the covariance",
        cause="The metric correlation is the covariance, not divided by the standard deviations.",
    ),
    "sums of the losses not restored": Slip(
        patched(LossMonitor, "load_state", steps_only),
        "with other sums of the training losses, .*they are not restored",
        cause="The sums of the training losses are not restored but their steps are, so the next "
        "report of a resumed trial has too small losses.",
    ),
}
SLOW: dict[str, Slip] = {
    "norms calibrated on validation positions": Slip(
        patched(Trial, "reports", _on_validation_positions),
        r"not computed over training positions .*\(they are those of validation positions\)",
        cause="A report calibrates the batch norms on validation positions and not on training "
        "positions.",
    ),
    "calibration keeps the running averages": Slip(
        patched(evaluation_module, "calibrate_norms", _running_on),
        r"averages of training are not begun anew before evaluation: .*\(reset_running_stats\(\)",
        cause="Calibration neither resets the running averages nor takes plain means, so old "
        "statistics stay.",
    ),
}
