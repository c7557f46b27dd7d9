"""Slips of stated classes, by the author of the checks for them; no set that was put aside.

Each class has at least one edit of hexsearch's own pipeline or plug-in and, where that is
possible, one network of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.batches import Batch
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.losses import LossMonitor, MeanLosses
from tests.doctor.slips import Inject, Patch, Slip, in_batches, in_labels, in_losses

_HERE = "tests.doctor.plugins_of_classes:"
_POLICY: dict[str, Any] = {"policy_head": {"weight": 1.0}}


def _in_loss(of: Callable[[Tensor, Batch], Tensor]) -> Inject:
    def change(losses: Any, batch: Batch, stepper: Any) -> Any:
        raw = stepper.network(batch.planes).value_raw.float()
        return losses._replace(values=(of(raw, batch),))

    return in_losses(change)


def _policy_of(of: Callable[[Tensor, Batch], Tensor]) -> Inject:
    def change(losses: Any, batch: Batch, stepper: Any) -> Any:
        return losses._replace(policy=of(stepper.network(batch.planes).policy_logits, batch))

    return in_losses(change)


def _games_cast(change: Callable[[Any, Any], Any]) -> Inject:
    """Positions are drawn from other games."""
    from hexsearch.data.positions import PositionSet

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


def _never_reset(patch: Patch) -> None:
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


def _decoded_labels(change: Callable[[Batch], Tensor]) -> Inject:
    return in_labels(change)


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
    "a: probability clamped in the loss": Slip(
        lambda patch: None,
        "clamp|clip|cut off",
        {"readout": {"name": _HERE + "CutProbability"}},
        cause="The loss clamps the probability to 0.1..0.9, so sure answers get no gradient.",
    ),
    "a: network clamps its value": Slip(
        lambda patch: None,
        "clamp|clip|cut off",
        {"network": _HERE + "ClampedValue", **_POLICY},
        cause="The network clamps its raw value to -1..1.",
    ),
    "a: logit clamped in training only": Slip(
        _in_loss(
            lambda raw, batch: functional.binary_cross_entropy_with_logits(
                raw.clamp(-0.3, 0.3), batch.outcome, reduction="none"
            )
        ),
        "clamp|clip|cut off",
        {"readout": {"name": "bce"}},
        cause="The raw value is clamped to -0.3..0.3 before the loss.",
    ),
    "c: labels discounted to zero": Slip(
        in_labels(lambda batch: batch.outcome * 0.97**batch.to_end),
        "discount",
        cause="The label is discounted by 0.97 for each ply to the end, towards 0.",
    ),
    "c: labels discounted in the loss": Slip(
        in_losses(
            lambda losses, batch, stepper: losses._replace(
                values=(
                    stepper._readouts[0].loss(
                        stepper.network(batch.planes).value_raw.float(),
                        0.5 + (batch.outcome - 0.5) * 0.95**batch.to_end,
                    ),
                )
            )
        ),
        "discount",
        cause="The result is discounted inside the loss by 0.95 for each ply to the end.",
    ),
    "c: result scaled by the length of the game": Slip(
        in_labels(
            lambda batch: 0.5 + (batch.outcome - 0.5) * (1 - (batch.ply + batch.to_end) / 40.0)
        ),
        "length of the game|shorter|longer",
        cause="Longer games have a result nearer to one half (1 - length / 40).",
    ),
    "d: two sigmoids, the first is shown": Slip(
        lambda patch: None,
        "two sigmoids|sigmoid.*twice|second sigmoid|sigmoid of (a|the) sigmoid|sigmoid.*probabilit",
        {"readout": {"name": _HERE + "TwoSigmoids"}},
        cause="The loss applies a sigmoid to the probability.",
    ),
    "d: two sigmoids, both are shown": Slip(
        lambda patch: None,
        "two sigmoids|sigmoid.*twice|second sigmoid|sigmoid of (a|the) sigmoid|sigmoid.*probabilit",
        {"readout": {"name": _HERE + "TwoSigmoidsShown"}},
        cause="Loss and probability both apply a sigmoid to a sigmoid.",
    ),
    "d: negative log likelihood of logits": Slip(
        _policy_of(
            lambda logits, batch: functional.nll_loss(
                logits[batch.has_move], batch.policy_target[batch.has_move]
            )
        ),
        "log_?softmax|logarithm|normalis|logit itself|without.*softmax",
        _POLICY,
        cause="The policy loss is the negative logit of the move, without a log_softmax.",
    ),
    "d: cross-entropy of the softmax": Slip(
        _policy_of(
            lambda logits, batch: functional.cross_entropy(
                logits.softmax(dim=1)[batch.has_move], batch.policy_target[batch.has_move]
            )
        ),
        "softmax",
        _POLICY,
        cause="The policy loss applies a softmax to probabilities.",
    ),
    "f: targets not transposed for Red": Slip(
        in_batches(
            lambda batch, stream, _: replace(
                batch,
                policy_target=torch.where(
                    batch.complement & batch.has_move,
                    batch.policy_target % stream.builder.encoder.size * stream.builder.encoder.size
                    + batch.policy_target // stream.builder.encoder.size,
                    batch.policy_target,
                ),
            )
        ),
        "transpos|reflect|column",
        {**_POLICY},
        cause="Where colours are exchanged the policy target is not transposed with the board.",
    ),
    "g: policy by columns": Slip(
        lambda patch: None,
        "transpos|column",
        {"network": "tests.doctor.plugins_ninth:ByColumns", **_POLICY},
        cause="The policy logits are ordered by column * N + row.",
    ),
    "g: policy rows reversed": Slip(
        lambda patch: None,
        "mirror|flip|revers|row|transpos|order",
        {"network": _HERE + "RowsReversed", **_POLICY},
        cause="The policy logits begin with the last row.",
    ),
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
        _never_reset, "training loss", _POLICY, cause="Sums are never reset after a report."
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
