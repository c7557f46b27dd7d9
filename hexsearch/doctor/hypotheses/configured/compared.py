"""Compares what a part of a network gives with what its configuration gives, and describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hexsearch.doctor.hypotheses.configured.blocks import Unlike
from hexsearch.doctor.hypotheses.configured.operations import other_operations
from hexsearch.doctor.hypotheses.general.functions import function_of

_FACTOR = 5.0  # a scale of an output up to which it does little harm
_CLOSE = 2e-3  # largest difference, in standard deviations of the numbers
Other = Iterator[tuple[str, Tensor]]
Runs = tuple[Callable[[], object], Callable[[], object]]


@dataclass(frozen=True)
class Told:
    """How a part differs from the configuration. What is not known may also be harmless."""

    cause: str
    evidence: str
    is_known: bool = True

    @classmethod
    def of(cls, other: Unlike) -> Told:
        return cls(str(other), "the layers are not those of the configuration", False)


def core_of(part: nn.Module, names: tuple[str, ...]) -> Any:
    """The module in a part that has the layers of a built-in one."""
    return next((m for m in part.modules() if all(hasattr(m, n) for n in names)), None)


def compared(
    found: Tensor, right: Tensor, what: str, others: Other, runs: Runs | None = None
) -> Told | None:
    """What the numbers are, if they are not the right ones.

    Args:
        runs: what computes the numbers, and what computes the right ones.
    """
    if found.shape != right.shape:
        shapes = f"{what} has shape {list(found.shape)}, not {list(right.shape)}"
        return Told(shapes, "the shapes of its outputs differ")
    apart = gap(found, right)
    if apart < _CLOSE:
        return None
    evidence = f"there is a difference of up to {apart:.2g} standard deviations in {what}"
    for words, made in others:
        if fits(found, made):
            return Told(words, evidence)
    words, is_known = relation(found, right, "that of its layers")
    if words:
        return Told(f"its output is {words}", evidence, is_known)
    words = other_operations(*runs) if runs else ""
    if words:
        return Told(f"in {what} {words}", evidence, False)
    return Told(f"something that is not configured changes {what}", evidence, False)


def relation(found: Tensor, right: Tensor, name: str) -> tuple[str, bool]:
    """In words, what numbers are of the right ones, and whether this does harm; empty if unknown.

    Args:
        name: what the right numbers are.
    """
    some, other = found.flatten().float(), right.flatten().float()
    factor = float((some * other).sum()) / max(float(other.square().sum()), 1e-12)
    if abs(factor) > 1e-3 and fits(some, factor * other):
        return f"{factor:.3g} times {name}", not 1 / _FACTOR < factor < _FACTOR
    words = function_of(some.numpy(), other.numpy())
    return (f"{words} ({name})" if words else ""), bool(words)


def fits(found: Tensor, made: Tensor) -> bool:
    """Whether two tensors hold the same numbers, up to rounding."""
    return found.shape == made.shape and gap(found, made) < _CLOSE


def gap(found: Tensor, right: Tensor) -> float:
    """Largest difference, in standard deviations of the numbers."""
    spread = max(float(right.float().std()), float(found.float().std()), 1e-6)
    return float((found - right).float().abs().max()) / spread
