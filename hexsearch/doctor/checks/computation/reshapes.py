"""Looks for tensors of a user's network that are reshaped where they should be transposed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 3  # no usual number of channels
_NAMES = ("view", "reshape")


def check_reshapes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Channels and cells may change their order by a transposition alone."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    positions = take(observed.positions, np.arange(min(_POSITIONS, len(observed.positions))))
    planes = foreign.planes(positions)
    with _Reshapes(foreign.size) as seen:
        foreign.respond(planes)
    for before, after in seen.mixed:
        yield Finding.error(
            "reshapes",
            f"a tensor {list(before)} is made {list(after)} by view or reshape, which keeps the "
            "order of all numbers",
            f"channels and cells are mixed up inside the network: {list(before)} is read as "
            f"{list(after)} without a transposition, so what should be the channels of one cell "
            "are numbers of several cells",
            "transpose first: x.flatten(2).transpose(1, 2) makes tokens of a board, "
            "x.transpose(1, 2).reshape(B, C, N, N) a board of tokens",
            root="structure",
        )
        return


class _Reshapes(TorchFunctionMode):
    """Notes each view or reshape that changes the order of channels and cells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mixed: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._size = size

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _NAMES and isinstance(result, Tensor):
            before, after = tuple(args[0].shape), tuple(result.shape)
            if _is_mixed(before, after, self._size):
                self.mixed.append((before, after))
        return result


def _is_mixed(before: tuple[int, ...], after: tuple[int, ...], size: int) -> bool:
    """Whether channels stand before cells on one side only: [B, C, N, N] and [B, N * N, C]."""
    first, last = _channels(before, size), _channels(after, size)
    return first is not None and last is not None and first[0] == last[0] and first[1] != last[1]


def _channels(shape: tuple[int, ...], size: int) -> tuple[int, bool] | None:
    """The number of channels, and whether they stand before the cells; None if neither is clear."""
    cells = {3: (size * size,), 4: (size, size)}.get(len(shape))
    if cells is None:
        return None
    for channels, found, is_first in (
        (shape[1], shape[2:], True),
        (shape[-1], shape[1:-1], False),
    ):
        if found == cells and channels not in (1, size, size * size):
            return channels, is_first
    return None
