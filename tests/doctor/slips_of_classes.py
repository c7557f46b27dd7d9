"""Slips of stated classes, by the author of the checks for them; no set that was put aside.

Each class has at least one edit of hexsearch's own pipeline or plug-in and, where that is
possible, one network of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.batch import Batch
from tests.doctor.slips import Inject, Slip, in_batches, in_labels, in_losses, in_value_loss

_HERE = "tests.doctor.plugins_of_classes:"
_POLICY: dict[str, Any] = {"policy_head": {"weight": 1.0}}


def _in_loss(of: Callable[[Tensor, Batch], Tensor]) -> Inject:
    def change(losses: Any, batch: Batch, stepper: Any) -> Any:
        raw = stepper.network(batch.planes).value_raw.float()
        return losses._replace(values=(of(raw, batch),))

    return in_losses(change)


def losses_raw(stepper: Any, batch: Batch) -> Tensor:
    """[B] raw values of a batch."""
    raw: Tensor = stepper.network(batch.planes).value_raw.float()
    return raw


def _policy_of(of: Callable[[Tensor, Batch], Tensor]) -> Inject:
    def change(losses: Any, batch: Batch, stepper: Any) -> Any:
        return losses._replace(policy=of(stepper.network(batch.planes).policy_logits, batch))

    return in_losses(change)


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
    "a: policy logits clamped": Slip(
        _policy_of(
            lambda logits, batch: functional.cross_entropy(
                logits.clamp(-0.2, 0.2)[batch.has_move], batch.policy_target[batch.has_move]
            )
        ),
        "clamp.*-0\\.2\\.\\.0\\.2",
        _POLICY,
        cause="The logits of the policy are clamped to -0.2..0.2 before the loss.",
    ),
    "a: epsilon inside the logarithm of the policy": Slip(
        _policy_of(
            lambda logits, batch: functional.nll_loss(
                (logits.softmax(dim=1) + 0.05).log()[batch.has_move],
                batch.policy_target[batch.has_move],
            )
        ),
        "0\\.05 is added",
        _POLICY,
        cause="0.05 is added to each probability before the logarithm.",
    ),
    "a: value loss cut off from above": Slip(
        in_value_loss(lambda value, batch: value.clamp(max=0.69)),
        "cut off",
        cause="The loss of each position is at most 0.69.",
    ),
    "c: target mixed with the own answer": Slip(
        in_losses(
            lambda losses, batch, stepper: losses._replace(
                values=(
                    functional.binary_cross_entropy_with_logits(
                        losses_raw(stepper, batch),
                        0.8 * batch.outcome + 0.2 * losses_raw(stepper, batch).detach().sigmoid(),
                        reduction="none",
                    ),
                )
            )
        ),
        "own answer",
        {"readout": {"name": "bce"}},
        cause="The target is 0.8 of the outcome and 0.2 of the network's own answer.",
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
}
