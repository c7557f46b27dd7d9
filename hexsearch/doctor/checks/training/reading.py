"""The check of what a network reads: planes and cells that do not change its outputs at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import WatchedTrial

_POSITIONS = 64
_NAMES = ("the first mover's stones (Blue)", "the second mover's stones (Red)", "the side to move")


def check_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Gradients of both outputs with respect to the planes that are shown."""
    trial = pipeline.finite
    assert trial is not None and pipeline.shown is not None
    planes = torch.from_numpy(pipeline.shown.planes[:_POSITIONS])
    for (output, where), touched in _read(trial, planes).items():
        if output == "policy" and trial.config.policy_head.weight == 0:
            continue
        unread = _unread(touched) if where == "planes" else _unread_features(touched)
        if unread:
            yield Finding(
                "what is read",
                "error",
                f"on {len(planes)} positions the gradient of the {output} with respect to "
                f"{unread} is exactly 0",
                f"the {output} does not depend on {unread}: it is masked, cut off, sliced away or "
                "overwritten in the network",
                "look at slices, masks, pooling and padding in forward()",
                root="unread",
            )
            return
    yield from _unused_weights(trial)


def _read(trial: WatchedTrial, planes: Tensor) -> dict[tuple[str, str], Tensor]:
    """[C, H, W] largest gradient of each output over all positions, by output and by what is read.

    What is read are the planes, and the features that a head is given.
    """
    network = trial.network
    modes = {module: module.training for module in network.modules()}
    network.eval()
    shown = trial.execution.show(planes).detach().clone().requires_grad_(True)
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            given[name] = inputs[0]

        return look

    handles = [
        head.register_forward_pre_hook(keep(name))
        for name, head in (("value", network.value_head), ("policy", network.policy_head))
    ]
    try:
        output = network(shown)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    generator = torch.Generator().manual_seed(0)
    for name, values in (("value", output.value_raw), ("policy", output.policy_logits)):
        if not values.requires_grad:
            continue
        weights = torch.randn(values.shape, generator=generator)
        features = given.get(name)
        usable = features is not None and features.requires_grad and features.ndim == 4
        read = [shown, features] if usable and features is not None else [shown]
        gradients = torch.autograd.grad(
            (values.float() * weights).sum(), read, retain_graph=True, allow_unused=True
        )
        for place, gradient in zip(("planes", "features"), gradients, strict=False):
            if gradient is not None:
                found[name, place] = gradient.abs().amax(dim=0)
    for module, was in modes.items():
        module.training = was
    return found


def _unread_features(touched: Tensor) -> str:
    """Cells of the feature map that a head does not read; empty where it reads all."""
    cells = touched.amax(dim=0) == 0
    if bool(cells.all()) or int(cells.sum()) < 2:
        return ""
    return (
        f"{int(cells.sum())} of {cells.numel()} places of the feature map (its head sees a part of "
        "the board only)"
    )


def _unread(touched: Tensor) -> str:
    """Planes, rows, columns or cells without any influence; empty if there are none."""
    dead = touched == 0
    if bool(dead.all()) or not bool(dead.any()):
        return ""  # an output without any gradient is named by the check of gradients
    for number in range(len(touched)):
        if bool(dead[number].all()):
            name = _NAMES[number] if number < len(_NAMES) else ""
            return f"plane {number}" + (f", {name}" if name else "")
    cells = dead.all(dim=0)
    side = cells.shape[-1]
    for name, lines in (("row", cells.all(dim=1)), ("column", cells.all(dim=0))):
        if bool(lines.any()):
            numbers = lines.nonzero().flatten().tolist()
            return f"{name}(s) {', '.join(map(str, numbers[:4]))} of {side}"
    if int(cells.sum()) > 1:
        return f"{int(cells.sum())} of {side * side} cells"
    return ""


def _unused_weights(trial: WatchedTrial) -> Iterator[Finding]:
    """Weights that no loss moves in any step, while others of their part are moved."""
    steps = [step for step in trial.steps if step.value_gradient]
    if len(steps) < 2:
        return
    for owner, module in trial.network.parts().items():
        moves = any(bool(step.batch.has_move.any()) for step in steps)
        if owner == "policy_head" and (trial.config.policy_head.weight == 0 or not moves):
            continue
        start, unused, count = 0, [], 0
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            end = start + parameter.numel()
            flats = [
                gradient[owner][start:end]
                for step in steps
                for gradient in (step.value_gradient, step.policy_gradient, step.other_gradient)
                if owner in gradient
            ]
            count += 1
            if parameter.ndim > 1 and not any(bool(flat.any()) for flat in flats):
                unused.append(name)
            start = end
        if unused and len(unused) < count:
            yield Finding(
                "what is read",
                "error",
                f"{len(unused)} of {count} weights of the {owner.replace('_', ' ')}, such as "
                f"{unused[0]}, have a gradient of exactly 0 in {len(steps)} steps",
                f"part of the {owner.replace('_', ' ')} is frozen or not used: detached, under "
                "no_grad(), dead, or left out in forward()",
                "look for detach(), no_grad() and unused layers; remove what is not used",
                root="unread",
            )
            return
