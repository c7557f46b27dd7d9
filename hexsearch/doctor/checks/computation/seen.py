"""The check of what a network is given, against the batch norms' statistics of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.checks.computation.departures import REMEDY, located, other_computation
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.blank_planes import BlankPlanes, with_history
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
_STALE, _GAIN = 0.3, 0.01  # gap from which on new statistics are tried, and what they must gain
_OF_A_KIND, _FEW = 0.25, 40  # gap from which on kinds of positions are compared; positions of each
_RIGHT = 0.25  # gap that the right planes stay below
_FINISHED = "finished boards"  # a network that has seen nothing else cannot play
_POOR = 0.25  # value loss above which answers are worse than 50%
_WELL = 0.22  # value loss below which a network answers well
_LEVEL = 0.1  # difference of the means of a plane that is told


def check_seen(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the inputs of a user's batch norms with the statistics that they kept."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    network = foreign.model
    if not isinstance(network, nn.Module) or _has_seen_nothing(network):
        return
    rng = np.random.default_rng(SEED)
    count = min(_POSITIONS, len(observed.positions))
    chosen = np.sort(rng.choice(len(observed.positions), count, replace=False))
    positions = take(observed.positions, chosen)
    planes = foreign.planes(positions)
    gaps = norm_gaps(network, lambda: foreign.respond(planes))
    if not gaps:
        return
    evaluation = observed.evaluation
    won, game = evaluation.red_won[chosen], evaluation.game[chosen]
    red = torch.from_numpy(positions.plies % 2 == 1)
    answers_well = evaluation.metrics().overall.value_loss < _WELL
    found = list(_blank_planes(foreign, network, gaps[0], positions, planes, answers_well))
    if not found and gaps[0].gap > _OTHER:
        found = list(_other_planes(network, gaps[0], planes, red))
    if not found and gaps[0].gap > _OF_A_KIND:
        kinds = _kinds(evaluation.to_end[chosen], evaluation.ply[chosen])
        poor = evaluation.metrics().overall.value_loss > _POOR
        found = list(_other_positions(network, gaps[0], planes, kinds, poor))
    if not found:
        found = list(other_computation(gaps, evaluation.metrics().overall.value_loss > _POOR))
    if not found and max(each.gap for each in gaps) > _STALE:
        found = list(_stale(foreign, network, positions, planes, won, game))
        found = [located(each, gaps, network, lambda: foreign.respond(planes)) for each in found]
    if not found and gaps[0].gap > _FAR:
        found = [_unknown(network, gaps[0], planes)]
    yield from found


def _blank_planes(
    foreign: ForeignNetwork,
    network: nn.Module,
    norm: NormGap,
    positions: Positions,
    planes: Tensor,
    answers_well: bool,
) -> Iterator[Finding]:
    """The finding for planes that tell nothing here and were filled in training."""
    blank = BlankPlanes(planes)
    if norm.gap < _OF_A_KIND or not blank.numbers or not blank.told:
        return
    rows = np.arange(0, len(planes), max(len(planes) // _TRIED, 1))
    some = torch.from_numpy(rows)
    tried = [
        (first_gap(network, norm.name, filled), name)
        for name, filled in with_history(
            foreign.encoded, take(positions, rows), planes[some], blank
        )
    ]
    own = first_gap(network, norm.name, planes[some])
    least, name = min(tried, default=(float("inf"), ""))
    restored = least < min(_RESTORED * own, _RIGHT)
    # A network that answers well without its history is used as well as it can be.
    yield Finding(
        "planes of the network",
        "warning" if answers_well and not restored and not blank.copies else "error",
        f"{_differing(norm)}{_levels(network, norm, planes)}; here {blank}"
        + (f", and the difference is {least:.2f} with {name}" if restored else ""),
        f"{blank} at every position here, and were filled in training, by the statistics of the "
        "first batch norm"
        + (
            f": the network expects {name}, its history, which the encoder leaves out"
            if restored
            else ": the encoder leaves something out (a history, or another feature)"
        ),
        "fill these planes as in training; an encoder that gets only the board cannot show a "
        "history, so keep the earlier boards of the game, or train without history planes",
        root="blank planes",
    )


def _has_seen_nothing(network: nn.Module) -> bool:
    """Whether all statistics are the initial ones, as in a network that was never trained."""
    means = [b for name, b in network.named_buffers() if name.endswith("running_mean")]
    return all(not mean.any() for mean in means)


def _kinds(to_end: NDArray[np.int64], ply: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """[P] whether positions are of a kind that a network may have been trained on alone."""
    share = ply / np.maximum(ply + to_end, 1)
    return {
        _FINISHED: to_end == 0,
        "positions at most three plies before the end": to_end <= 3,
        "the last third of each game": share >= 2 / 3,
        "the first third of each game": share <= 1 / 3,
        "the first half of each game": share <= 1 / 2,
        "positions where Red is to move": ply % 2 == 1,
        "positions where Blue is to move": ply % 2 == 0,
    }


def _other_positions(
    network: nn.Module,
    norm: NormGap,
    planes: Tensor,
    kinds: dict[str, NDArray[np.bool_]],
    is_poor: bool,
) -> Iterator[Finding]:
    """The finding for statistics that fit the positions of one kind alone."""
    gaps = {
        name: first_gap(network, norm.name, planes[torch.from_numpy(rows)])
        for name, rows in kinds.items()
        if rows.sum() >= _FEW
    }
    name = min(gaps, key=lambda each: gaps[each], default="")
    if name and gaps[name] < _RESTORED * norm.gap:
        yield Finding(
            "positions of the network",
            "error" if name == _FINISHED or is_poor else "warning",
            f"the inputs of the first batch norm, {norm.name}, differ from its statistics of "
            f"training by {norm.gap:.2f} on all positions of these games, and by "
            f"{gaps[name]:.2f} on {name}",
            f"the network was trained on {name} only, by the statistics of its first batch norm: "
            "it has not seen other positions (a filter, a board that is not copied, so that all "
            "samples of a game hold its last board, or the wrong rows)",
            "train on positions of all stages, each with its own board",
            root="positions",
        )


def _stale(
    foreign: ForeignNetwork,
    network: nn.Module,
    positions: Positions,
    planes: Tensor,
    won: NDArray[np.float64],
    game: NDArray[np.int64],
) -> Iterator[Finding]:
    """The finding for norms whose statistics of these planes give clearly better answers."""
    copy = with_statistics_of(network, planes)
    if copy is None:
        return
    renewed = ForeignNetwork(copy, foreign.encoded, foreign.size)
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
            "batch-norm statistics are not those of what the network is given: they lag behind "
            "weights that still moved fast (a short training, or a rate that is high to its end), "
            "or were taken on few or other positions, or with other weights",
            "compute the statistics over a few thousand training positions after the last step, "
            "and save them with the weights",
            root="norms",
        )


def _other_planes(
    network: nn.Module, norm: NormGap, planes: Tensor, red: Tensor
) -> Iterator[Finding]:
    """The finding for a first norm that gets other inputs than in training."""
    step = max(len(planes) // _TRIED, 1)
    some, rows = planes[::step], red[::step]

    own = first_gap(network, norm.name, some)
    tried = [
        (first_gap(network, norm.name, change(some)), name)
        for name, change in all_changes(some, rows)
    ]
    least = min((each for each, _ in tried), default=float("inf"))
    if least < min(_RESTORED * own, _RIGHT):
        name = next(name for each, name in tried if each <= _EQUAL * least)
        yield Finding.error(
            "planes of the network",
            f"{_differing(norm)}, and by {least:.2f} if the network is given {name}"
            f"{_levels(network, norm, planes)}",
            f"the network was trained on other planes than it is given: it expects {name}",
            "encode as in training: the same order, scale and meaning of planes",
            root="reading",
        )


def _differing(norm: NormGap) -> str:
    return (
        f"the inputs of the first batch norm, {norm.name}, differ from its statistics of training "
        f"by {norm.gap:.2f} (median over its channels of the difference of the means in standard "
        "deviations plus the logarithm of the ratio of the deviations)"
    )


def _levels(network: nn.Module, norm: NormGap, planes: Tensor) -> str:
    """In words, the planes whose mean is another one than in training; empty if none is known."""
    levels = [
        f"plane {number}: {then:.2f} in training, {now:.2f} now"
        for number, (then, now) in enumerate(trained_levels(network, norm.name, planes))
        if abs(then - now) > _LEVEL
    ]
    return (
        f"; by these statistics the means of the planes are {', '.join(levels)}" if levels else ""
    )


def _unknown(network: nn.Module, norm: NormGap, planes: Tensor) -> Finding:
    """The finding for a first norm that gets other inputs, which nothing explains."""
    levels = _levels(network, norm, planes)
    return Finding.warning(
        "planes of the network",
        f"{_differing(norm)}{levels}; turned, shifted, scaled and exchanged planes do not explain "
        "it, nor positions of one stage or side",
        f"the network gets other inputs than in training: other planes{levels}, positions of "
        "another kind than these games, or the statistics of its batch norms are not those of its "
        "weights",
        REMEDY,
        root="norms",
    )
