"""Which modules run when a network is called, compared with those that it has.

A module runs without being one of the network's if it is kept where torch does not look: in a
plain list, a dictionary, a closure. A module is the network's and does not run if the code that is
called is not the code that was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook


@dataclass(frozen=True)
class Calls:
    """What a call of a network runs.

    Attributes:
        strangers: classes of modules that run and are not the network's, by where they are kept.
        left_out: classes of modules that do not run although the others in their row do, by name.
        training: names of batch norms and dropouts that run in train mode.
        unreached: where those of them are kept that are not the network's.
        switchable: number of batch norms and dropouts that run.
    """

    strangers: dict[str, str]
    left_out: dict[str, str]
    training: tuple[str, ...]
    unreached: tuple[str, ...]
    switchable: int


def calls(network: nn.Module, run: Callable[[], object]) -> Calls:
    """What `run()`, which calls the network, runs."""
    ran: dict[int, nn.Module] = {}
    training: set[int] = set()

    def look(module: nn.Module, inputs: object) -> None:
        ran[id(module)] = module
        if module.training:
            training.add(id(module))

    handle = register_module_forward_pre_hook(look)
    try:
        run()
    finally:
        handle.remove()
    own = {id(module) for module in network.modules()}
    outside = [module for key, module in ran.items() if key not in own and _counts(module)]
    names = {id(module): name for name, module in network.named_modules()}
    switchable = [m for m in ran.values() if isinstance(m, _BatchNorm | _DropoutNd)]
    return Calls(
        strangers={_holder(network, each): type(each).__name__ for each in outside},
        left_out=dict(_left_out(network, ran)),
        training=tuple(
            names.get(id(each), type(each).__name__) for each in switchable if id(each) in training
        ),
        unreached=tuple(
            _holder(network, each)
            for each in switchable
            if id(each) in training and id(each) not in own
        ),
        switchable=len(switchable),
    )


def _counts(module: nn.Module) -> bool:
    """Whether it matters that a module is not registered: it has weights, or a mode."""
    own = any(True for _ in module.parameters(recurse=False))
    return own or isinstance(module, _BatchNorm | _DropoutNd)


def _holder(network: nn.Module, module: nn.Module) -> str:
    """In words, where a module is kept that is not registered."""
    for name, owner in network.named_modules():
        for attribute, value in vars(owner).items():
            if attribute.startswith("_") or isinstance(value, nn.Module):
                continue
            inside: Iterable[object] = ()
            if isinstance(value, list | tuple | set):
                inside = value
            elif isinstance(value, dict):
                inside = value.values()
            for each in inside:
                if isinstance(each, nn.Module) and any(m is module for m in each.modules()):
                    place = f"{name}.{attribute}" if name else attribute
                    return f"{place} ({type(value).__name__}), {_within(each, module)}"
    return f"an unknown place, {type(module).__name__} {id(module)}"


def _within(outer: nn.Module, module: nn.Module) -> str:
    return next(name for name, each in outer.named_modules() if each is module) or "the whole"


def _left_out(network: nn.Module, ran: dict[int, nn.Module]) -> list[tuple[str, str]]:
    """Leaves of a Sequential that do not run although others of the same Sequential do."""
    found = []
    for name, owner in network.named_modules():
        if not isinstance(owner, nn.Sequential):
            continue
        children = list(owner.named_children())
        idle = [(n, c) for n, c in children if not any(id(m) in ran for m in c.modules())]
        if not idle or len(idle) == len(children):
            continue
        found += [(f"{name}.{n}" if name else n, type(child).__name__) for n, child in idle]
    return found
