"""Checks that outputs depend on all planes and cells, and that all weights are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.checks.training.first_weights import first_weights
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import enough
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.model.network import auxiliary_parts

_POSITIONS = 64  # positions whose gradients are computed
_FULL, _FEW = 24, 8  # boards with many stones, and positions whose channels are exchanged
_UNCHANGED = 1e-6  # largest difference of equal outputs, in their standard deviations
_UNSEEN = 0.1  # share of boards on which a stone may make no difference
_NAMES = ("the first mover's stones (Blue)", "the second mover's stones (Red)", "the side to move")


def check_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """No plane, cell or weight should have a gradient of exactly 0."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    count = enough(_POSITIONS, samples.planes.shape[-1])
    planes = torch.from_numpy(samples.planes[:count])
    unseen = list(_unseen_stones(pipeline, trial))
    for (output, where), largest in _largest_gradients(trial, planes).items():
        if output == "policy" and trial.config.policy_head.weight == 0:
            continue
        # A policy head needs no places beyond the board, as in a ring or where strides overlap it.
        spare = 0.5 if output == "policy" else 0.0
        unread = _unread(largest) if where == "planes" else _unread_features(largest, spare)
        if unread and not (unseen and unread.endswith("cells")):
            yield Finding.error(
                "what is read",
                f"on {len(planes)} positions the gradient of the {output} with respect to "
                f"{unread} is exactly 0",
                f"the {output} does not depend on {unread}: it is masked, cut off, sliced away or "
                "overwritten in the network",
                "look for slices, masks, pooling and padding in forward()",
                root="unread",
            )
            return
    found = [*_unused_weights(trial), *_alike_channels(trial, planes[:_FEW])]
    yield from found or unseen


def check_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """In a user's trained network, value and policy should depend on all planes and cells."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    count = min(4 * _POSITIONS, len(observed.positions))
    chosen = np.linspace(0, len(observed.positions) - 1, count).astype(np.int64)
    planes = foreign.planes(take(observed.positions, np.unique(chosen)))
    told = [n for n in range(planes.shape[1]) if bool((planes[:, n] != planes[:1, n]).any())]
    generator = torch.Generator().manual_seed(0)
    for output, values, leaves in foreign.with_gradient(planes):
        weights = torch.randn(values.shape, generator=generator)
        total = (values * weights).sum()
        try:
            (gradient,) = torch.autograd.grad(total, [leaves], retain_graph=True, allow_unused=True)
        except RuntimeError:  # a model that only answers may write into what a gradient needs
            return
        if gradient is None:
            continue
        unread = _unread(gradient.abs().amax(dim=0)[told], tuple("" for _ in told))
        if unread.startswith("plane "):
            number = told[int(unread.split()[1])]
            flat = bool((planes[:, number].flatten(1).std(dim=1) < 1e-6).all())
            unread = f"plane {number}" + (" (one number on each board)" if flat else "")
        else:
            flat = False
        still = gradient.abs().amax(dim=0) == 0.0
        if _tells(foreign, output, values, planes, still):
            continue  # stones that are looked up in a table have no gradient
        if unread and (output == "value" or not flat):
            yield Finding(
                "what is read",
                "warning" if flat else "error",
                f"on {len(planes)} positions the gradient of the {output} with respect to "
                f"{unread} is exactly 0",
                f"the {output} does not depend on {unread}: it is masked, cut off, sliced away or "
                "overwritten in the network, or its weights are 0",
                "look for slices, masks, pooling and padding in forward(), and for weights that "
                "were not loaded",
                root="unread",
            )
            return


def _tells(
    foreign: ForeignNetwork, output: str, values: Tensor, planes: Tensor, still: Tensor
) -> bool:
    """Whether an output changes if entries of the planes are those of the position before."""
    moved = torch.where(still, planes.roll(1, dims=0), planes)
    others = {name: each for name, each, _ in foreign.with_gradient(moved)}
    return output in others and bool((others[output] != values).any())


def _alike_channels(trial: WatchedTrial, planes: Tensor) -> Iterator[Finding]:
    """The value head must not give the same value for features in another order of channels."""
    network = trial.network
    with torch.no_grad(), in_eval_mode(network.modules()):
        features = network.trunk(trial.execution.show(planes))
        if features.ndim != 4 or features.shape[1] < 2:
            return
        value = network.value_head(features).float()
        other = network.value_head(features.flip(1)).float()
    spread = float(value.std())
    if spread > 1e-6 and float((value - other).abs().max()) < _UNCHANGED * 100 * spread:
        yield Finding.error(
            "what is read",
            f"with the {features.shape[1]} channels of the trunk's features in the opposite order "
            f"the value changes by less than {_UNCHANGED * 100:g} standard deviations",
            "the value head treats all channels alike: it takes a mean or a maximum over the "
            "channels (axis 1) where it should be over the cells",
            "pool over the rows and columns of the features, dim=(2, 3)",
            root="unread",
        )


def _unseen_stones(pipeline: ExaminedPipeline, trial: WatchedTrial) -> Iterator[Finding]:
    """Removing a single stone must change value or policy."""
    planes = torch.from_numpy(needed(pipeline.samples).planes)
    counts = planes[:, :2].gt(0.5).flatten(1).sum(dim=1)
    full = planes[counts.argsort(descending=True, stable=True)[:_FULL]]
    margin = (full.shape[-1] - needed(pipeline.compared).truth.size) // 2
    inside = torch.zeros_like(full[:, :2])
    side = full.shape[-1]
    inside[:, :, margin : side - margin, margin : side - margin] = 1.0
    chance = torch.rand(inside.shape, generator=torch.Generator().manual_seed(0))
    cell = (full[:, :2] * inside * chance).flatten(1).argmax(dim=1)
    fewer = full.clone()
    rows = torch.arange(len(full))
    fewer[:, :2] = full[:, :2].flatten(1).scatter(1, cell[:, None], 0.0).reshape(inside.shape)
    with torch.no_grad(), in_eval_mode(trial.network.modules()):
        some, other = (trial.network(trial.execution.show(each)) for each in (full, fewer))
    gap = (some.policy_logits - other.policy_logits).float().abs().amax(dim=1)
    gap = torch.maximum(gap, (some.value_raw - other.value_raw).float().abs())
    usable = (full != fewer).flatten(1).any(dim=1)
    outputs = (some.policy_logits.float(), some.value_raw.float())
    scale = max(*(float(each.std()) for each in outputs), 1e-9)
    if max(float(each.std(dim=0).max()) for each in outputs) < _UNCHANGED * scale:
        return  # all boards get one answer, as from dead units, which other checks find
    unseen = float((gap < _UNCHANGED * scale)[rows[usable]].float().mean())
    if int(usable.sum()) >= _FULL // 2 and unseen > _UNSEEN:
        yield Finding.error(
            "what is read",
            f"on {unseen:.0%} of {int(usable.sum())} boards with many stones neither value nor "
            "policy changes when one stone is removed",
            "single stones cannot be told apart: what is read first is not each cell but a maximum "
            "over neighbours (a pooling), a rounded or cut sum, or only part of the stones",
            "let a convolution or a linear layer read the planes themselves, without a pooling or "
            "a threshold before it",
            root="unread",
        )


def _largest_gradients(trial: WatchedTrial, planes: Tensor) -> dict[tuple[str, str], Tensor]:
    """[C, H, W] largest absolute gradient over all positions.

    It is that of a random combination of an output's entries, with respect to the planes and to the
    features at the input of the head, by (`value` or `policy`, `planes` or `features`).
    """
    network = trial.network
    leaves = trial.execution.show(planes).detach().clone().requires_grad_(True)
    inputs_of: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            inputs_of[name] = inputs[0]

        return look

    handles = [
        head.register_forward_pre_hook(keep(name))
        for name, head in (("value", network.value_head), ("policy", network.policy_head))
    ]
    try:
        with in_eval_mode(network.modules()):
            output = network(leaves.clone())  # it may write into its input
    finally:
        for handle in handles:
            handle.remove()
    largest = {}
    generator = torch.Generator().manual_seed(0)
    for name, values in (("value", output.value_raw), ("policy", output.policy_logits)):
        if not values.requires_grad:
            continue
        weights = torch.randn(values.shape, generator=generator)
        features = inputs_of.get(name)
        usable = features is not None and features.requires_grad and features.ndim == 4
        read = [leaves, features] if usable and features is not None else [leaves]
        gradients = torch.autograd.grad(
            (values.float() * weights).sum(), read, retain_graph=True, allow_unused=True
        )
        for place, gradient in zip(("planes", "features"), gradients, strict=False):
            if gradient is not None:
                largest[name, place] = gradient.abs().amax(dim=0)
    return largest


def _unread_features(largest: Tensor, spare: float) -> str:
    """In words, the cells of the feature map that a head does not read; empty if it reads all.

    Args:
        spare: share of the cells that it need not read.
    """
    cells = largest.amax(dim=0) == 0
    if bool(cells.all()) or int(cells.sum()) < max(2, spare * cells.numel()):
        return ""
    return (
        f"{int(cells.sum())} of {cells.numel()} places of the feature map (its head sees only part "
        "of the board)"
    )


def _unread(largest: Tensor, names: tuple[str, ...] = _NAMES) -> str:
    """In words, the plane, rows, columns or cells that an output does not read; empty if none."""
    dead = largest == 0
    if bool(dead.all()) or not bool(dead.any()):
        return ""  # check `gradient flow` reports an output without any gradient
    for number in range(len(largest)):
        if bool(dead[number].all()):
            name = names[number] if number < len(names) else ""
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
    """Report weights without a gradient in any step, in parts whose other weights have one."""
    steps = [step for step in trial.steps if step.value_gradient]
    if len(steps) < 2:
        return
    for owner, module in trial.network.parts().items():
        moves = any(bool(step.batch.has_move.any()) for step in steps)
        if trial.config.micro_batch and owner in auxiliary_parts(trial.network.auxiliary):
            continue  # the gradients of their losses are not recorded
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
            yield Finding.error(
                "what is read",
                f"{len(unused)} of {count} weights of the {in_words(owner)}, such as {unused[0]}, "
                f"have a gradient of exactly 0 in {len(steps)} steps",
                _begun_at_zero(trial, owner)
                or f"part of the {in_words(owner)} is frozen or not used: it is detached, under "
                "no_grad(), dead, or left out in forward()",
                "look for detach(), no_grad() and unused layers; remove layers that are not used",
                root="unread",
            )
            return


def _begun_at_zero(trial: WatchedTrial, owner: str) -> str:
    """In words, two layers behind each other that both begin at 0; empty if there are none."""
    zero = [n for n, first in first_weights(trial, owner).items() if not bool(first.any())]
    layers = sorted(n for n in zero if n.endswith("weight"))
    both = combinations(layers, 2)
    pairs = [(a, b) for a, b in both if a.rsplit(".", 2)[0] == b.rsplit(".", 2)[0]]
    if not pairs:
        return ""
    one, other = pairs[0]
    return (
        f"{one} and {other} both begin at 0 (a layer and the scale behind it): the gradient of "
        f"each is multiplied by the other, so neither ever changes, and {len(pairs)} such "
        f"branch(es) of the {in_words(owner)} never learn"
    )
