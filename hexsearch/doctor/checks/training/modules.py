"""Checks of the network's modules: shared norms, and units with equal initial weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.board_maps import described
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.execution import resolve_execution

_ALIKE = 1e-6  # relative difference up to which weights are equal
_NOTHING = 1e-6  # weights that are all smaller have been shrunk, and tell of no beginning
_UNITS = 4  # units that a layer must have to be looked at


def check_modules(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check the modules of the network that is trained."""
    trial = needed(pipeline.watched)
    yield from _edited_planes(trial)
    yield from _shared_layers(trial.network)
    yield from list(equal_units(trial.network)) or _equal_at_first(pipeline)
    yield from wrapping(trial.network)
    yield from repeated(trial.network)
    yield from _precision(pipeline)


def _precision(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report a number format that is configured and in which nothing would be computed.

    The trial that is examined computes in float32.
    """
    config, device = needed(pipeline.config), torch.device("cpu")
    wanted = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(config.precision)
    if wanted is None:
        return
    with resolve_execution(config, device).autocast(device):
        found = torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype
    if found is not wanted:
        yield Finding.error(
            "modules",
            f"precision is {config.precision}, and inside the autocast of training a product of "
            f"matrices is {str(found).removeprefix('torch.')}",
            f"the configured precision ({config.precision}) has no effect: autocast is not "
            "enabled, so all is computed in float32",
            "run the forward pass of training inside autocast with the configured format",
            root="precision",
        )


def _edited_planes(trial: WatchedTrial) -> Iterator[Finding]:
    """Report a network that writes into the planes that it is given."""
    if trial.edited is None:
        return
    before, after = (each.float().cpu().numpy() for each in trial.edited)
    if not np.isfinite(before).all():
        return
    how = described(after, before)
    yield Finding.error(
        "modules",
        f"after a forward pass {float((before != after).mean()):.0%} of the numbers on the planes "
        "are others than before it",
        "the network changes the planes that it is given, in place: a second call for the same "
        f"batch sees other boards{f' ({how}, where it was given right ones)' if how else ''}",
        "do not write into the input: no operation with a trailing underscore, no out=, no "
        "inplace=True on the first layer, and no assignment to slices of it",
    )


def _shared_layers(network: nn.Module) -> Iterator[Finding]:
    names: dict[int, list[str]] = defaultdict(list)
    for name, module in network.named_modules(remove_duplicate=False):
        if isinstance(module, _BatchNorm):
            names[id(module)].append(name)
    shared = next((each for each in names.values() if len(each) > 1), None)
    if shared:
        yield Finding.error(
            "modules",
            f"one batch norm is used in {len(shared)} places: {', '.join(shared[:3])}",
            "a batch norm is shared by several places: its running statistics are mixed, so that "
            "evaluation normalises by other statistics than training",
            "create a separate norm for every place",
            root="norms",
        )
        return
    places: dict[int, list[str]] = defaultdict(list)
    for name, module in network.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Conv2d | nn.Linear):
            places[id(module)].append(name)
    tied = [each for each in places.values() if len(each) > 1]
    if tied:
        yield Finding.warning(
            "modules",
            f"{len(tied)} layer(s) are used in several places each, such as "
            f"{' and '.join(tied[0][:3])}",
            f"{' and '.join(tied[0][:3])} are one and the same layer: their weights are shared "
            "(tied), so the network has fewer weights than it seems to have",
            "create a separate layer for every place; if weights are shared on purpose, all is "
            "well",
            root="norms",
        )
        return
    of_weight: dict[int, list[str]] = defaultdict(list)
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(weight, Tensor):
            of_weight[weight.data_ptr()].append(name)
    shared_by = next((each for each in of_weight.values() if len(each) > 1), None)
    if shared_by:
        told = " and ".join(shared_by[:3])
        yield Finding.warning(
            "modules",
            f"the weights of {told} are one tensor",
            f"{told} share one weight by reference (one tensor in several layers): it gets the "
            "gradients of all of them, and the network has fewer weights than it seems to have",
            "give each layer a weight of its own; if weights are shared on purpose, all is well",
            root="norms",
        )


def equal_units(network: nn.Module) -> Iterator[Finding]:
    """Report layers whose units all have the same weights."""
    alike = []
    for name, parameter in network.named_parameters():
        rows = parameter.detach().flatten(1) if parameter.ndim > 1 else None
        if rows is None or len(rows) < _UNITS or float(rows.abs().max()) < _NOTHING:
            continue
        if rows.shape[1] == 1:
            continue  # a scale for each channel, as of a norm
        if float((rows - rows[:1]).abs().max()) < _ALIKE * max(float(rows.abs().max()), _ALIKE):
            alike.append(name)
    if alike:
        yield Finding.error(
            "modules",
            f"in {len(alike)} layer(s), such as {alike[0]}, all units have the same weights",
            "units begin with identical weights (a constant initialisation): they get the same "
            "gradient, stay equal, and are worth no more than one unit",
            "draw initial weights at random",
            root="equal units",
        )


def _equal_at_first(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The same before the first step, which layers behind them may have told apart since."""
    trial = pipeline.new_trial(needed(pipeline.watched).max_positions)
    for finding in equal_units(trial.network) if trial is not None else ():
        yield Finding.warning(
            "modules",
            f"{finding.evidence} before the first step",
            "units begin with identical weights (a constant initialisation) and differ only by "
            "what later layers send back: much of what they learn is the same",
            finding.remedy,
            root="equal units",
        )


def wrapping(network: nn.Module) -> Iterator[Finding]:
    """Convolutions that go on beyond an edge of the board where it begins on the other side."""
    names = [
        name
        for name, module in network.named_modules()
        if getattr(module, "padding_mode", "zeros") == "circular"
    ]
    if names:
        yield Finding.error(
            "modules",
            f"{len(names)} convolution(s), such as {names[0]}, have padding_mode 'circular'",
            "convolutions wrap around: opposite edges of the board are joined, and a network "
            "cannot see where the edges are that have to be connected",
            "pad with zeros (padding_mode='zeros'), or show the edges as a ring of cells",
            root="norms",
        )


def repeated(network: nn.Module) -> Iterator[Finding]:
    """Containers in which one module with weights stands at several places."""
    for name, module in network.named_modules():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            continue
        parts = [part for part in module if any(True for _ in part.parameters())]
        distinct = len({id(part) for part in parts})
        if distinct < len(parts):
            yield Finding.warning(
                "modules",
                f"{name or type(module).__name__} has {len(parts)} parts with weights, and "
                f"{distinct} of them are different modules",
                "one module stands at several places, which share all of its weights ([block] * "
                "depth makes references, not copies): the network has fewer layers than it seems",
                "make a new module for each place: [Block() for _ in range(depth)]; share weights "
                "only on purpose",
                root="structure",
            )
            return
