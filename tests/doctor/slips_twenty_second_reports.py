"""Slips in the evaluation, the reports and the state of a training, of the twenty-second set.

See `slips_twenty_second_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.statistics.slices import FIGURES, _Slices
from hexsearch.training import metrics as metrics_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import AVERAGED
from tests.doctor.slips import Inject, Slip, patched


def _penultimate_is_final(sound: Any) -> Any:
    row = metrics_module.SLICES["stages"].index("penultimate")

    def masks(columns: Any) -> Tensor:
        found: Tensor = sound(columns)
        found[row] = columns["to_end"] == 0
        return found

    return masks


def _in_figures(change: Callable[[Tensor], None]) -> Inject:
    """Other figures [S, 14] of the slices."""

    def make(sound: Any) -> Any:
        def figures(self: Any, inside: Tensor, sums: Tensor) -> Tensor:
            found: Tensor = sound(self, inside, sums).clone()
            change(found)
            return found

        return figures

    return patched(_Slices, "figures", make)


def _by_all_positions(figures: Tensor) -> None:
    share = figures[:, FIGURES.index("confident_share")]
    accuracy = figures[:, FIGURES.index("confident_accuracy")]
    accuracy.copy_(torch.where(share > 0, accuracy * share, 0.0))


def _negative_bias(figures: Tensor) -> None:
    figures[:, FIGURES.index("bias")].neg_()


def _next_complement(sound: Any) -> Any:
    def reported(self: Any, raw: Tensor, batch: Batch, number: int = 0) -> Tensor:
        flags = batch.complement.roll(1)
        found: Tensor = sound(self, raw, replace(batch, complement=flags), number)
        return found

    return reported


def average_not_restored(sound: Any) -> Any:
    def load(self: Any, state: dict[str, Any]) -> None:
        average, self.average = self.average, None
        try:
            sound(self, state)
        finally:
            self.average = average

    return load


def _evaluated_on_training(sound: Any) -> Any:
    def evaluations(self: Any, positions: Any = None) -> Any:
        if positions is None:
            positions = self.dataset.training(self.config.curriculum)
        return sound(self, positions)

    return evaluations


def _wrong_prefix(sound: Any) -> Any:
    def load(self: Any, state: dict[str, Any]) -> None:
        body = self.body

        def load_weights(weights: Any) -> Any:
            named = {f"module.{name}": tensor for name, tensor in weights.items()}
            return nn.Module.load_state_dict(body, named, strict=False)

        body.__dict__["load_state_dict"] = load_weights
        try:
            sound(self, state)
        finally:
            del body.__dict__["load_state_dict"]

    return load


class _Calibrating:
    """An evaluator that calibrates in another way."""

    def __init__(self, evaluator: Evaluator, calibrate: Callable[[Any], None]) -> None:
        self.evaluator, self.calibrate = evaluator, calibrate

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["evaluator"], name)


def _reports_with(trial: Any, sound: Any, calibrate: Callable[[Any], None]) -> Any:
    evaluator = trial.evaluator
    trial.evaluator = _Calibrating(evaluator, calibrate)
    try:
        return sound(trial)
    finally:
        trial.evaluator = evaluator


def _calibrated_afterwards(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        found = _reports_with(self, sound, lambda network: None)
        self.evaluator.calibrate(self._answering)
        return found

    return reports


def _body_calibrated(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        evaluator, body = self.evaluator, self.body
        return _reports_with(self, sound, lambda network: evaluator.calibrate(body))

    return reports


SLIPS: dict[str, Slip] = {
    "penultimate slice is that of the final positions": Slip(
        patched(metrics_module, "slice_masks", _penultimate_is_final),
        r"penultimate|(one (ply|move)|1 ply|last) (before the end|but one)|to_end.{0,40}(slice|mas"
        r"k|stage|report)|(slice|mask|stage)s?\b.{0,60}(to_end|final positions|finished positions)",
        cause="The slice `penultimate` of the metrics holds the positions with 0 plies to the "
        "end, that is the final ones, and not those with 1 ply to the end.",
        report="own imagination",
    ),
    "confident accuracy divided by all positions": Slip(
        _in_figures(_by_all_positions),
        r"confident[ _-]?accurac|accurac\w*.{0,60}confident|confident answers.{0,120}(right|divid|"
        r"share|accura|all (positions|answers))",
        cause="The accuracy of confident answers is divided by the number of all positions and "
        "not by that of the confident answers.",
        report="own imagination",
    ),
    "complement of the neighbouring row": Slip(
        patched(Evaluator, "reported", _next_complement),
        r"complement\w*.{0,140}(row\b|neighbour|(next|previous|other|another) position|answer|eval"
        r"uat|report|probab)|(answer|evaluat|report|probab|win_prob)\w*.{0,140}complement|(answer|"
        r"probab|win_prob|evaluat|report|predict)\w*.{0,140}(invert|revers|exchang|swap|1 ?[-"
        r"\u2212] ?p|one minus|1 minus|perspective|wrong (side|colour|color|player|row|position)|("
        r"other|another|next|previous|neighbour\w*) (side|colour|color|player|row|position|board)|"
        r"not (of|for|that of) (red|its own)|roll|shifted|misalign|belong to other)|(perspective|s"
        r"ide to move|side\b.{0,20}to move).{0,120}(answer|report|evaluat|probab|win_prob)|(roll|s"
        r"hift|misalign|off by one|neighbour)\w*.{0,100}(answer|evaluat|report|probab|win_prob)",
        cause="In evaluation the flag that turns an answer into Red's probability is that of the "
        "neighbouring position, so nearly all answers are turned wrongly.",
        report="own imagination",
    ),
    "bias with the wrong sign": Slip(
        _in_figures(_negative_bias),
        r"(report|metric|figure|slice|overall|evaluation|stated|mean answer|statistic|sign)"
        r"\w*\b.{0,140}\bbias\b|\bbias\b.{0,140}(sign|negat|opposite|report|metric|mean answer|rec"
        r"omput|of the answers|share of red)|\bbias\b.{0,60}(multiplied by|times) [-\u2212]1\b",
        cause="The metric `bias` is the share of Red wins minus the mean answer, so it has the "
        "opposite sign.",
        report="own imagination",
    ),
    "average not restored": Slip(
        patched(Stepper, "load_state", average_not_restored),
        r"(averag\w*|\bema\b).{0,160}(restor|resum|load|checkpoint|continu|stored|saved|\bstate"
        r"\b)|(restor|resum|load|checkpoint|continu|stored|saved|\bstate\b)\w*.{0,160}(averag|"
        r"\bema\b)",
        AVERAGED,
        cause="load_state does not restore the averaged weights, so after resuming the average "
        "begins at the initial weights.",
        report="own imagination",
    ),
    "training positions are evaluated": Slip(
        patched(Trial, "evaluations", _evaluated_on_training),
        r"(evaluat|report|metric|(?<!not )validat|(?<!not )held.?out)\w*.{0,140}(train\w*[ -](game"
        r"s?|positions?|data|set|samples?|split)|trained on|seen in training|on training)\b|train"
        r"\w*[ -](game|position|data|sample|set|split)\w*.{0,140}(evaluat|report|(?<!not )validat|"
        r"(?<!not )held.?out)|(evaluat|report|metric|answer)\w*.{0,140}(not|other than|instead of|"
        r"outside)( of| on| in| those of)? (the )?(validation|held.?out)|(evaluat|report)\w*.{0,10"
        r"0}(other|wrong|more|not those) (games|positions)",
        cause="A report evaluates the positions of the training games and not those of the "
        "validation games.",
        report="own imagination",
    ),
    "report before the norms are calibrated": Slip(
        patched(Trial, "reports", _calibrated_afterwards),
        r"calibrat\w*.{0,140}(after|before|late|not|stale|order|old|skip|never|first|differ)|(befo"
        r"re|without|prior to|ahead of)\b.{0,60}calibrat|(stale|old|running|former|lagging|earlier"
        r"|training'?s?|uncalibrated|last)\b.{0,40}(statistics|batch.?norm|averages|norm)|(batch.?"
        r"norm|norms?|statistics|running (mean|average|variance)s?)\b.{0,140}(before|after|stale|l"
        r"ag|not comput|not calibrat|not those|old|differ|behind|do not (fit|match)|earlier|change"
        r"d|running)",
        cause="A report evaluates the network first and computes the batch-norm statistics again "
        "afterwards, so it shows answers with the lagging statistics of training.",
        report="own imagination",
    ),
    "no weight is loaded on resuming": Slip(
        patched(Trial, "load_state", _wrong_prefix),
        r"(restor|resum|load|checkpoint|continu)\w*.{0,160}((weights?|network|parameters?|tensors?"
        r"|layers?|state_dict)\b.{0,100}(not|never|initial|differ|other|unchang|stay|new|fresh|ran"
        r"dom|lost|ignored|miss)|(initial|fresh|new|random|other|untrained|different) (network|wei"
        r"ghts?|parameters?)|strict|prefix|no weight)|(weights?|network|parameters?|state_dict)"
        r"\b.{0,140}(not|never|initial|lost|ignored|differ|other|miss)\w*.{0,80}(restor|resum|load"
        r"|checkpoint|continu)|strict ?= ?false",
        cause="load_state loads no weight, since the names have a wrong prefix and strict is "
        "False, so a resumed trial goes on from the initial weights.",
        report="own imagination",
    ),
    "norms of the average not calibrated": Slip(
        patched(Trial, "reports", _body_calibrated),
        r"(averag\w*|\bema\b).{0,160}(norm|statistic|calibrat|running)|(norms?|statistics?|calibra"
        r"t\w*|running)\b.{0,160}(averag\w* (network|weight)|\bema\b|evaluated network|network tha"
        r"t (is evaluated|answers)|answering)|calibrat\w*.{0,140}(not|never|other|wrong|initial|sk"
        r"ip|training network|trained network|stale)|(batch.?norm|running|statistics)\b.{0,140}(in"
        r"itial|never|not (calibrat|comput|updat|those)|untouched|default|stale|do not (fit|match|"
        r"belong)|not of)",
        AVERAGED,
        cause="A report calibrates the batch norms of the trained network and not those of the "
        "averaged network, which is evaluated with its initial statistics.",
        report="own imagination",
    ),
}
