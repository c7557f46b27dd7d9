"""Edits of activations: another one everywhere, none at one place, and one more after a part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hexsearch.doctor.hypotheses.edits.edit import (
    Edit,
    Function,
    hooked,
    named_functions,
    replacing,
)
from hexsearch.doctor.own_training.where.lines import Line

_NARROW = 4  # numbers of a position up to which a tensor is an answer, and no hidden feature
_CALLED: dict[str, tuple[str, ...]] = {
    "relu": ("relu", "relu_"),
    "relu6": ("relu6", "hardtanh", "hardtanh_"),
    "leaky_relu": ("leaky_relu", "leaky_relu_"),
    "elu": ("elu", "elu_"),
    "selu": ("selu", "selu_"),
    "gelu": ("gelu",),
    "silu": ("silu",),
    "mish": ("mish",),
    "softplus": ("softplus",),
    "hardswish": ("hardswish",),
    "tanh": ("tanh", "tanh_"),
}
_ACTIVATIONS: dict[str, Function] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "leaky_relu (0.01)": functional.leaky_relu,
    "leaky_relu (0.1)": partial(functional.leaky_relu, negative_slope=0.1),
    "leaky_relu (0.2)": partial(functional.leaky_relu, negative_slope=0.2),
    "leaky_relu (0.3)": partial(functional.leaky_relu, negative_slope=0.3),
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "softplus": functional.softplus,
    "tanh": torch.tanh,
    "identity (no activation)": lambda x: x,
}
_FAR = 1e30  # a feature beyond every bound
_CUT = ("clamp", "clamp_", "clip", "clip_", "clamp_min", "clamp_max", "hardtanh", "relu6")


def activation_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """Other activations everywhere, at single places, and where there is none.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
    for name, function in _ACTIVATIONS.items():
        yield Edit(
            "activation",
            f"{name} as the activation",
            f"the activation is another one than in training: the weights were trained with {name}",
            "call the activation of the training run, which a state dict does not hold",
            partial(replacing, _everywhere(function)),
        )
    yield from _cuts()
    seen = _Seen()
    with torch.no_grad(), seen:
        network(planes[:2])
    yield from _at_single_places(seen.places)
    if seen.names:
        common = seen.names.most_common(1)[0][0]
        yield from _one_more(network, common)


def _cuts() -> Iterator[Edit]:
    def uncut(original: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.ndim < 2 or x[0].numel() <= _NARROW:
            return original(x, *args, **kwargs)
        # A bound at 0 from below is a relu, which training had.
        least = float(original(x.new_full((1,), -_FAR), *args, **kwargs))
        return functional.relu(x) if least == 0 else x

    yield Edit(
        "bounds",
        "features that are not cut off",
        "features are cut off at bounds (a clamp, a quantisation, a clipped activation) that "
        "training did not have",
        "take the bounds out, or choose them so that no feature of a real position reaches them",
        partial(replacing, {each: partial(uncut, each) for each in named_functions(_CUT)}),
    )


class _Seen(TorchFunctionMode):
    """Notes where activations are called, and how often each is.

    Attributes:
        names: calls of each activation.
        places: each line of the user's code that calls one, with its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.places: dict[Line, str] = {}
        self._known = {f: name for name, own in _CALLED.items() for f in named_functions(own)}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = self._known.get(func)
        if name and isinstance(args[0], Tensor) and args[0].ndim > 1:
            if args[0][0].numel() > _NARROW:
                self.names[name] += 1
                if line := Line.here():
                    self.places.setdefault(line, name)
        return func(*args, **(kwargs or {}))


def _at_single_places(places: Mapping[Line, str]) -> Iterator[Edit]:
    """No activation in one line of the user's code."""

    def other(original: Function, x: Tensor, *args: Any, at: Line, **kwargs: Any) -> Any:
        return x if Line.here() == at else original(x, *args, **kwargs)

    for line, name in places.items():
        called = named_functions(_CALLED[name])
        yield Edit(
            "one activation",
            f"no {name} in {line}",
            f"training had no activation where {line} calls {name}: the answers are right without",
            "call the activations that training had, at the same places",
            partial(replacing, {f: partial(other, f, at=line) for f in called}),
        )


def _one_more(network: nn.Module, name: str) -> Iterator[Edit]:
    """The network's own activation after each kind of part, and before what follows a part."""
    function = _ACTIVATIONS.get(name, _ACTIVATIONS.get(f"{name} (0.01)", functional.relu))
    for role, modules in parts_by_role(network).items():
        yield Edit(
            "one activation",
            f"a {name} after {role}",
            f"training had an activation ({name}) after {role}, which is left out here",
            "call the activations that training had, at the same places (and read features after "
            "the activation if the next part was trained so)",
            partial(_followed, modules, function),
        )


def parts_by_role(network: nn.Module) -> dict[str, list[nn.Module]]:
    """Modules by their names, in which all blocks of one class are one; the root is none."""
    named = dict(network.named_modules())
    found: dict[str, list[nn.Module]] = defaultdict(list)
    for name, module in named.items():
        if name and not isinstance(module, nn.Dropout | nn.Identity | nn.ModuleList):
            found[_role(name.split("."), named)].append(module)
    return found


def _role(path: list[str], named: Mapping[str, nn.Module]) -> str:
    parts = []
    for place, part in enumerate(path):
        if part.isdigit():
            kinds = [type(each) for each in named[".".join(path[:place])].children()]
            part = "*" if len(kinds) > 1 and len(set(kinds)) == 1 else part
        parts.append(part)
    return ".".join(parts)


def _followed(modules: list[nn.Module], function: Function) -> AbstractContextManager[None]:
    """Let a function follow modules that give a tensor."""
    return hooked(
        modules,
        lambda module, inputs, output: function(output) if isinstance(output, Tensor) else output,
    )


def _everywhere(function: Function) -> dict[Function, Function]:
    def other(original: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.ndim < 2 or x[0].numel() <= _NARROW:
            return original(x, *args, **kwargs)
        return function(x)

    called = [each for names in _CALLED.values() for each in named_functions(names)]
    return {each: partial(other, each) for each in called}
