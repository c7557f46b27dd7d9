"""Finds out how the answers of a batch depend on its other rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_hook

from hexsearch.doctor.hypotheses.general.regions import region

CLOSE = 0.02  # largest difference of equal outputs, in their standard deviations
_MATCHED = 0.9  # share of rows whose answer is that of some row
_SAME, _OTHER = 1e-4, 1e-2  # differences of equal inputs and of other outputs, in deviations
Answers = tuple[Tensor, Tensor]  # policy and value
Respond = Callable[[Tensor], Answers]

QUANTISED = (
    "quantised dynamically: the range of its inputs is taken over the whole batch, so answers "
    "differ a little with the other positions"
)


def by_rows(respond: Respond, planes: Tensor, spread: Spread) -> str:
    """In words, which row's answer each row of a batch gets; empty if it is that of none."""
    together = _as_one(respond(planes), spread)
    alone = torch.cat([_as_one(respond(row[None]), spread) for row in planes])
    words = _rows_of(together, alone, CLOSE)
    # The value may come from other rows, and the policy from its own.
    value = _rows_of(together[:, -1:], alone[:, -1:], CLOSE / 10)
    return words or value.replace("answer", "value")


def _rows_of(together: Tensor, alone: Tensor, close: float) -> str:
    """The same for outputs [P, K] of a batch and of its rows alone."""
    exact = "donot_use_mm_for_euclid_dist"  # products lose digits, on some processors more
    gaps = torch.cdist(together, alone, compute_mode=exact) / together.shape[1] ** 0.5
    fits = gaps < close  # rows with nearly equal outputs fit several
    known = fits.any(dim=1)
    rows, right = torch.arange(len(together)), fits.diagonal()
    if bool(right.all()):
        return ""  # the other positions move an answer by less than what tells rows apart
    if float(known.float().mean()) > _MATCHED:
        if float(fits[rows, rows.flip(0)].float().mean()) > _MATCHED:
            return "the answers of a batch come back in reverse order: each is that of another row"
        lagging = torch.stack([fits[rows, (rows - n) % len(rows)] for n in range(len(rows))])
        share, usual = lagging.float().mean(dim=1).max(dim=0)
        if int(usual) and float(share) > _MATCHED:
            return f"each answer is that of the row {int(usual)} places earlier"
        if int(usual):
            return "the answers of a batch come back in another order: each is that of another row"
    wrong = (~right).numpy()
    place = region(wrong, {"row in the batch": rows.numpy()})
    if not place:
        return ""
    same = float((together[~right] - together[~right][0]).abs().max()) < CLOSE
    return (
        f"in a batch of {len(together)} the answers are not those of the positions {place}"
        + (": they are the same for all of these rows" if same else "")
        + " (a buffer of fixed size, or rows that are never computed)"
    )


def _as_one(answers: Answers, spread: Spread) -> Tensor:
    """[P, K] all outputs of each position, in standard deviations."""
    policy, value = (each.float().reshape(len(each), -1) for each in answers)
    return torch.cat([policy / max(spread.policy, 1e-4), value / max(spread.value, 1e-4)], dim=1)


class Spread:
    """Standard deviations of value and policy, in which differences are measured."""

    def __init__(self, answers: tuple[Tensor, Tensor]) -> None:
        policy, value = answers
        self.value = float(value.float().std()) if value.numel() > 1 else 0.0
        self.policy = float(policy.float().std()) if policy.numel() > 1 else 0.0

    def gap(self, some: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> float:
        """The largest difference of two outputs, in standard deviations."""
        scales = (self.policy, self.value)
        return max(
            float((a.float() - b.float()).abs().max()) / max(scale, 1e-4)
            for a, b, scale in zip(some, others, scales, strict=True)
        )


def mixing_module(respond: Respond, planes: Tensor, few: int) -> str:
    """In words, the module whose outputs for a row depend on the other rows; "" if none is seen.

    Args:
        planes: [P, C, N, N] planes of different positions.
        few: how many of them are also asked without the others.
    """
    together, alone = _calls(respond, planes), _calls(respond, planes[:few])
    if [type(m) for m, *_ in together] != [type(m) for m, *_ in alone]:
        return ""
    names = {id(m): name for outer, *_ in together for name, m in outer.named_modules() if name}
    mixing = []
    for (module, asked, gave), (_, asked_alone, gave_alone) in zip(together, alone, strict=True):
        shapes = [each.shape[0] if each.ndim else 0 for each in (asked, gave)]
        if shapes != [len(planes)] * 2 or len(gave_alone) != few:
            continue
        if _gap(asked[:few], asked_alone) < _SAME and _gap(gave[:few], gave_alone) > _OTHER:
            mixing.append((len(list(module.modules())), module))
    if not mixing:
        return ""
    module = min(mixing, key=lambda each: each[0])[1]
    kind, name = type(module).__name__, names.get(id(module))
    where = f"{name} ({kind})" if name else kind
    if isinstance(module, _BatchNorm) and module.training:
        return (
            f"batch norm is in train mode at inference ({where}): it uses the statistics of the "
            "batch"
        )
    if isinstance(module, _BatchNorm):
        return (
            f"batch norm {where} has no running statistics (track_running_stats=False), "
            "so it uses those of the batch at inference, as in train mode"
        )
    if "quantized.dynamic" in type(module).__module__:
        return f"{where} is {QUANTISED}"
    return (
        f"in {where} an operation (a norm, a softmax, a mean, an attention) goes over the "
        "batch (dimension 0) instead of the board or the channels, so positions depend on each "
        "other"
    )


def _calls(respond: Respond, planes: Tensor) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Modules in the order in which they answer, with their first input and output."""
    seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given = next((each for each in inputs if isinstance(each, Tensor)), None)
        given_back = output if isinstance(output, Tensor) else None
        if given is not None and given_back is not None:
            seen.append((module, given.detach().clone(), given_back.detach().clone()))

    handle = register_module_forward_hook(look)
    try:
        respond(planes)
    finally:
        handle.remove()
    return seen


def _gap(some: Tensor, others: Tensor) -> float:
    """Largest difference in standard deviations; that of tensors of other shapes is large."""
    if some.shape != others.shape:
        return 1.0
    spread = max(float(some.float().std()), 1e-6) if some.numel() > 1 else 1.0
    return float((some.float() - others.float()).abs().max()) / spread
