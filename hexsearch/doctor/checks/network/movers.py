"""Checks whether a network reads the winner of a finished board from the side to move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.exchanged import same_for_both
from hexsearch.doctor.hypotheses.general.constants import constant_value, own_chances
from hexsearch.doctor.networks import Observed, respond_in_parts, take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.strength import accuracy
from hexsearch.training.metrics import slice_metrics

_SPREAD, _ALONE = 0.05, 0.8  # spread of answers, and share of it that the mover may explain
_STILL = 0.6  # share of right answers with the mover inverted, above which the board is read
_RANKS = 0.7  # AUC of the side to move from which on the board is read
_FEW = 20  # finished boards that are needed


def check_mover_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report answers that follow from who is to move, on finished boards or everywhere."""
    found = list(_without_colour(pipeline)) or list(_on_finished_boards(pipeline))
    yield from found or _told_by_the_mover(pipeline)


def _without_colour(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report a value of a fixed colour that is computed from the mover's view alone."""
    foreign, observed = pipeline.foreign, needed(pipeline.observed)
    if foreign is None or foreign.for_mover:
        return
    if evidence := same_for_both(foreign, observed):
        yield Finding.error(
            "reads the mover",
            evidence,
            "the network sees boards from the side of the player to move and is not told which "
            "colour that is, but the value is read (or trained) as that of one fixed colour, Red "
            "or Blue: for the other one it is the wrong way round",
            "train the value as that of the side to move and read it with win_prob_red(raw, "
            "to_move), or give the layers before the value a plane of the side to move",
            root="structure",
        )


def _on_finished_boards(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare answers on finished boards with those on the same planes without stones.

    Only answers that are right without stones are reported. That answers change with the
    side-to-move plane is not enough, since a value of the side to move does so, too.
    """
    examined, observed = needed(pipeline.examined), needed(pipeline.observed)
    final = np.flatnonzero(observed.positions.finished)
    if len(final) < _FEW:
        return
    over = take(observed.positions, final)
    going = replace(over, finished=np.zeros(len(over), dtype=bool))
    won = observed.evaluation.red_won[final] == 1
    everywhere = examined.planes(observed.positions)
    constant = _planes_of_the_mover(everywhere, observed.positions)
    if not bool(constant.any()):
        return  # no plane shows the side to move
    background = everywhere.amin(dim=0)  # what all positions have, such as a ring of edges
    majority = max(won.mean(), 1 - won.mean())
    for positions, how in ((over, "as they are"), (going, "with the loser as the side to move")):
        planes = examined.planes(positions)
        with_stones = _answers(pipeline, planes, positions)
        bare = planes.clone()
        bare[:, ~constant] = background[~constant]
        without = _answers(pipeline, bare, positions)
        right, right_without = accuracy(with_stones, won), accuracy(without, won)
        sure = float(np.abs(without - 0.5).mean()) > 0.4 * float(np.abs(with_stones - 0.5).mean())
        if right < 0.8 or right_without < max(0.85, majority + 0.15) or not sure:
            continue
        flipped = planes.clone()
        ends = everywhere.amin(dim=(0, 2, 3)) + everywhere.amax(dim=(0, 2, 3))
        flipped[:, constant] = ends[constant][:, None, None] - flipped[:, constant]
        other = accuracy(_answers(pipeline, flipped, positions), won)
        if other > _STILL:
            continue  # the board decides: without stones it is one that never occurs
        yield Finding.error(
            "reads the mover",
            f"on finished boards {right:.1%} of the answers are right {how}, {right_without:.1%} "
            f"with every stone removed, and {other:.1%} with the side-to-move plane inverted",
            "the network reads the winner from the side-to-move plane, not from the board: on a "
            "finished board the side to move is always the loser",
            "set the side-to-move plane to 0.5 on finished boards, and train again",
            root="reads the mover",
        )
        return


def _planes_of_the_mover(planes: torch.Tensor, positions: Positions) -> torch.Tensor:
    """[C] bool: planes of one number each, which follows from the number of stones alone.

    A number that follows from the board, such as a distance, may tell the winner by right.
    """
    flat = planes.flatten(2)
    constant = (flat.std(dim=2) < 1e-6).all(dim=0)
    _, kind = np.unique(2 * positions.plies + positions.finished, return_inverse=True)
    groups = torch.from_numpy(kind)[:, None].expand(-1, planes.shape[1])
    size = (int(kind.max()) + 1, planes.shape[1])
    numbers = flat[:, :, 0]
    lowest = torch.full(size, torch.inf).scatter_reduce(0, groups, numbers, "amin")
    highest = torch.full(size, -torch.inf).scatter_reduce(0, groups, numbers, "amax")
    return constant & ((highest - lowest).amax(dim=0) < 1e-6)


def _told_by_the_mover(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report answers that differ by the side to move, and hardly by the board."""
    observed, foreign = needed(pipeline.observed), pipeline.foreign
    going = ~observed.evaluation.final
    answers, red = observed.evaluation.win_prob_red[going], observed.evaluation.ply[going] % 2 == 1
    if red.all() or not red.any() or float(answers.std()) < _SPREAD:
        return
    means = np.where(red, answers[red].mean(), answers[~red].mean())
    share = float(means.var() / answers.var())
    if share <= _ALONE or _told_by_the_board(observed):
        return
    cause = (
        "the answer is who is to move, whatever the board: in training the side to move was the "
        "label (only positions of the winner, or only last moves), or a value of the side to move "
        "that is nearly constant is reported"
    )
    remedy = "train on all positions of a game, those of the loser's turn as well"
    if observed.of_red is not None:
        cause, other = constant_value(foreign, observed)
        remedy = other or "look at the labels and at the value head, then train again"
    yield Finding.error(
        "reads the mover",
        f"on {going.sum():,} positions {share:.0%} of the variance of the answers is explained by "
        f"who is to move: they are {answers[red].mean():.2f} on average where Red is to move and "
        f"{answers[~red].mean():.2f} where Blue is",
        cause,
        remedy,
        root="reads the mover",
    )


def _told_by_the_board(observed: Observed) -> bool:
    """Whether a value of the side to move tells winners and is only read with an offset."""
    if observed.of_red is None:
        return False
    evaluation, going = observed.evaluation, ~observed.evaluation.final
    own = own_chances(observed)[going]
    won = observed.own(evaluation.red_won)[going]
    # One that says "lost" nearly always has another cause, which the mover shows best.
    return float(own.mean()) > 0.5 and slice_metrics(own, won, evaluation.game[going]).auc > _RANKS


def _answers(
    pipeline: ExaminedPipeline, planes: torch.Tensor, positions: Positions
) -> NDArray[np.float64]:
    examined = needed(pipeline.examined)
    _, raw = respond_in_parts(examined, planes)
    answers: NDArray[np.float64] = examined.reported(raw, positions).double().numpy()
    return np.clip(np.nan_to_num(answers, nan=0.5), 0.0, 1.0)
