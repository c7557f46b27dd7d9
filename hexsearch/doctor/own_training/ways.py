"""What lies between a network's outputs and a loss, read from the graph of autograd."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hexsearch.doctor.own_training.where.lines import Line

_VIEWS = ("View", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Flatten", "Permute", "T")
_WAYS, _CALLS, _DEPTH = 8, 20_000, 60  # ways of one output, nodes that are visited, and their depth
_ENDS = ("min", "max", "min_val", "max_val")  # attributes of a clamp
_LEAST_SCALE = 64.0  # of a GradScaler
_LAST = 1 << 63  # dimensions counted from the end are stored as large numbers


@dataclass(frozen=True)
class Op:
    """An operation: its name in autograd without `Backward`, dimension, nearest limit, line."""

    name: str
    dim: int | None
    limit: float | None = None
    line: Line | None = field(default=None, compare=False)


def op_of(node: Any) -> Op:
    """The operation of a node of the graph."""
    dim = getattr(node, "_saved_dim", None)
    if isinstance(dim, int) and dim >= _LAST:
        dim -= 2 * _LAST
    ends = [getattr(node, f"_saved_{end}", None) for end in _ENDS]
    limits = [abs(float(end)) for end in ends if isinstance(end, int | float)]
    name = node.name().split("Backward")[0]
    dim, limit = dim if isinstance(dim, int) else None, min(limits, default=None)
    return Op(name, dim, limit, Line.of_node(node))


def scale_of(losses: Sequence[Tensor]) -> float:
    """The power of two by which GradScaler multiplies a loss before backward(); 1 without it."""
    node: Any = losses[0].grad_fn if losses else None
    factor = getattr(node, "_saved_other", None) if node is not None else None
    if not isinstance(factor, Tensor) or factor.numel() != 1 or node.name() != "MulBackward0":
        return 1.0
    if factor.requires_grad:
        return 1.0  # another loss
    scale = float(factor)
    return scale if scale >= _LEAST_SCALE and math.frexp(scale)[0] == 0.5 else 1.0


def is_traced() -> bool:
    """Whether torch.jit records the operations that run, which nothing may add to."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def made_by(tensor: Tensor) -> Op | None:
    """The operation that computed a tensor, apart from changes of its shape."""
    node: Any = tensor.grad_fn
    for _ in range(_DEPTH):
        if node is None:
            return None
        found = op_of(node)
        if not found.name.startswith(_VIEWS) or not node.next_functions:
            return found
        node = node.next_functions[0][0]
    return None


def factor_of(tensor: Tensor) -> float:
    """The number by which a tensor is multiplied at last, apart from changes of its shape."""
    node: Any = tensor.grad_fn
    for _ in range(_DEPTH):
        name = "" if node is None else op_of(node).name
        if name in ("Mul", "Div"):
            other = getattr(node, "_saved_other", None)
            if not isinstance(other, Tensor) or other.numel() != 1 or not bool(other):
                return 1.0
            if _is_sum(node.next_functions[0][0]):
                return 1.0  # a mean of several outputs is none
            number = float(other.detach())  # a scale may be learned
            return number if name == "Mul" else 1 / number
        if not name.startswith(_VIEWS) or not node.next_functions:
            return 1.0
        node = node.next_functions[0][0]
    return 1.0


def _is_sum(node: Any) -> bool:
    """Whether an operation adds two results of the network, such as those of two boards."""
    if node is None or op_of(node).name not in ("Add", "Mean", "Sum", "Stack"):
        return False
    return sum(before is not None for before, _ in node.next_functions) > 1


def ways_to(losses: Iterable[Tensor], nodes: Sequence[Any]) -> list[list[tuple[Op, ...]]]:
    """For each node of the graph the ways from it to a loss, as the operations in their order."""
    found: list[list[tuple[Op, ...]]] = [[] for _ in nodes]
    place = {id(node): number for number, node in enumerate(nodes) if node is not None}
    ahead: list[tuple[Any, tuple[Op, ...]]] = [(loss.grad_fn, ()) for loss in losses]
    for _ in range(_CALLS):
        if not ahead:
            break
        node, way = ahead.pop()
        if node is None:
            continue
        if id(node) in place:
            ways = found[place[id(node)]]
            if len(ways) < _WAYS and way not in ways:
                ways.append(way)
        elif len(way) < _DEPTH:
            step = (op_of(node), *way)
            ahead += [(following, step) for following, _ in node.next_functions]
    return found
