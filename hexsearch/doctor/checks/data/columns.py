"""Checks of the columns of a batch beside planes, labels and targets, and of finished boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.data import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.positions import STAGE_NAMES
from hexsearch.doctor.checks.data.weights import search_findings, weight_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.relations import determined
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import Flags, where
from hexsearch.doctor.hypotheses.truth import SWAPS, Truth, inside_ring
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples

_ROOTS = {"red_won": "results", "has_move": "policy mask"}
_NEARLY_ALL = 0.99
_FEW = 20  # finished positions by which labels are judged


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
    labels, swaps = batch.outcome.numpy(), batch.complement.numpy()
    outcome, winner = labels[truth.finished], truth.red_won[truth.finished]
    shown = np.where(
        swaps[truth.finished], 1 - winner, winner
    )  # check `training labels` has others
    is_one = np.ptp(labels) > 0 and len(outcome) >= _FEW and np.ptp(outcome) == 0
    if is_one and np.ptp(winner.astype(int)) and (outcome == shown).all():
        side = "winner" if outcome[0] == 1.0 else "loser"
        yield Finding.error(
            "finished boards",
            f"all {len(outcome)} finished positions of {len(batch):,} have the label "
            f"{outcome[0]:.0f} in the network's view, though both colours win",
            f"finished boards are always encoded from the {side}'s side, so their label is always "
            "the same: it tells nothing, the network learns to give it without a look at the "
            "board, and figures on finished boards are too good",
            "encode a finished board from a side that does not depend on the winner, such as one "
            "drawn by the game's hash",
            root="reads the mover",
        )
        return
    planes = inside_ring(compared.samples.planes, truth.size)
    if compared.mover_view or planes.shape[1] < 3 or not truth.finished.any():
        return
    if compared.wrong_mover.any():
        return  # the plane is wrong on other boards, too: check `boards` says how
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
    yield from _complement(compared)
    config, data = needed(pipeline.config), needed(pipeline.data)
    for what, wrong, explain in _compared_columns(compared, config, data):
        if wrong.any():
            yield Finding.error(
                "columns",
                f"{what} in {wrong.sum():,} of {len(wrong):,} samples, {compared.place(wrong)}",
                explain() if callable(explain) else explain,
                "compute every column of a sample from the same (game, ply)",
                root=next((r for name, r in _ROOTS.items() if name in what), ""),
            )
    yield from weight_findings(pipeline, compared)
    if config.curriculum.search_value > 0:
        yield from search_findings(pipeline, compared)


def _compared_columns(
    compared: ComparedSamples, config: TrialConfig, data: DataConfig
) -> Iterator[tuple[str, Flags, str | Callable[[], str]]]:
    """For each column: what may be wrong, [B] where it is, and the cause or how to find it."""
    batch, truth = compared.samples.batch, compared.truth
    left = truth.archive.lengths[truth.game] - truth.ply
    yield (
        "there is no next move (has_move) where there should be one",
        truth.has_move & ~batch.has_move.numpy(),
        lambda: _masked(truth.has_move & ~batch.has_move.numpy(), truth),
    )
    yield (
        "the result for evaluation (red_won) is not the game's",
        (batch.red_won.numpy() > 0.5) != truth.red_won,
        "the winner is lost or exchanged before evaluation",
    )
    yield (
        "the number of plies to the end (to_end) is not the game's",
        batch.to_end.numpy() != left,
        lambda: _miscounted(batch.to_end.numpy() - left),
    )
    yield (
        "the stage is not that of the number of stones",
        batch.stage.numpy() != _stages(truth.ply / truth.size**2, data),
        lambda: _other_stage(compared, batch.stage.numpy(), data),
    )
    mixes = config.curriculum.search_value > 0
    yield (
        "a search value is mixed into the label",
        np.abs(batch.search_shift.numpy()) > (1e-3 if not mixes else np.inf),
        "labels are mixed with search values, but the curriculum asks for none",
    )
    shares = config.curriculum.stage_smoothing
    smoothed = np.array([shares.get(name, 0.0) for name in STAGE_NAMES], np.float32)
    yield (
        "the share by which the label is moved towards 0.5 (smoothing) is another one",
        np.abs(batch.smoothing.numpy() - smoothed[batch.stage.numpy()]) > 1e-6,
        lambda: _other_smoothing(batch.smoothing.numpy(), batch.stage.numpy(), smoothed),
    )
    yield (
        "the mark of a finished board (final) is wrong",
        batch.final.numpy() != truth.finished,
        "the end of a game is not recognised by a connection, but by something else",
    )


def _other_smoothing(
    found: NDArray[np.float32], stage: NDArray[np.int64], smoothed: NDArray[np.float32]
) -> str:
    """In words, by which rule labels are smoothed.

    Args:
        found: [B] shares of the samples; stage: [B] their stages; smoothed: shares of each stage.
    """
    told = "labels are smoothed otherwise than curriculum.stage_smoothing asks"
    shares = {int(each): np.unique(found[stage == each]) for each in np.unique(stage)}
    if any(len(each) > 1 for each in shares.values()):
        return told
    for shift, of in ((1, "before"), (-1, "after")):
        moved = np.roll(smoothed, shift)
        if all(abs(moved[at] - share[0]) < 1e-6 for at, share in shares.items()):
            return f"{told}: each stage gets the share of the stage {of} it (numbers off by one)"
    parts = ", ".join(
        f"{STAGE_NAMES[at]} positions by {share[0]:g} (configured {smoothed[at]:g})"
        for at, share in shares.items()
        if abs(share[0] - smoothed[at]) > 1e-6
    )
    return f"{told}: {parts}"


def _masked(wrong: Flags, truth: Truth) -> str:
    """In words, which moves are masked."""
    told = "moves that were played are masked: the policy head does not learn them"
    left = truth.archive.lengths[truth.game] - truth.ply
    most = int(left[wrong].max())
    if (wrong == ((left > 0) & (left <= most))).all():
        which = "the last move" if most == 1 else f"the last {most} moves"
        return f"{told} ({which} of each game, which mostly wins it: has_move is off by {most})"
    wins = truth.red_won == truth.red_to_move
    for words, part in (
        ("of the winners: only moves of the losing side are taught", wins),
        ("of the losers: only moves of the winning side are taught", ~wins),
        ("of Red", truth.red_to_move),
        ("of Blue", ~truth.red_to_move),
    ):
        if (wrong == (part & truth.has_move)).mean() > _NEARLY_ALL:
            return f"{told} (those {words})"
    return told


def _miscounted(more: NDArray[np.int64]) -> str:
    """In words, how plies to the end are counted wrongly.

    Args:
        more: [B] by how much they are too many.
    """
    if len(np.unique(more)) == 1:
        count = int(more[0])
        return f"plies to the end are {abs(count)} too {'many' if count > 0 else 'few'}, always"
    return "plies are counted from the other end, or those of another game"


def _other_stage(compared: ComparedSamples, stage: NDArray[np.int8], data: DataConfig) -> str:
    """In words, that stages are others, and on which number they depend in place of the ply."""
    truth = compared.truth
    right = _stages(truth.ply / truth.size**2, data)
    if (stage == _stages(truth.ply / truth.size, data)).all():
        return (
            "the filled fraction of the board is the number of stones divided by its side and not "
            "by its number of cells, so nearly all positions count as late"
        )
    for more in (-1, 1, -2, 2):
        if (stage == _stages((truth.ply + more) / truth.size**2, data)).all():
            return (
                f"stages begin {abs(more)} ply {'late' if more < 0 else 'early'} (> in place of "
                ">=, or a border that is off by one): weights and figures by stage are those of "
                "other positions"
            )
    alone = determined(stage, right, {n: k for n, k in compared.keys.items() if n != "ply"})
    return (
        "positions are assigned to another stage (early, middle, late): weights and figures by "
        "stage are those of other positions"
    ) + (f" (they depend on {alone} alone)" if alone else "")


def _stages(filled: NDArray[np.float64], data: DataConfig) -> NDArray[np.int8]:
    """[B] index of the stage by the filled fraction of the board, by the documents."""
    return (filled >= data.stages.early).astype(np.int8) + (filled >= data.stages.middle)


def _complement(compared: ComparedSamples) -> Iterator[Finding]:
    """Check where answers are inverted (complement): wherever the network answers for Blue."""
    known = compared.images.any(axis=1)
    exchanged = ~SWAPS if compared.mover_view else SWAPS
    fits = compared.samples.batch.complement.numpy()[:, None] == exchanged[None]
    wrong = known & ~(compared.images & fits).any(axis=1)
    if compared.turned_apart:
        return  # check `training labels` reports it
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
