"""The check of what a network is given, against the batch norms' statistics of training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.general.flat_orders import flat_layers, orders, read_in_order
from hexsearch.doctor.hypotheses.general.norm_statistics import (
    NormGap,
    first_gap,
    norm_gaps,
    trained_levels,
    with_statistics_of,
)
from hexsearch.doctor.hypotheses.general.plane_changes import all_changes
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_POSITIONS, _TRIED = 1024, 256  # positions that are compared, and those that changes are tried on
_OTHER, _FAR = 0.4, 0.7  # gaps of the first norm with and without an explanation
_RESTORED = 0.4  # share of it that the right planes may leave over
_EQUAL = 1.15  # factor on the smallest gap up to which a simpler change is preferred
_SAME, _APART = 0.35, 0.6  # gaps of a norm that is as in training, and of one that is not
_JUMP = 4.0  # factor by which the gap grows from one norm to the next
_STALE, _GAIN = 0.3, 0.01  # gap from which on new statistics are tried, and what they must gain
_NEAR, _REORDERED = 6, 0.03  # plies to the end, and gain of another order of features
_LEVEL = 0.1  # difference of the means of a plane that is told
_REMEDY = (
    "encode as in training: compare encode() and what load() returns with the code of the training "
    "run, plane by plane and layer by layer"
)


def check_seen(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the inputs of a user's batch norms with the statistics that they kept."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    network = foreign.model
    if not isinstance(network, nn.Module):
        return
    rng = np.random.default_rng(SEED)
    count = min(_POSITIONS, len(observed.positions))
    chosen = np.sort(rng.choice(len(observed.positions), count, replace=False))
    positions = take(observed.positions, chosen)
    planes = foreign.planes(positions)
    gaps = norm_gaps(network, lambda: foreign.respond(planes))
    if not gaps:
        return
    if gaps[0].gap > _OTHER:
        red = torch.from_numpy(positions.plies % 2 == 1)
        yield from _other_planes(network, gaps[0], planes, red)
        return
    found = list(_other_computation(gaps))
    yield from found
    if not found and max(each.gap for each in gaps) > _STALE:
        won = observed.evaluation.red_won[chosen]
        game = observed.evaluation.game[chosen]
        yield from _stale(foreign, network, positions, planes, won, game)


def _stale(
    foreign: ForeignNetwork,
    network: nn.Module,
    positions: Positions,
    planes: Tensor,
    won: NDArray[np.float64],
    game: NDArray[np.int64],
) -> Iterator[Finding]:
    """The finding for norms whose statistics of these planes give clearly better answers."""
    renewed = ForeignNetwork(with_statistics_of(network, planes), foreign.encoded, foreign.size)
    errors = []
    for each in (foreign, renewed):
        answers = each.reported(each.respond(planes)[1], positions).double().numpy()
        errors.append(np.square(np.clip(answers, 0.0, 1.0) - won))
    gains = errors[0] - errors[1]
    noise = clustered_error(gains - gains.mean(), game)
    if gains.mean() > max(_GAIN, 4 * noise):
        yield Finding.error(
            "batch norm",
            f"with batch-norm statistics of these positions the value loss is "
            f"{errors[1].mean():.3f}, and {errors[0].mean():.3f} with those of the network",
            "batch-norm statistics are not those of what the network is given: they were taken on "
            "few or other positions, in the last batches, or with other weights",
            "compute the statistics over a few thousand training positions after the last step, "
            "and save them with the weights",
            root="norms",
        )


def _other_planes(
    network: nn.Module, norm: NormGap, planes: Tensor, red: Tensor
) -> Iterator[Finding]:
    """The finding for a first norm that gets other inputs than in training."""
    levels = [
        f"plane {number}: {then:.2f} in training, {now:.2f} now"
        for number, (then, now) in enumerate(trained_levels(network, norm.name, planes))
        if abs(then - now) > _LEVEL
    ]
    told = f"; by these statistics the means of the planes are {', '.join(levels)}"
    told = told if levels else ""
    step = max(len(planes) // _TRIED, 1)
    some, rows = planes[::step], red[::step]

    def gap(shown: Tensor) -> float:
        with torch.no_grad():
            return first_gap(network, norm.name, lambda: network(shown.contiguous()))

    own = gap(some)
    tried = [(gap(change(some)), name) for name, change in all_changes(some, rows)]
    least = min((each for each, _ in tried), default=float("inf"))
    evidence = (
        f"the inputs of the first batch norm, {norm.name}, differ from its statistics of training "
        f"by {norm.gap:.1f} (median over its channels of the difference of the means in standard "
        "deviations plus the logarithm of the ratio of the deviations)"
    )
    if least < _RESTORED * own:
        name = next(name for each, name in tried if each <= _EQUAL * least)
        yield Finding.error(
            "planes of the network",
            f"{evidence}, and by {least:.1f} if the network is given {name}{told}",
            f"the network was trained on other planes than it is given: it expects {name}",
            "encode as in training: the same order, scale and meaning of planes",
            root="reading",
        )
        return
    if norm.gap < _FAR:
        return
    yield Finding.warning(
        "planes of the network",
        f"{evidence}{told}; turned, shifted, scaled and exchanged planes do not explain it",
        "the network gets other inputs than in training: other planes ("
        f"{'; '.join(levels) or 'another scale, another meaning or another order'}), positions of "
        "another kind than these games, or the statistics of its batch norms are not those of its "
        "weights",
        _REMEDY,
        root="norms",
    )


def _other_computation(gaps: list[NormGap]) -> Iterator[Finding]:
    """The finding for a norm that gets other inputs although an earlier one gets the same."""
    for before, norm in pairwise(gaps):
        if before.gap < _SAME and norm.gap > max(_APART, _JUMP * before.gap):
            yield Finding.warning(
                "batch norm",
                f"the inputs of the batch norms up to {before.name} agree with their statistics of "
                f"training (within {before.gap:.2f}), and those of {norm.name} differ by "
                f"{norm.gap:.1f}",
                f"between {before.name} and {norm.name} the network computes something else than "
                "in training: another activation, a part that is left out or added, other weights, "
                "or statistics that are not those of its weights",
                _REMEDY,
                root="norms",
            )
            return


def check_flat_orders(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Try other orders in which linear layers may have read the board's features in training."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    network, near = foreign.model, np.flatnonzero(observed.evaluation.to_end <= _NEAR)
    if not isinstance(network, nn.Module) or len(near) < _TRIED:
        return
    chosen = np.sort(np.random.default_rng(SEED).permutation(near)[: 2 * _TRIED])
    positions = take(observed.positions, chosen)
    planes = foreign.planes(positions)
    won, game = observed.evaluation.red_won[chosen], observed.evaluation.game[chosen]

    def errors() -> NDArray[np.float64]:
        answers = foreign.reported(foreign.respond(planes)[1], positions).double().numpy()
        return np.square(np.clip(np.nan_to_num(answers, nan=0.5), 0.0, 1.0) - won)

    own = errors()
    best, told = 0.0, ("", "", own)
    for name, layer in flat_layers(network, foreign.size**2).items():
        for words, places in orders(layer, foreign.size):
            with read_in_order(layer, places):
                other = errors()
            if float((own - other).mean()) > best:
                best, told = float((own - other).mean()), (name, words, other)
    name, words, other = told
    gains = own - other
    if name and best > max(_REORDERED, 4 * clustered_error(gains - gains.mean(), game)):
        yield Finding.error(
            "order of features",
            f"within {_NEAR} plies of the end the value loss is {own.mean():.3f}, and "
            f"{other.mean():.3f} if {name} reads its {len(planes[0, 0].flatten())} cells {words}",
            f"{name} reads the features of the board in another order than in training: its "
            f"weights belong to features that are flattened {words} (an export from another "
            "library, or a permute() or view() that is missing)",
            "flatten the features as in training, or reorder the columns of this layer's weights",
            root="reading",
        )
