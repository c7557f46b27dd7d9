"""Slips of stated classes in reports and beyond the first games; see `slips_of_classes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.data.positions import PositionSet
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.losses import LossMonitor, MeanLosses
from tests.doctor.slips import Inject, Patch, Slip, in_labels

_POLICY: dict[str, Any] = {"policy_head": {"weight": 1.0}}


def _games_cast(change: Callable[[Any, Any], Any]) -> Inject:
    """Positions are drawn from other games."""

    def inject(patch: Patch) -> None:
        sound = PositionSet.draw

        def draw(self: Any, *arguments: Any) -> Any:
            return change(*sound(self, *arguments))

        patch.setattr(PositionSet, "draw", draw)

    return inject


def _taken(change: Callable[[Any, MeanLosses], MeanLosses]) -> Inject:
    def inject(patch: Patch) -> None:
        sound = LossMonitor.take

        def take(self: Any) -> Any:
            steps = self._steps
            return [change(steps, each) for each in sound(self)]

        patch.setattr(LossMonitor, "take", take)

    return inject


def never_reset(patch: Patch) -> None:
    def take(self: Any) -> Any:
        means = (self._sums / max(self._steps, 1)).tolist()
        policy, *auxiliary = means[len(self._heads) :]
        by_name = dict(zip(self._auxiliary, auxiliary, strict=True))
        return [MeanLosses(value, policy, by_name) for value in means[: len(self._heads)]]

    patch.setattr(LossMonitor, "take", take)


def _last_only(patch: Patch) -> None:
    def add(self: Any, losses: Any) -> None:
        self._sums = (self._steps + 1) * torch.stack([each.detach() for each in losses]).double()

    patch.setattr(LossMonitor, "add", add)


def _evaluated_until(count: int) -> Inject:
    def change(evaluation: Evaluation) -> Evaluation:
        columns = {each.name: getattr(evaluation, each.name) for each in fields(evaluation)}
        return Evaluation(**{n: c[:count] for n, c in columns.items() if isinstance(c, np.ndarray)})

    return _in_evaluation(change)


def _results_wrap(count: int) -> Inject:
    def change(evaluation: Evaluation) -> Evaluation:
        index = np.arange(len(evaluation.ply)) % count
        return replace(evaluation, red_won=evaluation.red_won[index])

    return _in_evaluation(change)


def _in_evaluation(change: Callable[[Evaluation], Evaluation]) -> Inject:
    def inject(patch: Patch) -> None:
        sound = Evaluator.evaluate

        def evaluate(self: Any, *arguments: Any) -> Any:
            evaluations, policy_loss = sound(self, *arguments)
            return tuple(change(each) for each in evaluations), policy_loss

        patch.setattr(Evaluator, "evaluate", evaluate)

    return inject


def _wrong_winner_beyond(batch: Batch) -> Tensor:
    return torch.where(batch.game >= 400, 1 - batch.outcome, batch.outcome)


SLIPS: dict[str, Slip] = {
    "h: training loss includes the policy": Slip(
        _taken(lambda steps, m: MeanLosses(m.value + m.policy, m.policy, m.auxiliary)),
        "training loss",
        _POLICY,
        cause="The reported training value loss includes the policy loss.",
    ),
    "h: training loss of the last batch": Slip(
        _last_only, "training loss", _POLICY, cause="Only the last batch's loss is reported."
    ),
    "h: training loss since the beginning": Slip(
        never_reset, "training loss", _POLICY, cause="Sums are never reset after a report."
    ),
    "h: training loss in bits": Slip(
        _taken(lambda steps, m: MeanLosses(m.value / 0.6931, m.policy / 0.6931, m.auxiliary)),
        "training loss",
        _POLICY,
        cause="Reported training losses are in bits, and validation losses in nats.",
    ),
    "i: number of the game in a byte": Slip(
        _games_cast(lambda games, plies: (games % 256, np.minimum(plies, 8))),
        "256|byte|overflow|modulo",
        cause="The number of the game is kept in one byte, so only the first 256 games are used.",
    ),
    "i: only the first games are drawn": Slip(
        _games_cast(lambda games, plies: (games // 4, np.minimum(plies, 8))),
        "first|number of the game|part of the games|never drawn",
        cause="Positions come from the first quarter of the games only.",
    ),
    "i: evaluation of the first batch": Slip(
        _evaluated_until(512),
        "leaves positions out|first.*(512|51\\d)",
        cause="The evaluation holds the first 512 positions only.",
    ),
    "i: results of an evaluation in a small buffer": Slip(
        _results_wrap(600),
        "number of the position.*(600|59\\d)",
        cause="Results are kept in a ring of 600 entries, which overwrites the first ones.",
    ),
    "i: winners wrong beyond game 400": Slip(
        in_labels(_wrong_winner_beyond),
        "number of the game.*(400|39\\d)|game.*(400|39\\d)",
        cause="From game 400 on labels are inverted.",
    ),
}
