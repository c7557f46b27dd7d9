"""Which operations of torch two ways to compute the same numbers differ in.

For what no hypothesis explains: the operations that run are listed in both, and compared as two
texts are.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SHAPES = {  # of no account: they change no number, or their order follows from others
    *("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "expand", "alias", "detach"),
    *("clone", "copy_", "_to_copy", "t", "lift_fresh", "empty", "zeros", "ones", "split"),
}
_WORDS = {
    "_softmax": "softmax over dimension {0}",
    "_log_softmax": "log_softmax over dimension {0}",
    "native_group_norm": "a group norm of {3} groups",
    "_native_batch_norm_legit_no_training": "a batch norm",
    "native_batch_norm": "a batch norm",
    "native_layer_norm": "a layer norm",
    "mean": "a mean over dimensions {0}",
    "sum": "a sum over dimensions {0}",
    "amax": "a maximum over dimensions {0}",
    "slice": "a slice of dimension {0} from {1} to {2}",
    "transpose": "dimensions {0} and {1} exchanged",
    "permute": "dimensions in the order {0}",
    "as_strided": "numbers read in the order of the memory",
    "addmm": "a linear layer",
    "mm": "a linear layer without a bias",
    "bmm": "a product of matrices",
    "convolution": "a convolution (stride {0}, padding {1}, dilation {2})",
}
_MOST = 3  # differences that are told
Token = tuple[str, tuple[str, ...]]


class _Recorder(TorchDispatchMode):
    """Lists the operations that run, with their arguments that are no tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Token] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = str(func).split(".")[1]
        plain = tuple(_plain(a) for a in args if a is not None and not isinstance(a, Tensor))
        self.found.append((name.removesuffix("_") if name != "copy_" else name, plain))
        return func(*args, **(kwargs or {}))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]" if len(value) != 1 else _plain(value[0])
    return "the end" if isinstance(value, int) and value > 1 << 40 else str(value)


def operations(run: Callable[[], object]) -> list[Token]:
    """The operations of `run()` that may change numbers, in their order."""
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        run()
    return [token for token in recorder.found if token[0] not in _SHAPES and _matters(token)]


def _matters(token: Token) -> bool:
    """Whether a slice leaves something out."""
    return token[0] != "slice" or token[1][1:3] not in (("0", "the end"), ())


def other_operations(run: Callable[[], object], configured: Callable[[], object]) -> str:
    """In words, what `run()` does in place of `configured()`; empty if nothing can be told."""
    found, wanted = operations(run), operations(configured)
    differences: list[str] = []
    matcher = SequenceMatcher(None, wanted, found, autojunk=False)
    for kind, first, end, own_first, own_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        missing, added = _said(wanted[first:end]), _said(found[own_first:own_end])
        if missing and added:
            told = f"{added} takes the place of {missing}"
        else:
            told = f"{missing} is left out" if missing else f"{added} is put in"
        if told not in differences:
            differences.append(told)
    if not differences or len(differences) > _MOST:
        return ""
    return ", and ".join(differences)


def _said(tokens: list[Token]) -> str:
    """Tokens in words."""
    said = []
    for name, arguments in tokens:
        try:
            said.append(_WORDS.get(name, name).format(*arguments))
        except IndexError:
            said.append(name)
    return ", ".join(said)
