"""Looks for modules that write into their input, where something else reads it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import take
from hexsearch.doctor.own_training.outputs import tensors_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS, _APART = 8, 1e-4  # positions that are asked, and a difference of answers


def check_overwritten(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A module must leave its input as it is, or nothing may read it afterwards."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    if not isinstance(foreign.model, nn.Module):
        return
    count = min(_POSITIONS, len(observed.positions))
    planes = foreign.planes(take(observed.positions, np.arange(count)))

    def answers() -> list[Tensor]:
        policy, raw = foreign.respond(planes.clone())
        return [policy.double(), raw.double()]

    yield from overwritten(foreign.model, answers)


def overwritten(network: nn.Module, answers: Callable[[], list[Tensor]]) -> Iterator[Finding]:
    """Report modules that change their input, if the answers depend on that."""
    changed = _changed_inputs(network, answers)
    right = answers()
    if not changed or _apart(right, answers()):
        return  # answers that differ from call to call say nothing here
    apart = _apart(right, _with_copies(network, changed, answers))
    if not apart:
        return
    alone = (n for n in changed if _apart(right, _with_copies(network, [n], answers)))
    name = next(alone, changed[0])
    holder = network.get_submodule(name.rpartition(".")[0])
    kind, part = type(holder).__name__, type(network.get_submodule(name)).__name__
    yield Finding.warning(
        "overwritten inputs",
        f"{name} ({part}, in {kind}) changes the tensor that it is given, and answers change by "
        f"up to {apart:.2g} if such modules get a copy",
        f"{part} overwrites its input (inplace=True, or +=), and what reads it afterwards, such as "
        "the shortcut of a block or another head, gets the changed numbers: the shortcut adds "
        "relu(x) in place of x",
        "write inplace=False there, or keep a copy of the input for the shortcut; then train again",
        root="overwritten",
    )


def _changed_inputs(network: nn.Module, run: Callable[[], object]) -> list[str]:
    """Names of modules whose input is another one after the call, without those around them."""
    kept: dict[str, list[Tensor]] = {}
    changed: list[str] = []

    def before(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
            kept[name] = [t.detach().clone() for t in tensors_of(given).values()]

        return keep

    def after(name: str) -> Callable[..., None]:
        def compare(module: nn.Module, given: tuple[Any, ...], output: object) -> None:
            now = list(tensors_of(given).values())
            if any(not torch.equal(a, b) for a, b in zip(kept.pop(name, []), now, strict=False)):
                changed.append(name)

        return compare

    parts = {name: module for name, module in network.named_modules() if name}
    handles: list[Any] = [m.register_forward_pre_hook(before(n)) for n, m in parts.items()]
    handles += [m.register_forward_hook(after(n)) for n, m in parts.items()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    names = list(dict.fromkeys(changed))
    return [n for n in names if not any(other.startswith(f"{n}.") for other in names)]


def _with_copies(
    network: nn.Module, names: list[str], answers: Callable[[], list[Tensor]]
) -> list[Tensor]:
    """The answers if some modules get copies of their inputs."""

    def copy(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(each.clone() if isinstance(each, Tensor) else each for each in given)

    handles = [network.get_submodule(name).register_forward_pre_hook(copy) for name in names]
    try:
        return answers()
    finally:
        for handle in handles:
            handle.remove()


def _apart(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference that is more than rounding; else 0."""
    apart = max(float((a - b).abs().nan_to_num().max()) for a, b in zip(one, other, strict=True))
    return apart if apart > _APART else 0.0
