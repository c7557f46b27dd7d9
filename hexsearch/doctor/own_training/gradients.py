"""Gradients that were sent back, beside those that an optimiser gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def fit(
    given: Mapping[str, Tensor], sent: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[float, float]:
    """The factor between the gradients that were sent and given, and what it leaves unexplained."""
    both = [n for n in names if n in given or n in sent]
    if not both:
        return 0.0, 0.0
    some = torch.cat([_flat(given, sent, n) for n in both]).double()
    others = torch.cat([_flat(sent, given, n) for n in both]).double()
    if not bool(torch.isfinite(some).all() and torch.isfinite(others).all()):
        return float("nan"), float("nan")
    size = float(others.square().sum())
    factor = float((some * others).sum()) / size if size > 0 else 0.0
    rest = float((some - factor * others).norm()) / max(float(some.norm()), 1e-12)
    return factor, rest


def _flat(of: Mapping[str, Tensor], like: Mapping[str, Tensor], name: str) -> Tensor:
    found = of.get(name)
    return (torch.zeros_like(like[name]) if found is None else found).reshape(-1).float()


def norm(tensors: Iterable[Tensor]) -> float:
    """The length of some tensors together."""
    return float(sum(float(each.float().square().sum()) for each in tensors) ** 0.5)


def has_gradient(weight: nn.Parameter) -> bool:
    """Whether a weight has a gradient that was not cleared."""
    return weight.grad is not None and bool(weight.grad.any())


def gradients_of(optimiser: Optimizer) -> dict[str, Tensor]:
    """The gradients of the tensors that an optimiser holds, by their numbers."""
    held = [p.grad for group in optimiser.param_groups for p in group["params"]]
    return {f"{number}": each.detach() for number, each in enumerate(held) if each is not None}
