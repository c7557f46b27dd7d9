"""Looks at the outputs of a user's network in training: their sizes, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hexsearch.doctor.checks.own_training.losses import cut_value, of_policy, of_value
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.catalogue import modules_of
from hexsearch.doctor.own_training.losses.targets import policy_scale, wanted_moves
from hexsearch.doctor.own_training.outputs import Output, policy_of, tensors_of
from hexsearch.doctor.own_training.rows import Flags
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.own_training.ways import factor_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_HUGE = 30.0  # deviation of logits before any training that is reported
_MASKED = -1000.0  # logits of moves that are masked as illegal are lower
_SUMS = 1e-3  # largest difference from 1 of probabilities that are normalised
_ZEROS = 0.2  # share of logits of exactly 0 that a relu leaves
_FEW = 8  # rows of a batch that are needed


def check_outputs(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Outputs must be of a usual size, and logits where the loss takes them for logits."""
    own = needed(pipeline.own_training)
    rows = own.rows
    if rows is not None and rows.value is not None:
        yield from list(of_value(rows.value)) or cut_value(rows.value)
    if rows is None or rows.policy is None:
        return
    logits = rows.policy.tensor
    first = logits[torch.from_numpy(rows.batch == 0)]
    spread = float(first[first > _MASKED].std())
    if spread > _HUGE:
        yield Finding.error(
            "training outputs",
            f"before any step the policy's logits have a deviation of {spread:.3g}",
            "the initial weights, or the numbers on the planes, are far too large: outputs are "
            "saturated from the beginning, and losses have hardly a gradient",
            "leave the initial weights to torch, and use planes of 0 and 1",
            root="features",
        )
        return
    found = list(of_policy(rows.policy)) or list(_normalised(own, first)) or list(_scaled(own))
    yield from found
    if found:
        return
    zeros = float((logits == 0).float().mean())
    if float(logits.min()) == 0.0 and zeros > _ZEROS:
        yield Finding.error(
            "training outputs",
            f"no logit of the policy is negative, and {zeros:.0%} are exactly 0",
            "a ReLU stands behind the last layer of the policy: moves cannot become unlikely, and "
            "logits of 0 have no gradient",
            "return the last layer's numbers as they are",
            root="policy targets",
        )


def _scaled(own: OwnTraining) -> Iterator[Finding]:
    """Report a factor behind the last layer of the policy in one of training and inference."""
    rows, model = own.rows, own.foreign.model
    kinds = set(own.kinds)
    if rows is None or rows.policy is None:
        return
    returned: list[tuple[str, Tensor]] = []

    def look(module: object, arguments: object, output: object) -> None:
        returned.extend(tensors_of(output).items())

    modules = [m for m in modules_of(model) if type(m).__name__ in kinds]
    handles = [module.register_forward_hook(look) for module in modules]
    try:
        with torch.enable_grad():
            model(own.catalogues[0].planes[:_FEW].clone())
    finally:
        for handle in handles:
            handle.remove()
    outputs = [Output(n, t.detach(), 0, factor=factor_of(t)) for n, t in returned if t.ndim]
    policy = policy_of(outputs, rows.size)
    if policy is None or abs(policy.factor - rows.policy.factor) < _SUMS:
        return
    trained, used = rows.policy.factor, policy.factor
    yield Finding.error(
        "training outputs",
        f"the network multiplies its last layer's logits by {trained:.3g} in training, and by "
        f"{used:.3g} at inference",
        f"the policy has another temperature in training ({1 / trained:.3g}) than at inference "
        f"({1 / used:.3g}): its logits are learnt for the one, so it is too "
        + ("sure" if used > trained else "unsure")
        + " with the other",
        "divide by the same temperature in training and at inference, or by none",
        root="policy cells",
    )


def _normalised(own: OwnTraining, first: Tensor) -> Iterator[Finding]:
    """Report probabilities that are given to a loss of logits, or that sum to 1 over the batch."""
    rows = own.rows
    assert rows is not None and rows.policy is not None
    if len(first) < _FEW:
        return
    for chances, words in ((first, "probabilities"), (first.exp(), "log probabilities")):
        over_rows = float((chances.sum(dim=1) - 1).abs().max()) < _SUMS
        over_batch = float((chances.sum(dim=0) - 1).abs().max()) < _SUMS
        if over_batch and not over_rows:
            yield Finding.error(
                "training outputs",
                f"the policy's {words} sum to 1 over the {len(first)} rows of a batch for each "
                "cell, and not over the cells",
                "the softmax of the policy goes over the batch (dim=0) in place of the moves",
                "use dim=1, the dimension of the moves",
                root="policy targets",
            )
            return
        if words == "probabilities" and over_rows and float(first.min()) >= 0:
            yield from _twice(own)
            return


def _is_of_one_cell(gradient: Tensor | None, known: Flags) -> bool:
    """Whether a loss pulls at one output of each row, as at a log probability."""
    return gradient is not None and bool(((gradient[known] != 0).sum(dim=1) == 1).all())


def _twice(own: OwnTraining) -> Iterator[Finding]:
    rows = own.rows
    assert rows is not None and rows.policy is not None
    if rows.policy.gradient is None:
        return
    usual = own.usual
    policy = Output("", rows.policy.tensor[usual], 0, rows.policy.gradient[usual])
    cells, known = wanted_moves(policy, rows.size**2)
    if policy_scale(policy, cells, known) > 0:
        cause = (
            "a softmax stands behind the last layer of the policy, and the cross-entropy applies "
            "another one (two softmaxes): the policy stays nearly uniform"
        )
    elif _is_of_one_cell(rows.policy.gradient[usual], known):
        cause = (
            "the loss takes probabilities for log probabilities (nll_loss and kl_div want a "
            "log_softmax): it raises the probability and not its logarithm"
        )
    else:
        return
    yield Finding.error(
        "training outputs",
        "the policy's outputs are not negative and sum to 1 in each row",
        cause,
        "return logits, and use cross_entropy; take the softmax at inference",
        root="policy targets",
    )
