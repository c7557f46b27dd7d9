"""Checks that the parts of the network compute what the configuration asks for.

Stem, blocks and heads are computed again from their weights. Where the numbers differ, the same
part is computed with a step left out, repeated or exchanged, until one of these gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.configured.blocks import (
    BlockOf,
    Unlike,
    activated,
    convolved,
    normalised,
    other_steps,
)
from hexsearch.doctor.hypotheses.configured.heads import (
    other_values,
    policy_of,
    usual_pooling,
    value_of,
)
from hexsearch.doctor.hypotheses.configured.operations import other_operations
from hexsearch.doctor.hypotheses.general.functions import function_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 32
_FACTOR = 5.0  # a scale of an output up to which it does little harm
_CLOSE = 2e-3  # largest difference, in standard deviations of the numbers
Other = Iterator[tuple[str, Tensor]]
Runs = tuple[Callable[[], object], Callable[[], object]]
_GIVEN = "something that is not configured changes what its layers are given"
_REMEDY = "look for what is done there beside the layers of the configuration"


def check_configured(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare what each part of the network gives with what is configured."""
    trial = needed(pipeline.finite)
    config = trial.config
    if config.network is not None or config.trunk.equivariant:
        return
    planes = torch.from_numpy(needed(pipeline.samples).planes[:_POSITIONS])
    network, shown = trial.network, trial.execution.show(planes)
    with torch.no_grad(), in_eval_mode(network.modules()):
        for part, module in network.parts().items():
            features = shown if part == "trunk" else network.trunk(shown)
            look = {"trunk": _trunk, "value_head": _value, "policy_head": _policy}.get(part)
            if look is None:
                continue
            told = look(module, config, features, trial.encoder.size)
            told = told and (_changed_before(module, features) or told)
            if told:
                yield Finding(
                    "configured network",
                    "error" if told.is_known else "warning",
                    f"computed again from its weights for {len(planes)} positions: {told.evidence}",
                    f"the {in_words(part)} does not compute what is configured: {told.cause}",
                    _REMEDY,
                    root="configured",
                )
                return


@dataclass(frozen=True)
class Told:
    """How a part differs from the configuration. What is not known may also be harmless."""

    cause: str
    evidence: str
    is_known: bool = True

    @classmethod
    def of(cls, other: Unlike) -> Told:
        return cls(str(other), "the layers are not those of the configuration", False)


def _core(part: nn.Module, names: tuple[str, ...]) -> Any:
    """The module in a part that has the layers of a built-in one."""
    return next((m for m in part.modules() if all(hasattr(m, n) for n in names)), None)


def _compared(
    found: Tensor, right: Tensor, what: str, others: Other, runs: Runs | None = None
) -> Told | None:
    """What the numbers are, if they are not the right ones.

    Args:
        runs: what computes the numbers, and what computes the right ones.
    """
    if found.shape != right.shape:
        shapes = f"{what} has shape {list(found.shape)}, not {list(right.shape)}"
        return Told(shapes, "the shapes of its outputs differ")
    gap = _gap(found, right)
    if gap < _CLOSE:
        return None
    evidence = f"there is a difference of up to {gap:.2g} standard deviations in {what}"
    for words, made in others:
        if _fits(found, made):
            return Told(words, evidence)
    words, is_known = _relation(found, right, "that of its layers")
    if words:
        return Told(f"its output is {words}", evidence, is_known)
    words = other_operations(*runs) if runs else ""
    if words:
        return Told(f"in {what} {words}", evidence, False)
    return Told(f"something that is not configured changes {what}", evidence, False)


def _relation(found: Tensor, right: Tensor, name: str) -> tuple[str, bool]:
    """In words, what numbers are of the right ones, and whether this does harm; empty if unknown.

    Args:
        name: what the right numbers are.
    """
    some, other = found.flatten().float(), right.flatten().float()
    factor = float((some * other).sum()) / max(float(other.square().sum()), 1e-12)
    if abs(factor) > 1e-3 and _fits(some, factor * other):
        return f"{factor:.3g} times {name}", not 1 / _FACTOR < factor < _FACTOR
    words = function_of(some.numpy(), other.numpy())
    return (f"{words} ({name})" if words else ""), bool(words)


def _changed_before(module: nn.Module, features: Tensor) -> Told | None:
    """What a part that is wrapped around the built-in one does to the numbers that it is given."""
    first = next((m for m in module.modules() if not list(m.children())), None)
    core = next((m for m in module.modules() if hasattr(m, "reduce") or hasattr(m, "stem")), first)
    given: list[Tensor] = []

    def keep(each: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given.append(inputs[0].clone())

    if core is None or core is module:
        return None
    hook = core.register_forward_pre_hook(keep)
    try:
        module(features)
    finally:
        hook.remove()
    if len(given) != 1 or given[0].shape != features.shape:
        return None
    if _fits(given[0], features):
        return None
    words, _ = _relation(given[0], features, "the right one")
    gap = f"it differs by up to {_gap(given[0], features):.2g} standard deviations"
    cause = f"what it is given is made {words}" if words else _GIVEN
    return Told(cause, f"{gap} where its layers begin", False)


def _fits(found: Tensor, made: Tensor) -> bool:
    return found.shape == made.shape and _gap(found, made) < _CLOSE


def _gap(found: Tensor, right: Tensor) -> float:
    spread = max(float(right.float().std()), float(found.float().std()), 1e-6)
    return float((found - right).float().abs().max()) / spread


def _value(module: nn.Module, config: TrialConfig, features: Tensor, size: int) -> Told | None:
    head = config.value_head
    core = _core(module, ("reduce", "pooling", "layers"))
    if is_import_path(head.family) or core is None:
        return None
    try:

        def configured() -> Tensor:
            return value_of(core, head, features, usual_pooling(head))

        return _compared(
            module(features),
            configured(),
            "the raw value",
            other_values(core, head, features),
            (lambda: module(features), configured),
        )
    except Unlike as other:
        return Told.of(other)


def _policy(module: nn.Module, config: TrialConfig, features: Tensor, size: int) -> Told | None:
    family = config.policy_head.family
    core = _core(module, ("output",) if family == "linear" else ("layers", "size"))
    if is_import_path(family) or core is None or config.policy_head.weight == 0:
        return None
    try:
        right = policy_of(core, family, features, size)
        logits = module(features)
        if _fits(logits.log_softmax(dim=1), right.log_softmax(dim=1)):
            return None  # a constant that is added to all logits changes nothing
        return _compared(
            logits,
            right,
            "the policy's logits",
            iter(()),
            (lambda: module(features), lambda: policy_of(core, family, features, size)),
        )
    except Unlike as other:
        return Told.of(other)


def _trunk(module: nn.Module, config: TrialConfig, planes: Tensor, size: int) -> Told | None:
    """The stem, each block for the input that it gets, and the whole."""
    trunk = config.trunk
    core = _core(module, ("stem", "stages", "finish", "widen"))
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
    watched = [core.stem, *blocks]
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
        if told := _compared(seen[core.stem][1], out, "the stem", iter(()), runs):
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
            told = _compared(gave, own(given), f"block {number + 1}", others, both)
            if told:
                return told
        out = own(out)
    if trunk.block == "preact":
        norm = next(core.finish.children())
        out = activated(normalised(out, norm, trunk.norm, "trunk.finish"), trunk.activation)
    if out.shape[1] != trunk.features:
        out = _layered(out, core.widen, trunk.features, 1, config, "trunk.widen")
    return _compared(found, out, "the trunk's output", iter(()))


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
