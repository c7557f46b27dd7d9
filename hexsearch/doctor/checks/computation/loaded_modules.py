"""Checks of the modules of a trained network: initial, rounded and lost weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.checks.training.modules import equal_units, repeated, wrapping
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.edits.dead_units import dead_activations
from hexsearch.doctor.hypotheses.general.constants import own_chances, whatever_the_weights
from hexsearch.doctor.hypotheses.general.initial_weights import (
    Layer,
    has_hardly_moved,
    is_drawn,
    larger_layers,
)
from hexsearch.doctor.hypotheses.general.policy_frames import frames_of
from hexsearch.doctor.networks import Observed, take
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.strength import CONSTANT, Floats, sensible_auc, strength_of

_LEARNT = 0.65  # AUC from which on a network has learnt something
_KNOWS = 0.05  # nats above a uniform policy, from which a policy has learnt something
_RANKS = 0.2  # nats above free cells, from which on it knows the moves of a side
_MANY = 400  # weights that a layer must have to be looked at
_FEW_LEVELS, _MOST_LEVELS = 0.2, 256  # share, and number, of different weights that are few
_LOOKED_AT = 64  # positions whose activations are looked at
_BATCHES = 50  # batches that are no training
_MOVED = 0.06  # change of a norm's scale that takes more steps
_LAYERS = 3  # with so many of which most weights are 0, this is the cause of wrong answers
_ZEROS = 0.5  # share of weights of exactly 0 that is reported


def check_loaded_modules(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report modules of a user's network that were not trained, not loaded, or lost something."""
    model = pipeline.foreign.model if pipeline.foreign is not None else None
    if not isinstance(model, nn.Module):
        return
    yield from wrapping(model)
    yield from repeated(model)
    alike = list(equal_units(model))
    yield from alike
    if alike:
        return
    yield from _levels(model)
    if fixed := _fixed_value(pipeline):
        yield fixed
        return
    if dead := _dead_layer(pipeline) or _begun(model, pipeline.observed):
        yield dead
        return
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
            "batch-norm statistics were never computed, not loaded, or not copied into an average "
            "of the weights: the running statistics are the initial ones",
            "load the whole state_dict() with its buffers (an average copies them from the trained "
            "network), or compute the statistics again in train mode",
            root="initial statistics",
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


def _fixed_value(pipeline: ExaminedPipeline) -> Finding | None:
    """The finding for a value head whose output does not depend on its weights."""
    if pipeline.observed is None:
        return None
    found = whatever_the_weights(pipeline.foreign, pipeline.observed)
    if found is None:
        return None
    return Finding.error(
        "value heads",
        f"the raw value is the same number on all {len(pipeline.observed.raw):,} positions, and on "
        "others with random weights",
        *found,
        root="untrained",
    )


def _dead_layer(pipeline: ExaminedPipeline) -> Finding | None:
    """The finding for a constant value behind a relu whose units are all off."""
    foreign, observed = pipeline.foreign, pipeline.observed
    if foreign is None or observed is None or float(own_chances(observed).std()) > CONSTANT:
        return None
    chosen = np.linspace(0, len(observed.positions) - 1, _LOOKED_AT).astype(np.int64)
    dead, total = dead_activations(foreign, foreign.planes(take(observed.positions, chosen)))
    if not dead:
        return None
    return Finding.error(
        "value heads",
        f"of {total} relus that are called, {dead} give 0 for every unit of {_LOOKED_AT} "
        "positions; the value is constant",
        f"all units of {dead} of {total} relus are dead: what stands before them is below 0 at "
        "every position (biases far below 0, or a step that was far too large), so nothing behind "
        "them depends on the board, and no gradient reaches what stands before",
        "begin with biases of 0, lower the learning rate, or use a leaky activation; then train "
        "again",
        root="dead",
    )


def _begun(model: nn.Module, observed: Observed | None) -> Finding | None:
    """The finding for a weak network whose batch norms have counted a few batches."""
    auc = None if observed is None else observed.evaluation.metrics().overall.auc
    norms = [
        norm
        for norm in model.modules()
        if isinstance(norm, _BatchNorm) and norm.num_batches_tracked is not None
    ]
    counts = [int(norm.num_batches_tracked or 0) for norm in norms]
    if not counts or not 0 < max(counts) < _BATCHES or auc is None:
        return None
    # Statistics may have been computed anew with a few batches after a long training.
    if any(bool(((norm.weight - 1).abs() > _MOVED).any()) for norm in norms if norm.affine):
        return None
    if max(auc, 1 - auc) > _LEARNT:
        return None  # an inverted value has learnt, too
    return Finding.error(
        "untrained layers",
        f"no batch norm has counted more than {max(counts)} batches; positions are ranked with an "
        f"AUC of {auc:.2f}",
        f"the network was hardly trained: it has seen {max(counts)} batches (the loop was left "
        "early, few batches, or the file is one of the first checkpoints)",
        "load a later checkpoint, or train longer",
        root="begun",
    )


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
            root="zeros" if len(zero) >= _LAYERS else "levels",
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
    layers = larger_layers(model)
    auc = None if observed is None else observed.evaluation.metrics().overall.auc
    if observed is not None and table is not None and auc is not None and layers:
        # A wide network may learn with weights that hardly move, and hard games give a low AUC.
        least = min(_LEARNT, sensible_auc(table, observed.evaluation.red_won))
        if not auc > least and all(map(has_hardly_moved, layers.values())):
            yield _hardly_trained(layers, auc)
            return
    initial = [name for name, layer in layers.items() if is_drawn(layer)]
    if not initial or len(initial) == len(layers):
        return  # a network that is untrained as a whole is found by its answers
    poor = (
        observed is not None
        and table is not None
        and not (auc or 0.5) > _LEARNT
        and (_policy_knows(observed, table) or strength_of(observed, table).at_chance)
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


def _hardly_trained(layers: dict[str, Layer], auc: float) -> Finding:
    """The finding for a network whose weights are all near to initial ones."""
    return Finding.error(
        "untrained layers",
        f"the weights of all {len(layers)} larger layers are as long and as bounded as torch "
        f"draws initial ones; positions are ranked with an AUC of {auc:.2f}",
        "the network has initial weights, or nearly: its weights were not loaded, or were not "
        "those that the optimiser got, or it was hardly trained (too few steps, a learning rate "
        "that is far too small, gradients clipped to nearly nothing, an average of weights that "
        "hardly moves, or a schedule that ends too early, as if stepped after each batch)",
        "check that the file is that of the trained network and that load_state_dict() gets all of "
        "it with strict=True; if so, print the learning rate in the first and in the last step",
        root="untrained",
    )


def _policy_knows(observed: Observed, table: Floats) -> bool:
    """Whether the policy has learnt something."""
    known = any(each.gains[0] > _RANKS for each in frames_of(observed, observed.positions.size))
    return known or strength_of(observed, table).policy_gain > _KNOWS


def _has_initial_scale(norm: _BatchNorm) -> bool:
    """Whether a norm that could have been trained was not, or has lost what it learnt."""
    if not norm.affine:
        return False
    return bool((norm.weight == 1).all()) and not bool(norm.bias.any())


def _is_initial(norm: _BatchNorm) -> bool:
    assert norm.running_mean is not None and norm.running_var is not None
    ones = torch.ones_like(norm.running_var)
    return not bool(norm.running_mean.any()) and torch.equal(norm.running_var, ones)
