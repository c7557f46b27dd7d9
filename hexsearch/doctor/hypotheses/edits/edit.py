"""One edit of a network, and how tensors are replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]


@dataclass(frozen=True)
class Edit:
    """Something that undoes one mistake.

    Attributes:
        family: edits of one family are told together if several are worth as much.
        words: the edit, as the end of "the answers are right with ...".
        cause: what is wrong if it helps.
        remedy: what to do then.
        made: applies it for the length of a `with` block.
        encodes, loads: whether planes are made otherwise with it, and the network.
        number: its place among all that are tried.
    """

    family: str
    words: str
    cause: str
    remedy: str
    made: Callable[[], AbstractContextManager[None]]
    encodes: bool = False
    loads: bool = False
    number: int = 0


@contextmanager
def holding(values: Mapping[Tensor, Tensor]) -> Iterator[None]:
    """Let parameters and buffers hold other values."""
    kept = {tensor: tensor.detach().clone() for tensor in values}
    try:
        with torch.no_grad():
            for tensor, value in [(tensor, value.clone()) for tensor, value in values.items()]:
                tensor.copy_(value)
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept.items():
                tensor.copy_(value)


def changed(
    tensors: Iterable[Tensor], change: Callable[[Tensor], Tensor]
) -> AbstractContextManager[None]:
    """Let parameters and buffers hold a function of what they hold."""
    return holding({tensor: change(tensor.detach()) for tensor in tensors})


@contextmanager
def having(objects: Sequence[object], **attributes: Any) -> Iterator[None]:
    """Let modules or other objects have other attributes."""
    kept = [{name: getattr(each, name) for name in attributes} for each in objects]
    try:
        for each in objects:
            for name, value in attributes.items():
                setattr(each, name, value)
        yield
    finally:
        for each, values in zip(objects, kept, strict=True):
            for name, value in values.items():
                setattr(each, name, value)


@contextmanager
def hooked(
    modules: Iterable[nn.Module], after: Function | None = None, before: Function | None = None
) -> Iterator[None]:
    """Let torch's forward hooks run after modules, and pre-hooks before them."""
    modules = list(modules)
    handles = [module.register_forward_pre_hook(before) for module in modules if before]
    handles += [module.register_forward_hook(after) for module in modules if after]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Replaced(TorchFunctionMode):
    """Calls other functions in place of some."""

    def __init__(self, table: Mapping[Function, Function]) -> None:
        super().__init__()
        self._table = table

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._table.get(func, func)(*args, **(kwargs or {}))


@contextmanager
def replacing(table: Mapping[Function, Function]) -> Iterator[None]:
    """Let other functions be called in place of some of torch."""
    with _Replaced(table):
        yield


def named_functions(names: tuple[str, ...]) -> list[Function]:
    """The functions of these names in torch, torch.nn.functional and Tensor."""
    rooms = (torch, functional, Tensor)
    found = [getattr(room, name) for room in rooms for name in names if hasattr(room, name)]
    return list(dict.fromkeys(found))
