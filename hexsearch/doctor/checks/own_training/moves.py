"""Compares what a user's policy loss wants with the moves of the games, and weighs both losses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.checks.own_training.loss_weights import (
    batch_weights,
    silent_moves,
    weights_of_losses,
)
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.policy_targets import target_scores
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import Flags, at, named_cause, where
from hexsearch.doctor.own_training.losses.entropy import entropy_factor
from hexsearch.doctor.own_training.losses.factors import factor_of_chance
from hexsearch.doctor.own_training.losses.targets import (
    of_probabilities,
    over_the_batch,
    spread_evenly,
    wanted_moves,
    without_softmax,
)
from hexsearch.doctor.own_training.outputs import Output
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_FEW, _WRONG = 40, 0.02  # rows that are needed, and the share of wrong ones that is reported
_NEARLY_ALL = 0.9
_BY_CHANCE = 2.0  # times the share of right targets that chance gives
_ABSENT = 0.6  # share of rows without a part in the policy loss that is reported
_SPREAD = 0.3  # share of a target that is spread over all cells


def check_moves(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The policy loss must pull at the move that was played."""
    own = needed(pipeline.own_training)
    policy = own.rows.policy if own.rows is not None else None
    gradient = policy.gradient if policy is not None else None
    if gradient is not None and (silent := list(_silent(gradient))):
        yield from silent
        return
    formula = list(_formula(own))
    yield from formula
    if any(each.severity == "error" for each in formula):
        return
    yield from batch_weights(own)
    wanted = own.moves
    if wanted is None or len(wanted.rows) < _FEW:
        return
    right = wanted.truth.cells_under(wanted.symmetry)
    wrong: Flags = (wanted.target != right) & wanted.truth.has_move
    if wrong.sum() <= _WRONG * len(wrong):
        yield from weights_of_losses(own)
        return
    if own.lowered is not None and (own.lowered.target == right)[wrong].mean() > 1 - _WRONG:
        yield _lowered(wrong, where(wrong, affected(wanted.truth, wanted.symmetry)))
        return
    place = where(wrong, affected(wanted.truth, wanted.symmetry), among=wanted.truth.has_move)
    scores = target_scores(wanted.target, wanted.truth, wanted.symmetry, 1, wrong)
    shares = np.bincount(np.maximum(right, 0)) / len(right)
    by_chance = (~wrong).mean() < _BY_CHANCE * float(np.square(shares).sum())
    evidence, cause, remedy = named_cause(
        scores,
        "policy targets are moves of other positions, or random: no more of them are right than by "
        "chance (planes and moves are shuffled, sorted or indexed apart from each other)"
        if by_chance
        else f"policy targets are other cells than that of the next move {place}",
        "take the target from the next move of the game, in the order of cells of the planes",
    )
    yield Finding.error(
        "training policy",
        f"in {len(wrong):,} rows whose position is known, the policy loss pulls most at another "
        f"cell than the next move in {wrong.mean():.0%}, {place}; {evidence}",
        at(cause, place),
        remedy,
        root="policy targets",
    )


def _silent(gradient: Tensor) -> Iterator[Finding]:
    """Report a policy whose gradient [R, C] is 0, or raises no cell."""
    if not bool(gradient.any()):
        yield Finding.error(
            "training policy",
            f"in {len(gradient):,} rows the gradient at the policy is exactly 0",
            "no loss trains the policy: all cells but the target are masked out (a mask of legal "
            "moves that is made from the target), its targets are empty, or it is multiplied by 0",
            "make the mask from the board, and print the policy loss of a batch",
            root="detached policy",
        )
        return
    if _raises_none(gradient):
        yield Finding.error(
            "training policy",
            f"in {_NEARLY_ALL:.0%} and more of {len(gradient):,} rows the policy loss raises "
            "no cell, and lowers others",
            "the moves that were played are masked out of the policy loss: a mask of legal moves "
            "that is inverted, of another position, or of other cells",
            "set the logits of occupied cells to a large negative number, those of empty ones "
            "to nothing",
            root="policy targets",
        )


def _formula(own: OwnTraining) -> Iterator[Finding]:
    """Report rows without a part in the policy loss, and losses that are no cross-entropy."""
    rows = own.rows
    if rows is None or rows.policy is None or rows.policy.gradient is None:
        return
    pulled = (rows.policy.gradient.abs().amax(dim=1) > 0).numpy()
    in_use = np.isin(rows.batch, np.unique(rows.batch[pulled]))  # a batch may be of values alone
    absent = 1 - float(pulled[in_use].mean())
    if absent > _ABSENT:
        yield Finding.warning(
            "training policy",
            f"in {absent:.0%} of {int(in_use.sum()):,} rows the gradient at the policy is exactly "
            "0, and in others not",
            "the policy loss looks at few of the rows of a batch: an index, a mask or a weight of "
            "0 leaves out the others",
            "compute the policy loss of all positions of a batch",
            root="policy targets",
        )
        return
    yield from silent_moves(own, ~pulled, in_use)
    if without_softmax(rows.policy):
        yield _without_softmax(rows.policy, rows.batch)
        return
    policy = Output("", rows.policy.tensor[own.usual], 0, rows.policy.gradient[own.usual])
    if factor := factor_of_chance(policy, rows.size**2):
        yield _by_chance(factor)
        return
    cells, known = wanted_moves(policy, rows.size**2)
    punished = entropy_factor(policy, cells, known)
    if punished > 0:
        yield _punished(punished)
        return
    spread = spread_evenly(policy, cells, known)
    if spread > _SPREAD:
        yield Finding.warning(
            "training policy",
            f"the policy loss is a cross-entropy of which {spread:.0%} of each target is spread "
            "over all cells, those with stones as well",
            f"policy targets are smoothed so strongly ({spread:.0%}) that most of each is no move "
            "that was played (label smoothing, or a constant that is added without a division)",
            "use a label smoothing of 0 to 0.1",
            root="policy smoothing",
        )
    elif of_probabilities(policy, cells, known):
        yield Finding.warning(
            "training policy",
            "the gradients at the policy are exactly those of the squared error of softmax(logits) "
            "and the move",
            "the policy loss is the squared error of probabilities: while they are small, it has "
            "hardly a gradient, so the policy learns slowly or not",
            "use the cross-entropy of the logits",
            root="policy targets",
        )


def _without_softmax(policy: Output, batch: NDArray[np.int64]) -> Finding:
    """The finding for a policy loss without a softmax over the moves."""
    rows = len(policy.tensor)
    if over_the_batch(policy, batch):
        return Finding.error(
            "training policy",
            f"in {rows:,} rows of {len(np.unique(batch))} batches the probabilities of each cell "
            "sum to 1 over the rows of a batch, and those of a row do not sum to 1",
            "the softmax of the policy goes over the batch (dim=0) in place of the moves: a "
            "row's chances are compared with those of other positions",
            "take log_softmax over the moves, dim=1",
            root="policy targets",
        )
    return Finding.error(
        "training policy",
        f"in {rows:,} rows the policy loss raises one number, and lowers none",
        "the policy loss has no softmax: it takes logits for log probabilities (nll_loss "
        "without log_softmax), so the logit of each played move is raised without bound",
        "use cross_entropy, or nll_loss of log_softmax(logits)",
        root="policy targets",
    )


def _punished(factor: float) -> Finding:
    """The finding for an entropy that is added to a loss, by its factor."""
    return Finding.error(
        "training policy",
        "the gradients at the policy are those of the cross-entropy of the move plus "
        f"{factor:.2g} times the entropy of the policy",
        f"the entropy bonus has the wrong sign: {factor:.2g} times the entropy is added to the "
        "loss, so an open policy is punished, and becomes far too sure",
        "subtract the entropy from the loss (loss = policy + value - c * entropy)",
        root="policy targets",
    )


def _by_chance(factor: str) -> Finding:
    """The finding for rows that count the more, the likelier their move is already."""
    cause = (
        f"the policy loss of a move is {factor}, where p is its probability: a focal factor that "
        "is turned around (p in place of 1 - p), so moves that the network does not expect, nearly "
        "all of them, get hardly any gradient, or one that makes them less likely"
        if factor != "p"
        else "the policy loss is minus the probability of the move, without its logarithm "
        "(nll_loss gets probabilities for log probabilities): moves that the network does not "
        "expect get hardly any gradient"
    )
    return Finding.error(
        "training policy",
        "in each row the gradients at the policy are those of a cross-entropy times a factor that "
        "depends on the probability of the move alone, and grows with it",
        cause,
        "use the cross-entropy, or a focal loss with the factor (1 - p) ** gamma",
        root="policy targets",
    )


def _raises_none(gradient: Tensor) -> bool:
    """Whether in nearly all rows with a gradient no cell is raised."""
    rows = gradient[gradient.abs().amax(dim=1) > 0]
    return len(rows) >= _FEW and float((rows.amin(dim=1) >= 0).float().mean()) > _NEARLY_ALL


def _lowered(wrong: Flags, place: str) -> Finding:
    """The finding for a policy loss with a wrong sign, in all rows or in some."""
    cause = "the sign of the policy loss is wrong: moves that were played become less likely"
    remedy = "minimise the cross-entropy: minus the log probability of the move"
    if wrong.mean() < _NEARLY_ALL:
        cause = (
            f"the policy loss is multiplied by a negative number {place} (an outcome or an "
            "advantage of -1): the moves of these rows are pushed away, without bound"
        )
        remedy = "give every position the same weight, or leave out the moves of the loser"
    return Finding.error(
        "training policy",
        f"in {wrong.mean():.0%} of {len(wrong):,} rows whose position is known, the policy loss "
        "lowers the logit of the next move, and raises all others",
        cause,
        remedy,
        root="policy targets",
    )
