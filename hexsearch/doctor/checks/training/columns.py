"""Checks of the columns of a batch beside planes, labels and targets, and of finished boards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.positions import STAGE_NAMES, stage_of
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import where
from hexsearch.doctor.hypotheses.truth import SWAPS, inside_ring
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples


def check_finished(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """On a finished board nobody is to move, and there is no policy target."""
    compared = pipeline.compared
    batch, truth = compared.samples.batch, compared.truth
    over = ~truth.has_move
    claimed = over & batch.has_move.numpy()
    if claimed.any():
        cells = np.unique(batch.policy_target.numpy()[claimed])
        yield Finding.error(
            "finished boards",
            f"{claimed.sum():,} of {over.sum():,} positions without a next move have a policy "
            f"target (cell {', '.join(map(str, cells[:3]))})",
            "positions without a next move are not masked: if an empty policy vector is read as "
            "cell 0, the policy head learns to play a1 on finished boards",
            "set has_move to False where there is no next move, so that the policy loss ignores "
            "these positions",
            root="policy mask",
        )
    planes = inside_ring(compared.samples.planes, truth.size)
    if planes.shape[1] != 3 or not truth.finished.any():
        return
    over = truth.finished & compared.images.any(axis=1)
    plane = planes[:, 2].mean(axis=(1, 2))[over]
    if len(plane) and np.abs(plane - 0.5).max() > 1e-3:
        yield Finding.error(
            "finished boards",
            f"{(np.abs(plane - 0.5) > 1e-3).mean():.0%} of {len(plane):,} finished positions have "
            "a side to move",
            "on a finished board the side to move is always the loser: the network can read the "
            "winner from that plane without looking at the stones",
            "set the side-to-move plane to 0.5 on finished boards",
            root="reads the mover",
        )


def check_columns(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the columns of every sample with the game."""
    compared = pipeline.compared
    batch, truth = compared.samples.batch, compared.truth
    yield from _complement(compared)
    lost = truth.has_move & ~batch.has_move.numpy()
    lengths = truth.archive.lengths[truth.game]
    data, config = needed(pipeline.data), needed(pipeline.config)
    mixes = config.curriculum.search_value > 0
    for what, wrong, cause in (
        (
            "there is no next move (has_move) where there should be one",
            lost,
            "moves that were played are masked: the policy head does not learn them",
        ),
        (
            "the result for evaluation (red_won) is not the game's",
            (batch.red_won.numpy() > 0.5) != truth.red_won,
            "the winner is lost or exchanged before evaluation",
        ),
        (
            "the number of plies to the end (to_end) is not the game's",
            batch.to_end.numpy() != lengths - truth.ply,
            "plies are counted from the other end, or those of another game",
        ),
        (
            "the stage is not that of the number of stones",
            batch.stage.numpy() != stage_of(truth.ply, truth.size, data.stages),
            "positions are assigned to another stage (early, middle, late): weights and figures "
            "by stage are those of other positions",
        ),
        (
            "a search value is mixed into the label",
            np.abs(batch.search_shift.numpy()) > (1e-3 if not mixes else np.inf),
            "labels are mixed with search values, but the curriculum asks for none",
        ),
        (
            "the mark of a finished board (final) is wrong",
            batch.final.numpy() != truth.finished,
            "the end of a game is not recognised by a connection, but by something else",
        ),
    ):
        if wrong.any():
            yield Finding.error(
                "columns",
                f"{what} in {wrong.sum():,} of {len(wrong):,} samples, {compared.place(wrong)}",
                cause,
                "compute every column of a sample from the same (game, ply)",
                root="results" if "red_won" in what else "",
            )
    yield from _weights(pipeline, compared)
    if mixes:
        yield from _search_values(pipeline, compared)


def _search_values(pipeline: ExaminedPipeline, compared: ComparedSamples) -> Iterator[Finding]:
    """Compare the search values that are mixed into labels with those of the archive."""
    config = needed(pipeline.config)
    share = config.curriculum.search_value
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
        "they are not inverted where the label belongs to Blue": shift(known),
        "they are inverted for the wrong side": shift(np.where(complement, known, 1 - known)),
        "they are taken for values of the side to move": shift(np.where(mover, known, 1 - known)),
        "those of the side to move are taken for Red's": shift(np.where(mover, 1 - known, known)),
    }
    gap = {name: np.abs(batch.search_shift.numpy() - each).max() for name, each in others.items()}
    best = min(gap, key=lambda name: gap[name])
    why = best if gap[best] < 0.01 else "they are those of other positions, or on another scale"
    yield Finding.error(
        "columns",
        f"the search value that is mixed into the label is not that of the archive in "
        f"{wrong.sum():,} of {len(wrong):,} samples, {compared.place(wrong)}",
        f"search values enter the value target wrongly: {why} (side to move, perspective)",
        "mix in Red's value, and 1 - value wherever the network answers for Blue",
    )


def _complement(compared: ComparedSamples) -> Iterator[Finding]:
    """Check where answers are inverted (complement): wherever the network answers for Blue."""
    known = compared.images.any(axis=1)
    exchanged = ~SWAPS if compared.mover_view else SWAPS
    fits = compared.samples.batch.complement.numpy()[:, None] == exchanged[None]
    wrong = known & ~(compared.images & fits).any(axis=1)
    if compared.lost < 0.5 and wrong.sum() > compared.by_chance * known.sum():
        subsets = affected(compared.truth, compared.images.argmax(axis=1))
        yield Finding.error(
            "perspective",
            f"complement, which inverts answers, is wrong in {wrong.sum():,} of {known.sum():,} "
            f"training samples, {where(wrong, subsets)}",
            "answers are inverted for the wrong colour: Red's chance is shown as Blue's",
            "report 1 - p wherever the network answers for Blue, and only there",
            root="perspective",
        )


def _stage_weights(
    compared: ComparedSamples, weight: NDArray[np.float32], asked: dict[str, float]
) -> Iterator[Finding]:
    """The mean weights of the stages must have the ratios that the curriculum asks for."""
    stage = compared.samples.batch.stage.numpy()
    given, wanted = {}, {}
    for number, name in enumerate(STAGE_NAMES):
        if (stage == number).any():
            given[name] = float(weight[stage == number].mean())
            wanted[name] = float(asked.get(name, 1.0))
    scale = sum(given.values()) / max(sum(wanted.values()), 1e-9)
    odd = [n for n in given if abs(given[n] - scale * wanted[n]) > 0.02 * max(given.values())]
    if odd:
        yield Finding.error(
            "columns",
            f"the mean weights by stage are "
            f"{', '.join(f'{name} {weight:.3g}' for name, weight in given.items())}; up to one "
            "factor, the curriculum asks for "
            f"{', '.join(f'{name} {weight:g}' for name, weight in wanted.items())}",
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
    """Weights in the value loss must be 1, or those of the curriculum's stages."""
    weight = compared.samples.batch.weight.numpy()
    config = needed(pipeline.config)
    asked = config.curriculum.stage_weights
    if asked:
        yield from _stage_weights(compared, weight, dict(asked))
    odd = np.abs(weight - 1.0) > 1e-3
    if weight.min() < 0 or (not asked and odd.any()):
        yield Finding.error(
            "columns",
            f"weights in the value loss go from {weight.min():.3g} to {weight.max():.3g} and are "
            f"not 1 {compared.place(odd)}; the curriculum asks for "
            f"{'these stage_weights: ' + str(dict(asked)) if asked else 'no stage_weights'}",
            "positions are weighted that should count alike",
            "use weights of 1, or set curriculum.stage_weights",
        )
