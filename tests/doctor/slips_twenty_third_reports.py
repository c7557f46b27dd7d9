"""Slips in the evaluation, the reports and the state of a training, of the twenty-third set.

See `slips_twenty_third_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.data.dataset import Dataset
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network
from hexsearch.statistics.slices import Answers, _Slices
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import all_of, in_evaluation
from tests.doctor.slips import Slip, patched


def _first_validation_games(_: Any) -> Any:
    return property(lambda dataset: dataset.games("validation")[:8])


def _targets_as_results(sound: Any) -> Any:
    def batches(self: Any, positions: Any) -> Iterator[Batch]:
        for batch in sound(self, positions):
            smoothing = self.stream._smoothing[batch.stage.long()]
            target = replace(batch, smoothing=smoothing).value_target
            yield replace(batch, red_won=torch.where(batch.complement, 1.0 - target, target))

    return batches


def _augmented(batch: Batch, builder: BatchBuilder) -> Batch:
    turn, swap = np.random.random((2, len(batch))) < 0.5
    return builder.build(batch.game.cpu().numpy(), batch.ply.cpu().numpy(), turn, swap)


def _answered_once(sound: Any) -> Any:
    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        kept = self.__dict__.setdefault("_answered", {})
        if id(positions) not in kept:
            kept[id(positions)] = positions, sound(self, network, positions)
        return kept[id(positions)][1]

    return evaluate


def _absolute_columns(sound: Any) -> Any:
    def columns(self: Any, rows: slice) -> Tensor:
        found: Tensor = sound(self, rows).clone()
        found[:, 2] = (self.answers.p[rows] - self.answers.won[rows]).abs()
        return found

    return columns


def _absolute_errors(_: Any) -> Any:
    return property(lambda answers: (answers.p - answers.won).abs())


def _frozen_when_resumed(sound: Any) -> Any:
    def load(self: Any, state: dict[str, Any]) -> None:
        sound(self, state)
        self.body.frozen = True  # as for a trunk from a checkpoint

    return load


def _parameters_only(sound: Any) -> Any:
    def state(self: Any) -> dict[str, Any]:
        content: dict[str, Any] = sound(self)
        parameters = dict(self.body.named_parameters())
        weights = {name: each for name, each in content["network"].items() if name in parameters}
        return {**content, "network": weights}

    return state


def _loaded_leniently(_: Any) -> Any:
    def load(self: Any, weights: Any, strict: bool = True, assign: bool = False) -> Any:
        return nn.Module.load_state_dict(self, weights, strict=False, assign=assign)

    return load


SLIPS: dict[str, Slip] = {
    "trunk in eval mode after resuming": Slip(
        patched(Trial, "load_state", _frozen_when_resumed),
        r"\beval(uation)?\b.{0,20}mode|frozen|freez|(mode|train\(\)|running stat|norm|batch stati"
        r"stic)\w*.{0,100}(resum|restor|load|checkpoint|continu)|(resum|restor|load|checkpoint|co"
        r"ntinu)\w*.{0,140}(mode|frozen|norm|statistic|other (step|weight|gradient|loss|train)|di"
        r"ffer|not (the same|equal|exact|continu|train)|diverg|unlike|otherwise|disagree)",
        cause="After a state is loaded the body is marked as frozen, so trunk and policy head "
        "train on in eval mode and their batch-norm statistics are never calibrated again.",
        report="own imagination",
    ),
    "absolute errors in place of squared ones": Slip(
        all_of(
            patched(_Slices, "_columns", _absolute_columns),
            patched(Answers, "errors", _absolute_errors),
        ),
        r"absolute|brier|square|\bmae\b|\bl1\b|(value.?loss|game.?loss|report|metric|error|figure"
        r")\w*.{0,120}(not (the|that|those|a|what|squar|equal|proper)|differ|disagree|other than|"
        r"unlike|wrong|recomput|does not (match|fit|follow|agree)|improper|root)",
        cause="The value loss of reports and of games is the mean absolute error and not the "
        "mean squared error.",
        report="own imagination",
    ),
    "smoothed targets judged as results": Slip(
        patched(Evaluator, "_batches", _targets_as_results),
        r"smooth|red_won|(result|label|outcome|target|winner)s?\b.{0,120}(evaluat|report|metric|v"
        r"alid|judg|not (0|1|the|those|binary|result|whole)|fraction|between|soft|neither|disagre"
        r"e|differ|wrong|other|moved)|(evaluat|report|metric|valid|judg)\w*.{0,120}(label|target|"
        r"result|outcome|smooth)",
        {"curriculum": {"stage_smoothing": {"early": 0.6, "middle": 0.4, "late": 0.2}}},
        cause="Evaluation judges the answers by targets smoothed by stage and not by the results "
        "of the games.",
        report="own imagination",
    ),
    "eight validation games": Slip(
        patched(Dataset, "validation_games", _first_validation_games),
        r"(few|only|less|eight|\b8\b|small|missing|part|subset|not all|share|drop|cut|trunc|left "
        r"out|slice|unused|first)\w*.{0,100}(validation|evaluat|held.?out|judg)|(validation|evalu"
        r"at|held.?out|judg)\w*.{0,120}(few|only|less|eight|\b8\b|small|missing|part of|subset|no"
        r"t all|drop|cut|trunc|left out|slice|unused|first|noisy|uncertain|standard error)",
        cause="Only the first eight validation games of the archive are evaluated, since a slice "
        "for debugging was left in.",
        report="own imagination",
    ),
    "answers of the first evaluation are kept": Slip(
        patched(Evaluator, "evaluate", _answered_once),
        r"stale|cach|(first|earlier|older|previous|former|past|old|same|before) (report|evaluat|a"
        r"nswer|network|weight|figure|metric)|(report|metric|figure|answer|evaluat|value loss|val"
        r"ue_loss|policy loss)\w*.{0,140}(not (the|that|those|of|what|from|chang|follow|mov)|neve"
        r"r|stale|uncha|do(es)? not (match|fit|change|follow|agree|belong|move|depend)|differ|dis"
        r"agree|constant|identical|same|equal|repeat|whatever|stand still)",
        cause="Evaluation returns the answers of its first call for the same positions, so every "
        "later report repeats the first one.",
        report="own imagination",
    ),
    "evaluation with augmentation": Slip(
        in_evaluation(_augmented),
        r"augment|symmetr|(random|half.?turn|turned|rotat|reflect)\w*.{0,80}(evaluat|report|valid"
        r"|answer|judg)|(evaluat|report|valid|answer|judg)\w*.{0,120}(random|turn|rotat|reflect|t"
        r"wice|again|repeat|reproduc|determin|vary|varies|two (call|run|time)|each (call|time)|no"
        r"ise|other (plane|board)|call to call)|(twice|two evaluations|repeated).{0,80}(differ|ot"
        r"her|not (equal|the same))",
        cause="Evaluation turns positions at random with an unseeded generator, so two "
        "evaluations of one network differ.",
        report="own imagination",
    ),
    "buffers are not saved": Slip(
        all_of(
            patched(Trial, "state", _parameters_only),
            patched(ManyHeads, "load_state_dict", _loaded_leniently),
            patched(Network, "load_state_dict", _loaded_leniently),
        ),
        r"buffer|running.{0,20}(stat|mean|var|average)|(batch.?)?norms?\b.{0,60}statistic|statist"
        r"ic.{0,60}norm|(checkpoint|state|restor|resum|load|sav|stor)\w*.{0,140}(lack|miss|withou"
        r"t|not (hold|sav|stor|restor|all|the same|equal|contain|complete|load)|incomplete|only p"
        r"aram|differ|other (answer|statistic)|strict|left out|omit|disagree)|(lack|miss|without|"
        r"omit|left out)\w*.{0,80}(checkpoint|state|restor|resum)",
        cause="A trial's state holds the parameters but no buffers, and is loaded without "
        "`strict`, so a restored network has initial batch-norm statistics and other answers.",
        report="own imagination",
    ),
}
