"""Checks of the network's modules: shared norms, and units with equal initial weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.board_maps import described
from hexsearch.doctor.hypotheses.general.policy_frames import frames_of
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.strength import Floats, strength_of
from hexsearch.doctor.watching import WatchedTrial

_ALIKE = 1e-6  # relative difference up to which weights are equal
_LEARNT = 0.65  # AUC from which on a network has learnt something
_KNOWS = 0.05  # nats above a uniform policy, from which a policy has learnt something
_RANKS = 0.2  # nats above free cells, from which on it knows the moves of a side
_MANY = 400  # weights that a layer must have to be compared with initial ones
_DRAWN = 1.63  # Kolmogorov's bound at 1%, times the root of the number of weights
_FEW_LEVELS, _MOST_LEVELS = 0.2, 256  # share, and number, of different weights that are few
_ZEROS = 0.5  # share of weights of exactly 0 that is reported
_UNITS = 4  # units that a layer must have to be looked at


def check_modules(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check the modules of the network that is trained."""
    trial = needed(pipeline.watched)
    yield from _edited_planes(trial)
    yield from _shared_layers(trial.network)
    yield from _equal_units(trial.network)
    yield from _wrapping(trial.network)


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


def _equal_units(network: nn.Module) -> Iterator[Finding]:
    """Report layers whose units all have the same weights."""
    alike = []
    for name, parameter in network.named_parameters():
        rows = parameter.detach().flatten(1) if parameter.ndim > 1 else None
        if rows is None or len(rows) < _UNITS or not bool(rows.any()):
            continue
        if float((rows - rows[:1]).abs().max()) < _ALIKE * max(float(rows.abs().max()), _ALIKE):
            alike.append(name)
    if alike:
        yield Finding.error(
            "modules",
            f"in {len(alike)} layer(s), such as {alike[0]}, all units have the same weights",
            "units begin with identical weights (a constant initialisation): they get the same "
            "gradient, stay equal, and are worth no more than one unit",
            "draw initial weights at random",
            root="norms",
        )


def _wrapping(network: nn.Module) -> Iterator[Finding]:
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


def check_loaded_modules(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report batch norms of a user's trained network that have their initial statistics."""
    model = pipeline.foreign.model if pipeline.foreign is not None else None
    if not isinstance(model, nn.Module):
        return
    yield from _wrapping(model)
    yield from _levels(model)
    initial = list(_initial_layers(model, pipeline.observed, pipeline.table))
    yield from initial
    if initial:
        return
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }
    untouched = [name for name, norm in norms.items() if _is_initial(norm)]
    trained = any(bool((norm.weight != 1).any()) for norm in norms.values() if norm.affine)
    if untouched and trained:
        yield Finding.error(
            "batch norm",
            f"{len(untouched)} of {len(norms)} batch norms, such as {untouched[0]}, have mean 0 "
            "and variance 1 in every channel, though their weights are trained",
            "batch-norm statistics were never computed, or not loaded: the running statistics are "
            "the initial ones",
            "load the whole state_dict() with its buffers, or compute the statistics again in "
            "train mode",
            root="norms",
        )
    elif norms and not untouched and all(map(_has_initial_scale, norms.values())):
        yield Finding.warning(
            "batch norm",
            f"all {len(norms)} batch norms have scale 1 and shift 0 in every channel, though their "
            "running statistics are those of a training",
            "the batch norms' scales and shifts (weight and bias) are at their initial values: "
            "they were lost in an export, not loaded, or never trained",
            "load the whole state_dict() strictly, gamma and beta included; if the norms were made "
            "with affine=False or kept fixed on purpose, all is well",
            root="norms",
        )
    elif not untouched:
        yield from _lost_part(norms)


def _levels(model: nn.Module) -> Iterator[Finding]:
    """Report layers whose weights take few different values, or are mostly 0."""
    few: dict[str, int] = {}
    zero: dict[str, float] = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or module.weight.numel() < _MANY:
            continue
        flat = module.weight.detach().float().reshape(-1)
        different = len(torch.unique(flat))
        if different < _FEW_LEVELS * len(flat) and different <= _MOST_LEVELS:
            few[name] = different
        elif float((flat == 0).float().mean()) > _ZEROS:
            zero[name] = float((flat == 0).float().mean())
    if few:
        name = max(few, key=lambda each: few[each])
        yield Finding.warning(
            "weights of the network",
            f"the weights of {len(few)} layer(s) take few values, those of {name} only {few[name]}",
            f"weights are rounded to few levels (quantised, or cast to integers, in {len(few)} "
            f"layers such as {name}): the network is not the one that was trained",
            "load the weights as they were saved, in floating point",
            root="levels",
        )
    elif zero:
        name = max(zero, key=lambda each: zero[each])
        yield Finding.warning(
            "weights of the network",
            f"in {len(zero)} layer(s) most weights are exactly 0, in {name} {zero[name]:.0%}",
            f"most weights of {name} are exactly 0 (pruned, masked, begun at zero and never "
            "trained, or not loaded)",
            "compare the weights with those of the training run",
            root="levels",
        )


def _lost_part(norms: dict[str, _BatchNorm]) -> Iterator[Finding]:
    """Report norms of which the shifts, or the scales, alone have their initial values."""
    affine = [norm for norm in norms.values() if norm.affine]
    if not affine:
        return
    scales = any(bool((norm.weight != 1).any()) for norm in affine)
    shifts = any(bool(norm.bias.any()) for norm in affine)
    if scales != shifts:
        lost, number, kept = ("shift", 0, "scales") if scales else ("scale", 1, "shifts")
        yield Finding.warning(
            "batch norm",
            f"all {len(affine)} batch norms have {lost} {number} in every channel, though their "
            f"{kept} are trained",
            f"the batch norms' {lost}s are at their initial value and the {kept} are not: they "
            "were lost in a conversion or an export",
            "convert weight and bias of every norm, together with its statistics; if the norms "
            f"were made without {lost}s on purpose, all is well",
            root="norms",
        )


def _initial_layers(
    model: nn.Module, observed: Observed | None, table: Floats | None
) -> Iterator[Finding]:
    """Report layers whose weights are still distributed as torch draws them, if others are not.

    By default torch draws weights and biases uniformly within 1 / sqrt(inputs of a unit).
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() >= _MANY
    }
    initial = [name for name, layer in layers.items() if _is_drawn(layer)]
    if not initial or len(initial) == len(layers):
        return  # a network that is untrained as a whole is found by its answers
    auc = None if observed is None else observed.evaluation.metrics().overall.auc
    poor = (
        observed is not None
        and table is not None
        and not (auc or 0.5) > _LEARNT
        and _policy_knows(observed, table)
    )
    answers = f"; positions are ranked with an AUC of {auc:.2f}" if poor else ""
    yield Finding(
        "untrained layers",
        "error" if poor else "warning",
        f"the weights of {len(initial)} of {len(layers)} larger layers, {', '.join(initial[:3])}, "
        "are uniform within 1 / sqrt(inputs), as torch draws initial weights; those of "
        f"{', '.join(name for name in layers if name not in initial)[:60]} are not"
        f"{answers}",
        f"part of the network was never trained, or its weights were not loaded: "
        f"{', '.join(initial[:3])} {'has' if len(initial) == 1 else 'have'} initial weights",
        "give the optimiser all parameters of the network, and load the whole state_dict() with "
        "strict=True; if these layers were kept at random on purpose, all is well",
        root="untrained" if poor else "norms",
    )


def _policy_knows(observed: Observed, table: Floats) -> bool:
    """Whether the policy has learnt something; if not, `strength` reports the whole network."""
    known = any(each.gains[0] > _RANKS for each in frames_of(observed, observed.positions.size))
    return known or strength_of(observed, table).policy_gain > _KNOWS


def _is_drawn(layer: nn.Conv2d | nn.Linear) -> bool:
    weights = layer.weight.detach().float()
    bound = float(weights[0].numel()) ** -0.5
    every = [weights.reshape(-1)]
    if layer.bias is not None:
        every.append(layer.bias.detach().float().reshape(-1))
    if any(float(part.abs().max()) > bound * (1 + 1e-5) for part in every):
        return False
    order = (every[0] / bound).sort().values.numpy()
    expected = 2 * (np.arange(len(order)) + 0.5) / len(order) - 1
    gap = float(np.abs(order - expected).max()) / 2  # of the distribution functions
    return gap < _DRAWN / np.sqrt(len(order)) and float(order[-1]) > 1 - 8 / len(order)


def _has_initial_scale(norm: _BatchNorm) -> bool:
    """Whether a norm that could have been trained was not, or has lost what it learnt."""
    if not norm.affine:
        return False
    return bool((norm.weight == 1).all()) and not bool(norm.bias.any())


def _is_initial(norm: _BatchNorm) -> bool:
    assert norm.running_mean is not None and norm.running_var is not None
    ones = torch.ones_like(norm.running_var)
    return not bool(norm.running_mean.any()) and torch.equal(norm.running_var, ones)
