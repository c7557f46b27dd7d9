"""What is kept of a forward pass, of a step and of an evaluation of a user's training."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from hexsearch.doctor.own_training.gradients import how_changed, norm
from hexsearch.doctor.own_training.outputs import Output
from hexsearch.doctor.own_training.where.lines import Line

_LEAST = 100  # rows of an evaluation
_WHOLE = 1.5  # how many times the rows of a batch these are; a second network may see each batch
_MOST = 2_048  # rows that are kept of its beginning, and of its end
_OFF = 0.05  # share of a gradient that is another one
_HALF = (torch.float16, torch.bfloat16)


class Enough(BaseException):
    """Ends the user's function. No handler of `Exception` stops it."""


@dataclass
class SeenPass:
    """One forward pass with a gradient.

    Attributes:
        planes: [B, ...] the input of the network.
        outputs: what the network returned, with the gradients of the losses.
        resting: norms and dropouts that were in eval mode, by their classes.
        in_use: norms and dropouts of the network.
        line: where the network is called.
    """

    planes: Tensor
    outputs: list[Output] = field(default_factory=list)
    resting: tuple[str, ...] = ()
    in_use: int = 0
    line: Line | None = field(default_factory=Line.here)

    @classmethod
    def of_modes(cls, module: nn.Module) -> SeenPass:
        """A pass of which only the modes of its norms and dropouts are kept."""
        seen = cls(torch.zeros(0))
        seen.note_modes(module)
        return seen

    def note_modes(self, module: nn.Module) -> None:
        """Count the norms and dropouts of a module that was called."""
        modal = _modal(module)
        self.in_use += len(modal)
        self.resting += tuple(type(m).__name__ for m in modal if not m.training)


@dataclass
class SeenStep:
    """One step of an optimiser, and the passes since the one before.

    Attributes:
        optimiser: class of the optimiser.
        key: identity of the optimiser.
        groups: settings of its parameter groups, without the parameters.
        passes: forward passes whose gradients it uses.
        given: norm of the gradients that it gets, of the weights of the network.
        sent: norm of the gradients that backward() computed since the last step.
        off: norm of what it gets beyond these, after the best factor, as a share of what it gets.
        factor: that factor.
        changed: in words, how the gradients were changed, if that is known.
        between: how far something else has moved the weights since the step before, as a share of
            what that step moved them; `back` if each of them is as it was before that step.
        bound: largest size of a number of all weights, if several of them have the same one.
        moved: relative change of each weight by its name.
        unheld: names of weights with a gradient that this optimiser does not hold.
        frozen: names of weights that need no gradient (requires_grad is False).
        halved: names of weights that the optimiser holds in half precision.
        unchanged: share of the numbers of each of these that the step does not change.
        is_first: whether the optimiser has a state, and had none before this step.
        clipped_late: whether gradients were clipped by their norm after the step.
        listed: class and attribute of a module that holds weights of `unheld` in a plain list or
            dict; looked for in the first step.
        dropped: how many times gradients were computed and cleared since the step before.
        line: where it is taken.
    """

    optimiser: str
    groups: list[dict[str, Any]]
    passes: list[SeenPass]
    given: float
    sent: float
    off: float
    factor: float
    changed: str = ""
    between: float = 0.0
    back: bool = False
    bound: float = 0.0
    moved: dict[str, float] = field(default_factory=dict)
    unheld: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()
    unchanged: dict[str, float] = field(default_factory=dict)
    is_first: bool = False
    key: int = 0
    clipped_late: bool = False
    listed: str = ""
    dropped: int = 0
    line: Line | None = field(default_factory=Line.here)

    @classmethod
    def of(
        cls,
        optimiser: Optimizer,
        weights: dict[str, nn.Parameter],
        passes: list[SeenPass],
        gradients: tuple[dict[str, Tensor], dict[str, Tensor]],
        used: dict[str, Tensor],
        fitted: tuple[float, float],
    ) -> SeenStep:
        """A step that is going to be taken.

        Args:
            weights: of the network, by their names.
            gradients: those that it gets, and those that backward() has computed.
            used: those that backward() had computed for the step before.
            fitted: `factor` and `off`.
        """
        held = {id(p) for group in optimiser.param_groups for p in group["params"]}
        factor, off = fitted
        unheld = {n: p for n, p in weights.items() if id(p) not in held}
        is_first = not optimiser.state
        return cls(
            type(optimiser).__name__,
            [{k: v for k, v in g.items() if k != "params"} for g in optimiser.param_groups],
            passes,
            norm(gradients[0].values()),
            norm(gradients[1].values()),
            off,
            factor,
            how_changed(*gradients, used, weights) if off > _OFF else "",
            unheld=tuple(unheld),
            listed=_plain_list_of(unheld.values()) if unheld and is_first else "",
            frozen=tuple(n for n, p in weights.items() if not p.requires_grad),
            halved=tuple(n for n, p in weights.items() if id(p) in held and p.dtype in _HALF),
            is_first=is_first,
            key=id(optimiser),
        )


class Evaluations:
    """Keeps what the network is asked between two passes of training.

    Attributes:
        parts: planes of the passes of the last evaluation, which may look at several sets of
            games in turn.
        after: number of rows that were trained on before it.
        line: where the network was asked first.
    """

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.line: Line | None = None
        self.after = 0
        self._first: list[Tensor] = []
        self._last: deque[Tensor] = deque()
        self._rows = 0

    def add(self, module: nn.Module, planes: Tensor) -> None:
        """Keep a pass without a gradient, unless it renews statistics of norms."""
        if not rests(module):
            return
        self.line = self.line or Line.here()
        kept = planes.detach()[:_MOST].clone()
        self._rows += len(planes)
        if sum(map(len, self._first)) < _MOST:
            self._first.append(kept)
            return
        self._last.append(kept)
        while sum(map(len, self._last)) - len(self._last[0]) >= _MOST:
            self._last.popleft()

    def close(self, rows: int, trained: int) -> None:
        """End an evaluation, if one went on.

        Args:
            rows: of the training batch that follows.
            trained: number of rows of all training batches so far.
        """
        asked, count = [*self._first, *self._last], self._rows
        self._first, self._last, self._rows = [], deque(), 0
        if count < max(_LEAST, _WHOLE * rows):
            return
        self.parts, self.after = asked, trained


def rests(module: nn.Module) -> bool:
    """Whether all its norms and dropouts are in eval mode."""
    return not any(m.training for m in _modal(module))


def _modal(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, _BatchNorm | _DropoutNd)]


def _plain_list_of(weights: Iterable[nn.Parameter]) -> str:
    """Class and attribute of a module that holds these weights in a plain list or dict, or ""."""
    known = {id(weight) for weight in weights}
    for owner in gc.get_objects():
        if not issubclass(type(owner), nn.Module):  # a proxy may answer isinstance itself
            continue
        for attribute, held in vars(owner).items():
            if attribute.startswith("_") or not isinstance(held, list | tuple | dict):
                continue
            parts = held.values() if isinstance(held, dict) else held
            inside = [part for part in parts if isinstance(part, nn.Module)]
            if any(id(p) in known for part in inside for p in part.parameters()):
                return f"{type(owner).__name__}.{attribute}"
    return ""
