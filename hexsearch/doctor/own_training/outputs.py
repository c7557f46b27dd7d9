"""Which of a network's outputs is the value, and which the policy, and what losses send to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hexsearch.doctor.own_training.ways import Op
from hexsearch.doctor.own_training.where.lines import Line

_OUTCOMES = 128  # a value has at most so many numbers for each position
_POLICIES = 4  # channels of an output of which each may be a policy
_SUM = 1e-3  # of gradients that sum to 0, relative to their sizes
_NESTED = 4  # levels of tuples, lists and mappings that are looked into


@dataclass
class Output:
    """One tensor that a network returned.

    Attributes:
        name: its place in what was returned.
        tensor: [B, ...] the numbers.
        key: identity of the tensor itself.
        gradient: of the losses with respect to it; None if none was sent back.
        made_by: the operation that computed it; None if that is not known.
        ways: from it to the loss, each as its operations, if the first backward() showed them.
        node: in the graph of autograd, until backward() is called.
        factor: number by which the network multiplies its last layer's output.
    """

    name: str
    tensor: Tensor
    key: int
    gradient: Tensor | None = None
    made_by: Op | None = None
    ways: tuple[tuple[Op, ...], ...] = ()
    node: Any = None
    factor: float = 1.0

    @property
    def lines(self) -> list[Line]:
        """Lines of the losses that are computed from it, from the output on."""
        return list(dict.fromkeys(op.line for way in self.ways for op in way if op.line))

    def add(self, gradient: Tensor) -> None:
        """Keep a gradient that was sent back, added to what was sent before."""
        kept = gradient.detach().clone()
        self.gradient = kept if self.gradient is None else self.gradient + kept

    def is_policy(self, size: int) -> bool:
        """Whether there is a number for each cell (and perhaps one for a swap)."""
        each = self.tensor.numel() // max(len(self.tensor), 1)
        return each in (size * size, size * size + 1)

    @property
    def is_of_softmax(self) -> bool:
        """Whether the gradients of each row sum to 0, as those of a softmax over it do."""
        if self.gradient is None:
            return False
        rows = self.gradient.reshape(len(self.gradient), -1).double()
        size = rows.abs().sum(dim=1)
        used = size > 0
        return bool(used.any()) and bool((rows[used].sum(dim=1).abs() < _SUM * size[used]).all())

    def parts(self, size: int) -> list[Output]:
        """Its channels, where there are a few with a number for each cell: several policies."""
        shape = self.tensor.shape
        if not (len(shape) > 2 and 1 < shape[1] <= _POLICIES and self.gradient is not None):
            return []
        if self.tensor[0, 0].numel() != size * size:
            return []
        return [
            dataclasses.replace(self, tensor=self.tensor[:, n], gradient=self.gradient[:, n])
            for n in range(shape[1])
        ]

    def is_value(self, size: int) -> bool:
        """Whether it may be a value: one number for each position, or a few outcomes."""
        shape = self.tensor.shape
        wide = len(shape) > 1 and any(each > 1 for each in shape[2:])
        count = self.tensor.numel() // max(len(self.tensor), 1)
        return not wide and count <= _OUTCOMES and not self.is_policy(size)


def tensors_of(given: Any, name: str = "", level: int = 0) -> dict[str, Tensor]:
    """The tensors in an argument or a returned value, by their places."""
    if isinstance(given, Tensor):
        return {name or "output": given} if given.ndim and len(given) else {}
    if level > _NESTED:
        return {}
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        given = {f.name: getattr(given, f.name) for f in dataclasses.fields(given)}
    elif isinstance(given, tuple) and hasattr(given, "_asdict"):
        given = given._asdict()
    if isinstance(given, Mapping):
        parts = [(str(key), part) for key, part in given.items()]
    elif isinstance(given, tuple | list):
        parts = [(f"{number}", part) for number, part in enumerate(given)]
    else:
        return {}
    found: dict[str, Tensor] = {}
    for key, part in parts:
        found |= tensors_of(part, f"{name}.{key}" if name else key, level + 1)
    return found


def value_of(outputs: list[Output], size: int) -> Output | None:
    """The output that is the value; one that is called so, or else the first that may be it."""
    named = [each for each in outputs if each.is_value(size)]
    called = [
        each for each in named if any(w in each.name.lower() for w in ("value", "win", "wdl", "v_"))
    ]
    trained = [each for each in called or named if each.gradient is not None]
    return next(iter(trained or called or named), None)


def policy_of(outputs: list[Output], size: int) -> Output | None:
    """The output that is the policy, the first that has a number for each cell."""
    named = [each for each in outputs if each.is_policy(size)]
    trained = [each for each in named if each.gradient is not None]
    if any(each.is_of_softmax for each in trained):
        named = trained = [each for each in trained if each.is_of_softmax]
    elif parts := [part for each in outputs for part in each.parts(size) if part.is_of_softmax]:
        trained = parts
    return next(iter(trained or named), None)


def hook_on(tensor: Tensor, hook: Callable[[Tensor], None]) -> Any:
    """Call a hook with each gradient of a tensor; returns the handle."""
    register: Any = tensor.register_hook
    return register(hook)


def leaves_of(tensor: Tensor) -> set[int]:
    """Identities of the weights that a tensor was computed from, as far as gradients go."""
    found: set[int] = set()
    seen: set[Any] = set()
    ahead: list[Any] = [tensor.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        ahead += [following for following, _ in node.next_functions]
    return found


class Graph:
    """The outputs of one pass, and the operations of autograd that they were computed by."""

    def __init__(self) -> None:
        self._made: dict[Any, int] = {}  # operation -> identity of its output
        self._passed: set[Any] = set()

    def add(self, returned: list[Tensor]) -> set[int]:
        """Add the outputs of one call. Returns those of earlier calls that they depend on."""
        found: set[int] = set()
        ahead: list[Any] = [tensor.grad_fn for tensor in returned]
        while ahead:
            for node, _ in getattr(ahead.pop(), "next_functions", ()):
                if node is not None and node not in self._passed:
                    self._passed.add(node)
                    found |= {self._made[node]} if node in self._made else set()
                    ahead.append(node)
        self._made |= {t.grad_fn: id(t) for t in returned if t.grad_fn is not None}
        return found
