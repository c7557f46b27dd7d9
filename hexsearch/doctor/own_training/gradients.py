"""Gradients that were sent back, beside those that an optimiser gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_EXACT = 0.01  # largest residual, relative to the gradients, of a change that is known
LEFT = "those of the step before, which were not cleared, are still in them"
_CENTRED = "the mean is taken off for each output (gradient centralisation)"


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


def how_changed(
    given: Mapping[str, Tensor],
    sent: Mapping[str, Tensor],
    used: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> str:
    """In words, what makes the gradients that were sent those that are given; empty if unknown.

    Args:
        given, sent: gradients by the names of the weights.
        used: those that were sent for the step before, perhaps of another optimiser.
        weights: the weights themselves.
    """
    names = [n for n in sent if bool(sent[n].any())]
    absent = [n for n in names if n not in given or not bool(given[n].any())]
    kept = [n for n in names if n not in absent]
    if not kept:
        return ""
    if absent and fit(given, sent, kept)[1] < _EXACT:
        return f"those of {', '.join(absent[:3])} are set to 0"
    some, others = (torch.cat([_flat(of, sent, n) for n in kept]) for of in (given, sent))
    limit = float(some.abs().max())
    if bool(((others.clamp(-limit, limit) - some).abs() < _EXACT * limit).all()):
        return f"each number is cut off at a limit of {limit:.2g} (clip_grad_value_)"
    if bool((others.sign() * limit - some).abs().max() < _EXACT * limit):
        return "of each number only the sign is kept"
    left = {n: sent[n] + used[n] if n in used else sent[n] for n in kept}
    if fit(given, left, kept)[1] < _EXACT:
        return LEFT
    factors = [fit(given, sent, [n]) for n in kept]
    if all(rest < _EXACT for _, rest in factors):
        least, most = min(f for f, _ in factors), max(f for f, _ in factors)
        norms = [float(given[n].norm()) for n in kept]
        shorter = [length for (f, _), length in zip(factors, norms, strict=True) if f < 1 - _EXACT]
        if most < 1 + _EXACT and shorter and max(shorter) - min(shorter) < 0.01 * max(shorter):
            if max(norms) < 1.01 * max(shorter):
                return (
                    f"each tensor is clipped to a norm of {max(shorter):.3g} by itself, and not "
                    "all of them together"
                )
        return f"those of each weight have a factor of their own ({least:.2g} to {most:.2g})"
    centred = [_centred(given[n], sent[n]) for n in kept]
    same = [float((given[n] - sent[n]).norm()) < _EXACT * float(sent[n].norm()) for n in kept]
    if any(centred) and all(one or other for one, other in zip(centred, same, strict=True)):
        return _CENTRED
    rest = some - others
    for words, column in (
        ("a multiple of the weights is added (a decay, an L2 penalty)", lambda w: w),
        ("a multiple of the signs of the weights is added (an L1 penalty)", torch.sign),
    ):
        added = torch.cat([column(weights[n].detach()).reshape(-1).float() for n in kept])
        size = float(added.square().sum())
        factor = float((rest * added).sum()) / size if size > 0 else 0.0
        if factor > 0 and float((rest - factor * added).norm()) < _EXACT * float(rest.norm()):
            outweighs = float(rest.norm()) > float(others.norm())
            return f"{words}, which outweighs them" if outweighs else words
    return ""


def _centred(given: Tensor, sent: Tensor) -> bool:
    """Whether gradients are those that were sent without their mean for each output."""
    if sent.ndim > 1:
        sent = sent - sent.mean(dim=tuple(range(1, sent.ndim)), keepdim=True)
    return float((given - sent).norm()) < _EXACT * float(sent.norm())


def is_sound(change: str) -> bool:
    """Whether a change of gradients is a usual technique."""
    return change == _CENTRED or change.endswith("penalty)")


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
