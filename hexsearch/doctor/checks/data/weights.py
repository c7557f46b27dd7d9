"""Checks of what enters the value target and its loss: weights of positions, search values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.positions import STAGE_NAMES, stage_of
from hexsearch.doctor.checks.data.curricula import phases_of, shares_of_stages
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.functions import function_of
from hexsearch.doctor.hypotheses.general.relations import other_positions, relation
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples

_OF_PHASE, _CLOSE = 512, 0.02  # samples of a phase; accepted difference of a factor from 1
_SAME_SUM = 0.01  # spread of the sums of stages that are the same
_FITS = 0.97  # share of the samples that an explanation must fit


def search_findings(pipeline: ExaminedPipeline, compared: ComparedSamples) -> Iterator[Finding]:
    """Compare the search values that are mixed into labels with those of the archive."""
    share = needed(pipeline.config).curriculum.search_value
    batch, truth = compared.samples.batch, compared.truth
    outcome, complement = batch.outcome.numpy(), batch.complement.numpy()

    def shift(values: NDArray[np.float32]) -> NDArray[np.float32]:
        shifts: NDArray[np.float32] = np.nan_to_num(share * (values - outcome))
        return shifts

    def of(position: Truth) -> NDArray[np.float32]:
        known = truth.archive.search_values_of(position.game, position.ply)
        return shift(np.where(complement, 1 - known, known))

    found, right = batch.search_shift.numpy(), of(truth)
    wrong = np.abs(found - right) > 0.01
    if not wrong.any():
        return
    known = truth.archive.search_values_of(truth.game, truth.ply)
    mover = truth.red_to_move ^ complement
    others = {
        "they are not inverted where the label belongs to Blue (perspective)": shift(known),
        "they are inverted for the wrong side (perspective)": shift(
            np.where(complement, known, 1 - known)
        ),
        "they are taken for values of the side to move": shift(np.where(mover, known, 1 - known)),
        "those of the side to move are taken for Red's": shift(np.where(mover, 1 - known, known)),
    }
    fits = {name: (np.abs(found - each) < 0.01).mean() for name, each in others.items()}
    best = max(fits, key=lambda name: fits[name])
    why = best if fits[best] > _FITS else ""
    why = why or relation(found, right, truth, of, compared.keys, compared.samples.batch_size)
    if not why:
        there = np.isfinite(known)
        own = (outcome + found / share)[there]
        formula = function_of(own, np.where(complement, 1 - known, known)[there])
        why = f"the value that enters is {formula}" if formula else ""
    yield Finding.error(
        "columns",
        f"the search value that is mixed into the label is not that of the archive in "
        f"{wrong.sum():,} of {len(wrong):,} samples, {compared.place(wrong)}, "
        f"{compared.example(wrong)}",
        "search values enter the value target wrongly: "
        f"{why or 'they are those of other positions, or on another scale'}",
        "mix in Red's value, and 1 - value wherever the network answers for Blue",
    )


def weight_findings(pipeline: ExaminedPipeline, compared: ComparedSamples) -> Iterator[Finding]:
    """Weights in the value loss must be 1, or those of the curriculum's stages, with mean 1."""
    found = compared.samples.batch.weight.numpy()
    config, data = needed(pipeline.config), needed(pipeline.data)
    if config.curriculum.stage_weights and len(config.curriculum.phases) > 1:
        yield from _by_phase(pipeline)
        return
    asked = config.curriculum.stage_weights
    of_stage = np.array([asked.get(name, 1.0) for name in STAGE_NAMES])

    def of(position: Truth) -> NDArray[np.float64]:
        weights: NDArray[np.float64] = of_stage[stage_of(position.ply, position.size, data.stages)]
        return weights

    right = of(compared.truth)
    # The mean over the samples differs from that over the stream by chance.
    mean = float(right.mean()) or 1.0
    error = 4 * float(right.std()) / mean / np.sqrt(len(np.unique(compared.truth.game)))
    scale = float(found @ right) / max(float(right @ right), 1e-9)
    wrong = np.abs(found - scale * right) > 1e-3 * max(float(found.max()), 1.0)
    if not wrong.any():
        if asked:
            yield from _by_phase(pipeline)
            return
        if abs(scale * mean - 1.0) > max(error, 1e-3) and right.any():
            yield Finding.error(
                "columns",
                f"the mean weight of {len(found):,} samples in the value loss is "
                f"{found.mean():.3g}, and {right.mean() / mean:.3g} is expected",
                f"all weights of positions are {scale * mean:.3g} times what they should be: they "
                "are scaled to another mean than 1, so the value loss weighs less or more than "
                "configured",
                "divide the weights by their mean over the training positions",
            )
        return
    if asked:
        yield _stage_weights(compared, found, of_stage, wrong, of)
        return
    formula = _by_label(found, compared) or relation(
        found, right, compared.truth, of, compared.keys, len(found)
    )
    yield Finding.error(
        "columns",
        f"weights in the value loss go from {found.min():.3g} to {found.max():.3g} and are "
        f"not 1 {compared.place(np.abs(found - 1) > 1e-3)}, {compared.example(wrong)}; the "
        "curriculum asks for no stage_weights",
        "positions are weighted that should count alike"
        + (f": the weight of a position is wrong, {formula}" if formula else ""),
        "use weights of 1, or set curriculum.stage_weights",
    )


def _by_phase(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the weight of each stage in each phase with the exact one."""
    config, data = needed(pipeline.config), needed(pipeline.data)
    stream, asked = needed(pipeline.stream), config.curriculum.stage_weights
    archive, games = stream.builder.archive, needed(pipeline.dataset).train_games
    wanted = np.array([asked.get(name, 1.0) for name in STAGE_NAMES])
    means = []
    for phase in phases_of(config.curriculum, data):
        shares = shares_of_stages(archive, games, phase.parts, data)
        means.append(float(shares @ wanted))
        batch = stream.batch(phase.start, min(phase.samples, _OF_PHASE))
        stage, weight = batch.stage.numpy(), batch.weight.numpy()
        factors = weight[wanted[stage] > 0] / wanted[stage][wanted[stage] > 0] * means[-1]
        if not len(factors) or means[-1] <= 0 or abs(factors - 1).max() < _CLOSE:
            continue
        factor, plain = float(np.median(factors)), float(wanted.mean())
        first = len(means) > 1 and abs(factor - means[-1] / means[0]) < _CLOSE
        whose = "" if len(config.curriculum.phases) < 2 else f" of phase {len(means)}"
        yield Finding.error(
            "columns",
            f"weights in the value loss{whose} are {factor:.3g} times those that have a mean of 1 "
            f"over its samples (stages {', '.join(f'{share:.0%}' for share in shares)})",
            f"all weights of positions{whose} are {factor:.3g} times what they should be: "
            + (
                "they are scaled by the mean of the first phase"
                if first
                else "they are divided by their plain mean over the stages, not by that over the "
                "samples"
                if abs(factor - means[-1] / plain) < _CLOSE
                else "they are scaled to another mean than 1"
            )
            + ", so the value loss weighs less or more than configured",
            "divide the weights by their mean over the positions of the phase",
        )
        return


def _by_label(found: NDArray[np.float32], compared: ComparedSamples) -> str:
    """In words, weights that depend on the label, winner or side alone; empty if they do not."""
    batch, finished = compared.samples.batch, compared.truth.finished
    for flags, yes, no in (
        (batch.outcome.numpy() > 0.5, "where the label is 1", "where it is 0"),
        (compared.truth.red_won, "in games that Red won", "in those that Blue won"),
        (finished, "on finished boards", "on others"),
        (compared.truth.red_to_move, "where Red is to move", "where Blue is"),
    ):
        if flags.all() or not flags.any():
            continue
        if max(np.ptp(found[flags]), np.ptp(found[~flags])) < 1e-3:
            return f"it is {found[flags][0]:.3g} {yes} and {found[~flags][0]:.3g} {no}"
    return ""


def _stage_weights(
    compared: ComparedSamples,
    found: NDArray[np.float32],
    of_stage: NDArray[np.float64],
    wrong: Flags,
    of: Callable[[Truth], NDArray[np.float64]],
) -> Finding:
    """The finding for weights that are not those of the stages, up to one factor."""
    stage = compared.samples.batch.stage.numpy()
    there = [number for number in range(len(STAGE_NAMES)) if (stage == number).any()]
    given = {STAGE_NAMES[n]: float(found[stage == n].mean()) for n in there}
    wanted = {STAGE_NAMES[n]: float(of_stage[n]) for n in there}
    by_stage = all(np.ptp(found[stage == n]) < 1e-3 for n in there)
    cause, remedy = _how_weighted(given, wanted)
    sums = found * compared.numbers["number of positions of its stage in the batch"]
    if not by_stage and np.ptp(sums) < _SAME_SUM * float(sums.mean()):
        cause = (
            "weights are divided by the number of positions of a stage in the batch (balanced "
            "stages), so each stage counts alike in every batch, whatever stage_weights says"
        )
    elif not by_stage:
        factor = float(found.mean()) / max(float(of_stage[stage].mean()), 1e-9)
        formula = _scaled_relation(compared, found, of) or relation(
            found, factor * of_stage[stage], compared.truth, of, compared.keys, len(found)
        )
        cause = "positions of one stage have different weights: positions are weighted by " + (
            formula or "something else than their stage"
        )
    return Finding.error(
        "columns",
        f"the mean weights by stage are "
        f"{', '.join(f'{name} {weight:.3g}' for name, weight in given.items())}; up to one "
        "factor, the curriculum asks for "
        f"{', '.join(f'{name} {weight:g}' for name, weight in wanted.items())}; "
        f"{compared.example(wrong)}",
        cause,
        remedy,
    )


def _scaled_relation(
    compared: ComparedSamples,
    found: NDArray[np.float32],
    of: Callable[[Truth], NDArray[np.float64]],
) -> str:
    """In words, whose weight, up to one factor, each position has; empty if nobody's."""
    for words, other in other_positions(compared.truth):
        weights = of(other)
        scale = float(found @ weights) / max(float(weights @ weights), 1e-9)
        if (np.abs(found - scale * weights) < 1e-3).mean() > _FITS and np.ptp(weights) > 0:
            return f"the stage of another position: {words}"
    return ""


def _how_weighted(given: dict[str, float], wanted: dict[str, float]) -> tuple[str, str]:
    """Cause and remedy of stage weights that are not those of the curriculum."""
    for power, cause, remedy in (
        (2.0, "stage weights are applied twice: each is squared", "multiply by them once"),
        (0.5, "the root of each stage weight is taken", "multiply by the weight itself"),
        (-1.0, "positions are divided by their stage's weight", "multiply by the weight"),
        (0.0, "stage weights are not applied: all positions weigh alike", "multiply by them"),
    ):
        usable = all(each > 0 for each in wanted.values())
        expected = {name: each**power for name, each in wanted.items()} if usable else {}
        scale = sum(given.values()) / max(sum(expected.values()), 1e-9)
        if usable and all(
            abs(given[n] - scale * expected[n]) < 0.02 * max(given.values()) for n in given
        ):
            return cause, remedy
    return (
        "stage weights are given to other stages than configured (another order): positions are "
        "weighted unequally in another way",
        "look up the weight of each stage by its name",
    )
