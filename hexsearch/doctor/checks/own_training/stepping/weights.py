"""Looks at which weights of a user's network its training moves."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.initial_weights import is_drawn, larger_layers
from hexsearch.doctor.own_training.recording import Recording
from hexsearch.doctor.own_training.seen import SeenStep

_MOVED = 0.02  # mean change of planes that are those of the same positions
_HEAD = 4  # weights that a head of its own may have


def unheld(recording: Recording) -> list[Finding]:
    """Weights that no optimiser holds."""
    first = recording.steps[0]
    if recording.unregistered:
        return [
            Finding.error(
                "training steps",
                f"the network computes with {len(recording.unregistered)} weights that none of its "
                "modules holds",
                "modules are not registered: they are in a plain list or dict, so parameters() "
                "does not give them to the optimiser, and state_dict() does not save them",
                "keep modules in attributes, nn.ModuleList, nn.ModuleDict or nn.Sequential",
                root="structure",
            )
        ]
    names = set(first.moved) | set(first.unheld)
    held = {n for s in recording.steps for n in names - set(s.unheld)}
    frozen = set(first.frozen).intersection(*(s.frozen for s in recording.steps))
    if begun := _frozen_at_first(recording, frozen - held):
        return [
            Finding.error(
                "training steps",
                f"{len(begun)} layers need no gradient in all {len(recording.steps)} steps and "
                f"have the weights that torch draws, such as {begun[0]}",
                f"a part of the network is frozen at its initial weights (requires_grad is False): "
                f"{_parts(begun)} is never trained",
                "freeze only what was trained before; let all other weights require gradients "
                "before the optimiser is made",
                root="frozen",
            )
        ]
    names -= frozen - held  # on purpose, as it seems
    outside = sorted(names - held)
    return _outside(first, outside, names) if outside else []


def _outside(first: SeenStep, outside: list[str], names: set[str]) -> list[Finding]:
    """The finding for weights that are in no parameter group, some or all of them."""
    if len(outside) == len(names):
        return [
            Finding.error(
                "training steps",
                f"{first.optimiser} holds none of the {len(names)} weights of the network that "
                "is trained",
                "the optimiser has the weights of another network: it was made before the network "
                "was replaced, copied or loaded",
                "make the optimiser from the parameters of the network that computes the loss",
                root="parameter groups",
            )
        ]
    return [
        Finding.error(
            "training steps",
            f"{len(outside)} of {len(names)} weights of the network are in no parameter group "
            f"of an optimiser, such as {', '.join(outside[:3])}",
            f"a part of the network is never trained: {_parts(outside)} is "
            + (
                f"kept in a plain list or dict ({first.listed}), so it is not registered: "
                "parameters() does not give it to the optimiser, and state_dict() does not "
                "save it"
                if first.listed
                else "not given to the optimiser"
            ),
            "give the optimiser all parameters (network.parameters()), also of modules that "
            "were added later; freeze on purpose with requires_grad_(False)",
            root="parameter groups",
        )
    ]


def _frozen_at_first(recording: Recording, frozen: set[str]) -> list[str]:
    """Names of frozen layers whose weights are distributed as torch draws them."""
    layers = {
        f"{name}.{place}" if place else name: layer
        for name, network in recording.network.items()
        for place, layer in larger_layers(network).items()
    }
    return [n for n, layer in layers.items() if f"{n}.weight" in frozen and is_drawn(layer)]


def halved(recording: Recording) -> list[Finding]:
    """Weights that are kept in half precision, in which small steps are lost."""
    first = recording.steps[0]
    if not first.halved or len(first.halved) < len(first.moved) / 2:
        return []
    lost = [share for step in recording.steps for share in step.unchanged.values()]
    still = f", and a step leaves {np.median(lost):.0%} of their numbers as they were"
    return [
        Finding.error(
            "training steps",
            f"{len(first.halved)} of {len(first.moved)} weights that the optimiser holds are in "
            f"half precision{still if lost else ''}",
            "the weights themselves are kept in half precision (bfloat16, float16): a step that is "
            "smaller than about 1/256 of a weight is rounded away, so much of the training is lost",
            "keep the weights and the optimiser in float32, and use torch.autocast for the "
            "forward pass",
            root="steps half",
        )
    ]


def silenced(recording: Recording) -> list[Finding]:
    """Norms whose scales are zero, behind which there is nothing."""
    norms = {
        f"{name}.{n}": module
        for name, network in recording.network.items()
        for n, module in network.named_modules()
        if isinstance(module, _BatchNorm | nn.GroupNorm | nn.LayerNorm)
        and module.weight is not None
    }
    zero = [name for name, module in norms.items() if not bool(module.weight.any())]
    # The last norm of each residual block may begin at zero, on purpose.
    if not zero or len(zero) < len(norms):
        return []
    return [
        Finding.error(
            "training steps",
            f"the scales of all {len(norms)} norms are 0 after {len(recording.steps)} steps, such "
            f"as {zero[0]}.weight",
            "the scales (weights) of the norms are set to 0, by an initialisation of all vectors, "
            "for instance: nothing passes them, and no gradient comes back",
            "initialise scales of norms with 1, and biases with 0",
            root="steps rate",
        )
    ]


def remade(recording: Recording) -> list[Finding]:
    """Optimisers that begin anew with each step, and gradients that no step uses."""
    steps = recording.steps
    begun = sum(step.is_first for step in steps)
    networks = len({frozenset(step.moved) for step in steps})
    kinds = {type(each) for each in recording.network.values()}
    if len(steps) > 4 and networks > len(steps) / 2 and len(kinds) < networks / 2:
        return [
            Finding.error(
                "training steps",
                f"{len(steps)} steps move the weights of {networks} networks of {len(kinds)} class",
                "the network is made anew for each batch, so nothing that it has learned is kept",
                "make the network and its optimiser once, before the first batch",
                root="steps remade",
            )
        ]
    if len(steps) > 4 and begun > len(steps) / 2 and begun > networks:
        return [
            Finding.error(
                "training steps",
                f"{steps[0].optimiser} has no state before {begun} of {len(steps)} steps",
                "the optimiser is made anew for each step or batch, so its state (momentum, "
                "averages of gradients, number of steps) is lost each time",
                "make the optimiser once, before the first batch",
                root="steps remade",
            )
        ]
    dropped = float(np.median([step.dropped for step in steps]))
    shown = [_batches(step) for step in steps]
    if dropped >= 1 and float(np.median(shown)) > dropped:
        return [
            Finding.error(
                "training steps",
                f"between two steps gradients are computed for {np.median(shown):.0f} batches and "
                f"cleared {dropped:.0f} times",
                "only the last of several batches is learned from: gradients are cleared before "
                "each backward(), and step() is called less often",
                "call step() for each batch, or zero_grad() only after each step()",
                root="steps dropped",
            )
        ]
    return []


def _batches(step: SeenStep) -> int:
    """Different batches of a step; one that is moved a little along its gradient is the same."""
    found: list[Tensor] = []
    for planes in (each.planes.float() for each in step.passes):
        alike = [each for each in found if each.shape == planes.shape]
        if not any(float((each - planes).abs().mean()) < _MOVED for each in alike):
            found.append(planes)
    return len(found)


def stuck(recording: Recording) -> list[Finding]:
    """Weights that an optimiser holds and that never move; outputs that share no weight."""
    weights = {n for s in recording.steps for n in s.moved if n.endswith(("weight", "bias"))}
    still = sorted(n for n in weights if all(s.moved.get(n, 0.0) == 0.0 for s in recording.steps))
    # A bias before a softmax over all cells, or before a norm, changes nothing and may stand still.
    still = [
        n for n in still if not (n.endswith("bias") and f"{n[:-4]}weight" in weights - {*still})
    ]
    frozen = set(still).intersection(*(s.frozen for s in recording.steps))
    if frozen and len(frozen) == len(still) < len(weights):
        return [
            Finding.warning(
                "training steps",
                f"{len(still)} of {len(weights)} weights have requires_grad False in all "
                f"{len(recording.steps)} steps that were watched, such as {', '.join(still[:3])}",
                f"a part of the network is frozen: {_parts(still)} is not trained, unless later "
                "steps thaw it, and the rest learns from the features of its first weights",
                "set requires_grad to True after the first steps, or do not freeze it; if this is "
                "on purpose (weights of an earlier training), all is well",
                root="frozen",
            )
        ]
    if still and len(still) < len(weights):
        return [
            Finding.error(
                "training steps",
                f"{len(still)} of {len(weights)} weights do not change in {len(recording.steps)} "
                f"steps, such as {', '.join(still[:3])}",
                f"no gradient reaches a part of the network: {_parts(still)} is frozen, detached, "
                "under no_grad(), or not used by the loss",
                "look for requires_grad_(False), detach() and no_grad(), and for modules that the "
                "loss does not use",
                root="unread",
            )
        ]
    # What is frozen has no gradient to share.
    return [] if recording.steps[0].frozen else _apart(recording)


def _apart(recording: Recording) -> list[Finding]:
    """Report a value that trains its own head alone, while the policy trains the trunk."""
    matrices = [
        {n for n in reached if n.endswith("weight")} for reached in recording.reached.values()
    ]
    for own in matrices:
        others = set().union(*(each for each in matrices if each is not own))
        if 0 < len(own) <= _HEAD and len(others) > len(own) + 1 and not own & others:
            named = ", ".join(sorted(own)[:3])
            return [
                Finding.error(
                    "training steps",
                    f"one output of the network depends on {len(own)} weights ({named}), the "
                    f"others on {len(others)}, and they have none in common",
                    f"a head is detached from the trunk: {_parts(sorted(own))} gets features "
                    "without a gradient (detach(), no_grad()), so its loss trains the head alone",
                    "give the head the features themselves",
                    root="detached value",
                )
            ]
    return []


def _parts(names: list[str]) -> str:
    """The modules that hold these weights, in words."""
    tops = sorted({name.split(".")[1] if "." in name else name for name in names})
    return ", ".join(tops[:3]) + (f" and {len(tops) - 3} more" if len(tops) > 3 else "")
