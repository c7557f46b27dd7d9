"""Computes a configured trunk again from its weights: stem, blocks, and what follows them."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.configured.blocks import (
    BlockOf,
    Unlike,
    activated,
    convolved,
    normalised,
    other_steps,
)
from hexsearch.doctor.hypotheses.configured.compared import Other, Told, compared, core_of


def trunk_told(module: nn.Module, config: TrialConfig, planes: Tensor, size: int) -> Told | None:
    """The stem, each block for the input that it gets, and the whole."""
    trunk = config.trunk
    core = core_of(module, ("stem", "stages", "finish", "widen"))
    if is_import_path(trunk.family) or core is None:
        return None
    try:
        return _pieces(module, core, config, planes)
    except Unlike as other:
        return Told.of(other)


def _pieces(module: nn.Module, core: Any, config: TrialConfig, planes: Tensor) -> Told | None:
    trunk = config.trunk
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(each: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[each] = inputs[0].clone(), output.clone()

    stages: list[nn.Module] = list(core.stages)
    blocks = [block for stage in stages for block in stage.children()]
    watched = [core.stem, *blocks, core.widen]
    hooks = [each.register_forward_hook(keep) for each in watched]
    try:
        found = module(planes)
    finally:
        for hook in hooks:
            hook.remove()
    stem = partial(
        _layered, planes, core.stem, trunk.channels[0], trunk.stem_kernel, config, "trunk.stem"
    )
    out = stem()
    if core.stem in seen:
        runs = partial(core.stem, planes), stem
        if told := compared(seen[core.stem][1], out, "the stem", iter(()), runs):
            return told
    widths = [c for c, n in zip(trunk.channels, trunk.blocks, strict=True) for _ in range(n)]
    strides = [
        stride if place == 0 else 1
        for stride, n in zip(trunk.strides, trunk.blocks, strict=True)
        for place in range(n)
    ]
    if len(blocks) != len(widths):
        return Told(f"it has {len(blocks)} blocks, not {len(widths)}", "the blocks were counted")
    for number, (block, width, stride) in enumerate(zip(blocks, widths, strides, strict=True)):
        own = BlockOf(block, trunk, width, stride, f"block {number + 1} of the trunk")
        if block in seen:
            given, gave = seen[block]
            both = partial(block, given), partial(own, given)
            others = _other_blocks(own, given, number + 1)
            told = compared(gave, own(given), f"block {number + 1}", others, both)
            if told:
                return told
        out = own(out)
    if trunk.norm == "none" and (told := _without_bias(module)):
        return told
    if core.widen in seen and seen[core.widen][0].shape[1] != trunk.features:
        given, gave = seen[core.widen]
        widened = partial(_layered, given, core.widen, trunk.features, 1, config, "trunk.widen")
        told = compared(
            gave, widened(), "its last layers", iter(()), (partial(core.widen, given), widened)
        )
        if told:
            return told
    return _end(core, config, out, found)


def _end(core: Any, config: TrialConfig, out: Tensor, found: Tensor) -> Told | None:
    """What follows the blocks, for their output and that of the trunk."""
    trunk = config.trunk

    def widened(features: Tensor) -> Tensor:
        if features.shape[1] == trunk.features:
            return features
        return _layered(features, core.widen, trunk.features, 1, config, "trunk.widen")

    if trunk.block != "preact":
        return compared(found, widened(out), "the trunk's output", iter(()))
    norm = next(core.finish.children())
    ready = activated(normalised(out, norm, trunk.norm, "trunk.finish"), trunk.activation)
    left_out = iter([("its last norm and activation are left out", widened(out))])
    return compared(found, widened(ready), "the trunk's output", left_out)


def _without_bias(trunk: nn.Module) -> Told | None:
    """Convolutions of a trunk without norms that have no bias."""
    layers = {n: m for n, m in trunk.named_modules() if isinstance(m, nn.Conv2d)}
    without = [name for name, layer in layers.items() if layer.bias is None]
    if not without:
        return None
    return Told(
        "its convolutions have no bias, and no norm that would have one: a unit cannot be moved "
        "along its input (bias=False is for convolutions before a norm)",
        f"{len(without)} of {len(layers)} convolutions, such as {without[0]}, have no bias",
    )


def _layered(
    out: Tensor, layers: nn.Module, outputs: int, kernel: int, config: TrialConfig, name: str
) -> Tensor:
    """A convolution, a norm and an activation."""
    parts = list(layers.children())
    if len(parts) < 2:
        raise Unlike(f"{name} has {len(parts)} layers, not a convolution, a norm and an activation")
    out = convolved(out, parts[0], outputs, kernel, name=name)
    return activated(normalised(out, parts[1], config.trunk.norm, name), config.trunk.activation)


def _other_blocks(own: BlockOf, given: Tensor, number: int) -> Other:
    for words, steps in other_steps(own.steps):
        try:
            made = own(given, steps)
        except (Unlike, RuntimeError):
            continue  # such a list of steps does not fit its weights
        yield f"in block {number} {words}", made
