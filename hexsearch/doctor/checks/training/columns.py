"""Checks of what comes along with the planes: masks, weights, sides, and finished boards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.positions import STAGE_NAMES, stage_of
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import where
from hexsearch.doctor.hypotheses.truth import SWAPS, inside_ring
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ComparedSamples


def check_finished(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Finished positions: no mover, and no policy target."""
    compared = pipeline.compared
    batch, truth = compared.samples.batch, compared.truth
    over = ~truth.has_move
    claimed = over & batch.has_move.numpy()
    if claimed.any():
        cells = np.unique(batch.policy_target.numpy()[claimed])
        yield Finding(
            "finished boards",
            "error",
            f"{claimed.sum():,} of {over.sum():,} positions without a next move carry a policy "
            f"target (cell {', '.join(map(str, cells[:3]))})",
            "an empty policy vector is read as cell 0: the policy head learns to play a1 on "
            "finished boards",
            "mask the policy loss where there is no next move",
            root="policy mask",
        )
    planes = inside_ring(compared.samples.planes, truth.size)
    if planes.shape[1] != 3 or not truth.finished.any():
        return
    over = truth.finished & compared.images.any(axis=1)
    plane = planes[:, 2].mean(axis=(1, 2))[over]
    if len(plane) and np.abs(plane - 0.5).max() > 1e-3:
        yield Finding(
            "finished boards",
            "error",
            f"{(np.abs(plane - 0.5) > 1e-3).mean():.0%} of {len(plane):,} finished positions show "
            "a side to move",
            "on a finished board the side to move is always the loser: the network can read the "
            "winner off that plane without looking at the stones",
            "show finished positions with the side-to-move plane at 0.5",
            root="reads the mover",
        )


def check_columns(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Side, mask, result and weight of every sample."""
    compared = pipeline.compared
    batch, truth = compared.samples.batch, compared.truth
    yield from _complement(compared)
    lost = truth.has_move & ~batch.has_move.numpy()
    lengths = truth.archive.lengths[truth.game]
    subsets = affected(truth, compared.symmetry)
    assert pipeline.data is not None and pipeline.config is not None
    mixes = pipeline.config.curriculum.search_value > 0
    for what, wrong, cause in (
        (
            "the mask of next moves is off",
            lost,
            "moves that were played are masked: the policy head never sees them",
        ),
        (
            "the result that evaluation judges by (red_won) is not the game's",
            (batch.red_won.numpy() > 0.5) != truth.red_won,
            "the winner is lost or exchanged on its way into evaluation",
        ),
        (
            "plies to the end are not the game's",
            batch.to_end.numpy() != lengths - truth.ply,
            "positions are counted from another end, or belong to other games",
        ),
        (
            "the stage of the game is not that of the number of stones",
            batch.stage.numpy() != stage_of(truth.ply, truth.size, pipeline.data.stages),
            "positions are counted to another stage (early, middle, late): weights and figures by "
            "stage are those of other positions",
        ),
        (
            "a search value moves the label",
            np.abs(batch.search_shift.numpy()) > (1e-3 if not mixes else np.inf),
            "labels are mixed with search values, though the curriculum asks for none",
        ),
        (
            "finished boards are not marked as such",
            batch.final.numpy() != truth.finished,
            "the end of a game is judged by something else than a connection",
        ),
    ):
        if wrong.any():
            yield Finding(
                "columns",
                "error",
                f"{what} in {wrong.sum():,} of {len(wrong):,} samples, {where(wrong, subsets)}",
                cause,
                "fill every column of a batch from the same (game, ply)",
                root="results" if "red_won" in what else "",
            )
    yield from _weights(pipeline, compared)
    if mixes:
        yield from _search_values(pipeline, compared)


def _search_values(pipeline: ExaminedPipeline, compared: ComparedSamples) -> Iterator[Finding]:
    """The value of a search that is mixed into each label, carried to the side that is shown."""
    assert pipeline.config is not None
    share = pipeline.config.curriculum.search_value
    batch, truth = compared.samples.batch, compared.truth
    known = truth.archive.search_values_of(truth.game, truth.ply)
    outcome, complement = batch.outcome.numpy(), batch.complement.numpy()

    def shift(values: NDArray[np.float32]) -> NDArray[np.float32]:
        shifts: NDArray[np.float32] = np.nan_to_num(share * (values - outcome))
        return shifts

    right = shift(np.where(complement, 1 - known, known))
    wrong = np.abs(batch.search_shift.numpy() - right) > 0.01
    if not wrong.any():
        return
    mover = truth.red_to_move ^ complement
    others = {
        "they are not carried over to the side that is shown": shift(known),
        "they are carried over to the wrong side": shift(np.where(complement, known, 1 - known)),
        "they are taken for values of the side to move": shift(np.where(mover, known, 1 - known)),
        "those of the side to move are taken for Red's": shift(np.where(mover, 1 - known, known)),
    }
    gap = {name: np.abs(batch.search_shift.numpy() - each).max() for name, each in others.items()}
    best = min(gap, key=lambda name: gap[name])
    place = where(wrong, affected(truth, compared.symmetry))
    why = best if gap[best] < 0.01 else "they are those of other positions, or on another scale"
    yield Finding(
        "columns",
        "error",
        f"the value of a search that is mixed into the label is not the archive's in "
        f"{wrong.sum():,} of {len(wrong):,} samples, {place}",
        f"search values enter the value target wrongly: {why} (side to move, perspective)",
        "take Red's value, and 1 - value exactly where the network answers for Blue",
    )


def _complement(compared: ComparedSamples) -> Iterator[Finding]:
    """Whether answers would be carried back to Red where colours are exchanged."""
    known = compared.images.any(axis=1)
    exchanged = ~SWAPS if compared.mover_view else SWAPS
    fits = compared.samples.batch.complement.numpy()[:, None] == exchanged[None]
    wrong = known & ~(compared.images & fits).any(axis=1)
    if compared.lost < 0.5 and wrong.sum() > compared.by_chance * known.sum():
        yield Finding(
            "perspective",
            "error",
            f"perspective: wrong in {wrong.sum():,} of {known.sum():,} training samples, "
            f"{where(wrong, affected(compared.truth, compared.images.argmax(axis=1)))}",
            "the answer would be carried back for the wrong colour: Red's chance is shown as "
            "Blue's",
            "take 1 - p exactly where the network answers for Blue",
            root="perspective",
        )


def _stage_weights(
    compared: ComparedSamples, weight: NDArray[np.float32], asked: dict[str, float]
) -> Iterator[Finding]:
    """Weights must stand to each other as the curriculum's stages say."""
    stage = compared.samples.batch.stage.numpy()
    given, wanted = {}, {}
    for number, name in enumerate(STAGE_NAMES):
        if (stage == number).any():
            given[name] = float(weight[stage == number].mean())
            wanted[name] = float(asked.get(name, 1.0))
    scale = sum(given.values()) / max(sum(wanted.values()), 1e-9)
    odd = [n for n in given if abs(given[n] - scale * wanted[n]) > 0.02 * max(given.values())]
    if odd:
        told = ", ".join(f"{name} {given[name]:.3g}" for name in given)
        yield Finding(
            "columns",
            "error",
            f"positions weigh {told} by stage, where the curriculum asks for "
            f"{', '.join(f'{name} {wanted[name]:g}' for name in wanted)}, up to one factor",
            *_how_weighted(given, wanted),
        )


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


def _weights(pipeline: ExaminedPipeline, compared: ComparedSamples) -> Iterator[Finding]:
    """Weights in the value loss: 1, or as the curriculum's stages say."""
    weight = compared.samples.batch.weight.numpy()
    assert pipeline.config is not None
    asked = pipeline.config.curriculum.stage_weights
    staged = bool(asked)
    if staged:
        yield from _stage_weights(compared, weight, dict(asked))
    if weight.min() < 0 or (not staged and np.abs(weight - 1.0).max() > 1e-3):
        odd = np.abs(weight - 1.0) > 1e-3
        subsets = affected(compared.truth, compared.symmetry)
        yield Finding(
            "columns",
            "error",
            f"weights in the value loss run from {weight.min():.3g} to {weight.max():.3g}, other "
            f"than 1 {where(odd, subsets)}, though the curriculum asks for no stage_weights",
            "positions are weighted that should count alike",
            "leave the weights at 1, or set curriculum.stage_weights",
        )
