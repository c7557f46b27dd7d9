"""Reports values that are not pulled to the certain result of each game alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import by_game
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.own_training.losses.factors import has_policy_gradient
from hexsearch.doctor.own_training.losses.soft_targets import FROM_START, groups, turning_point
from hexsearch.doctor.own_training.outputs import Output, value_of
from hexsearch.doctor.own_training.rows import Wanted
from hexsearch.doctor.own_training.seen import SeenPass
from hexsearch.doctor.own_training.watched import OwnTraining

_ENOUGH = 0.02  # share of rows that are pulled away from their result
_ABSENT = 0.6  # share of rows without a part in the value loss that is reported
_FIRST, _FEW, _LEVEL = 4, 20, 0.3  # batches, rows of a result in them, and largest raw value
_SOME = 0.1  # share of the rows of a result
_UNEQUAL = 2.5  # factor between the pulls of both results
_OPPOSITE = 1e-3  # largest residual of gradients that are multiples of others
_FEW_OPPOSITE, _STEPS_SEEN = 8, 6  # rows of a pass, and steps that are looked at for these
# Slopes of what a loss compares: of the output itself, of its sigmoid and of its tanh.
_SLOPES = (
    torch.ones_like,
    lambda raw: raw.sigmoid() * (-raw).sigmoid() + 1e-9,
    lambda raw: 1 - raw.tanh().square() + 1e-9,
)
_CERTAIN = 0.1  # distance of a chance from 0 or 1 that is not certain


def uncertain(own: OwnTraining, labels: Wanted, wrong: Flags) -> Iterator[Finding]:
    """Report discounted targets, or labels that are trained to another chance than 0 or 1.

    Args:
        labels: what the loss wants, in Red's chance.
        wrong: [R] rows that are pulled away from the result of their game.
    """
    if own.formula is not None:
        return
    if own.draws is not None:
        yield _drawn(*own.draws)
        return
    fades = own.fading
    if fades is not None and not fades.owner:
        yield Finding.error(
            "training value",
            f"the value loss is the {fades.loss}, and its gradients are exactly those of targets "
            f"that change {fades.how}, and not with the result",
            f"targets are not the results of the games: they change {fades.how}, whoever won "
            "(another column is taken for the result)",
            "give the loss the result of the game",
            root="training value",
        )
    elif fades is not None and FROM_START in fades.how:
        yield Finding.error(
            "training value",
            f"the value loss is the {fades.loss}, and its gradients are exactly those of results "
            f"of {fades.owner} that change {fades.how}",
            f"targets are discounted in the wrong direction, {fades.how} (the exponents of gamma "
            "are reversed): openings have the whole result as their target, and the positions at "
            "the end, whose result is certain, hardly any of it",
            "count the exponent of a discount from the end of the game",
            root="reading",
        )
    elif fades is not None:
        yield Finding.warning(
            "training value",
            f"the value loss is the {fades.loss}, and its gradients are exactly those of results "
            f"of {fades.owner} that change {fades.how}",
            f"targets are discounted {fades.how} (a discount factor, gamma), but the value is "
            "read as a chance: positions far from the end are never answered as certain",
            "train with the results as they are, unless the discount is on purpose and what reads "
            "the value takes it into account",
            root="reading",
        )
    elif wrong.mean() > _ENOUGH:
        yield from _drawn_to_a_number(own, labels)


def _drawn(draws: Flags, truth: Truth) -> Finding:
    """The finding for positions with the target of a draw."""
    whole = by_game(draws, truth.game)
    games = len(np.unique(truth.game[draws])), len(np.unique(truth.game))
    which = f"in all positions of {games[0]} of {games[1]} games" if whole else "in some positions"
    return Finding.error(
        "training value",
        f"the target is halfway between a loss and a win {which} ({draws.mean():.0%} of "
        f"{len(draws):,} rows), and that of the result in all others",
        f"targets are those of a draw {which}, and Hex has none: the result was not read or not "
        "known there (a default of 0 or 0.5, a mark that is looked for in the wrong place, an "
        "integer type that cuts off fractions)",
        "print the result that is read of each game, and leave out games without one",
        root="training value",
    )


def single(own: OwnTraining) -> Iterator[Finding]:
    """Report one and the same target for all rows."""
    loss = own.formula
    if loss is None or not loss.has_one_target or own.rows is None:
        return
    red = own.catalogues[0].truth.archive.winners[own.rows.game[own.rows.found]] > 0
    if not len(red) or not _SOME < red.mean() < 1 - _SOME:
        return  # the games that are shown have one result
    lost, won = loss.targets
    yield Finding.error(
        "training value",
        f"the value loss is the {loss.name}, with the target {(lost + won) / 2:g} in all of "
        f"{len(own.usual):,} rows",
        f"every label is {(lost + won) / 2:g}, whoever won: results are lost on the way to the "
        "loss (an integer type that cuts off fractions, a comparison that never or always holds, "
        "a default)",
        "compare the label with the winner after each operation on it, to find where it is lost",
        root="training value",
    )


def _drawn_to_a_number(own: OwnTraining, labels: Wanted) -> Iterator[Finding]:
    """Report rows of one result that are drawn to a chance that is not certain."""
    rows = own.rows
    assert rows is not None and rows.value is not None
    if rows.value.tensor.shape[1] != 1 or not own.catalogues[0].passes_on:
        return
    raw = rows.value.tensor[torch.from_numpy(labels.rows), 0]
    assert rows.value.gradient is not None
    up = (rows.value.gradient[torch.from_numpy(labels.rows), 0] < 0).numpy()
    won = labels.truth.outcome(labels.symmetry, "board")
    if own.foreign.for_mover:
        won = won ^ (rows.to_move(np.isin(np.arange(len(rows.found)), labels.rows)) == -1)
    told = []
    for is_won, chosen in groups(won):
        turns = turning_point(raw[torch.from_numpy(chosen)], up[chosen])
        if turns is None:
            continue
        chance = float(own.foreign.answered(torch.tensor([turns]), torch.tensor([1]))[0])
        if abs(chance - is_won) > _CERTAIN:
            told.append(f"{'wins' if is_won else 'losses'} to {turns:.2f}, read as {chance:.2f}")
    if told:
        yield Finding.error(
            "training value",
            f"rows whose raw value is below a number are pulled up to it, and those above it down: "
            f"{'; '.join(told)}",
            f"the value is trained to other numbers than those that are read as 0 and 1: "
            f"{'; '.join(told)} (targets of 0 and 1 for a value from -1 to 1, or targets that are "
            "scaled or smoothed)",
            "give the loss the numbers that win_prob_red reads as certain: -1 and 1 for a tanh",
            root="reading",
        )


def unequal(own: OwnTraining) -> Iterator[Finding]:
    """Report rows without a part in the value loss, and results that weigh more than others."""
    rows = own.rows
    assert rows is not None and rows.value is not None and rows.value.gradient is not None
    pulls = rows.value.gradient.abs().amax(dim=1).numpy()
    absent = float((pulls == 0).mean())
    if absent > _ABSENT:
        yield Finding.warning(
            "training value",
            f"in {absent:.0%} of {len(pulls):,} rows the gradient at the value is exactly 0",
            "the value loss looks at few of the rows of a batch: an index or a mask leaves out the "
            "others, or most outputs are cut off (a clamp, a ReLU)",
            "compute the value loss of all positions of a batch",
            root="training value",
        )
        return
    if rows.value.tensor.shape[1] != 1 or own.foreign.for_mover or own.formula is not None:
        return
    if own.fading is not None or own.has_soft_targets:  # no certain results
        return
    first = rows.found & rows.single & (rows.batch < _FIRST)
    won = rows.truth(first, own.catalogues[0]).outcome(rows.symmetry[first], "board")
    kinds = [pulls[first][each] for each in (won, ~won)]
    # Near 0, and in the first batches, where they differ little, pulls of both kinds are alike.
    typical = float(rows.value.tensor[torch.from_numpy(first), 0].median()) if first.any() else 1.0
    if min(map(len, kinds)) < _FEW or abs(typical) > _LEVEL:
        return
    gained, lost = (float(np.median(each)) for each in kinds)
    if min(gained, lost) > 0 and max(gained, lost) > _UNEQUAL * min(gained, lost):
        side = "won" if gained > lost else "lost"
        yield Finding.warning(
            "training value",
            f"in the first {_FIRST} batches games that Red {side} pull the value "
            f"{max(gained, lost) / min(gained, lost):.2g} times as strongly as the others",
            "one outcome weighs more than the other in the value loss (pos_weight, a class weight, "
            "a weight of samples), so that answers lean to it",
            "give both outcomes one weight",
            root="training value",
        )


def of_means(batches: int) -> Finding:
    """The finding for a loss that does not look at single rows."""
    return Finding.error(
        "training value",
        f"in each of {batches} batches all values are pulled one way, those of games that were "
        "won as much as those that were lost",
        "the value loss compares means: the mean over the batch is taken before the loss (of the "
        "values, of the labels, or of their differences), so no value learns its own result",
        "compute the loss of each position, and take the mean of the losses",
        root="training value",
    )


def through_targets(own: OwnTraining) -> Iterator[Finding]:
    """Report gradients at two passes that are opposite: one is the target of the other."""
    if has_policy_gradient(own):
        yield Finding.error(
            "training value",
            "the gradient at each value is that of a usual loss and a multiple of the weighted "
            "policy loss of its row",
            "the weights of the policy loss (an advantage) are computed from the value and not "
            "detached: the policy loss pulls at the value, too, in one direction for all rows",
            "detach() the value before advantages or weights are computed from it",
            root="training value",
        )
        return
    steps = [step for step in own.recording.steps if len(step.passes) > 1][:_STEPS_SEEN]
    shares = [_share(step.passes, own.foreign.size) for step in steps]
    known = [share for share in shares if share is not None]
    if not steps or len(known) < len(steps):
        return
    share = sum(known) / len(known)
    yield Finding.error(
        "training value",
        f"in each of {len(steps)} steps the network is asked twice, and the gradients at the value "
        f"of one pass are those of the other times {-share:.2g}",
        "the target of the value loss is the network's own answer to another position (the next "
        "one, a bootstrapped target) and is not detached: its gradient pulls that answer back to "
        "the earlier one",
        "compute the target in torch.no_grad(), or detach() it",
        root="training value",
    )


def _share(passes: Sequence[SeenPass], size: int) -> float | None:
    """Share of the loss that the target of one pass makes; None if no two passes are opposite."""
    values = [value_of(each.outputs, size) for each in passes]
    for first, second in combinations(values, 2):
        if first is None or second is None:
            continue
        for target, answer in ((first, second), (second, first)):
            found = _opposite(target, answer)
            if found is not None:
                return found
    return None


def _opposite(target: Output, answer: Output) -> float | None:
    """The share, at most 1, for which gradients at `target` are -share those at `answer`."""
    if target.gradient is None or answer.gradient is None:
        return None
    pulled, pulls = (
        each.gradient.reshape(len(each.tensor), -1).double()  # type: ignore[union-attr]
        for each in (target, answer)
    )
    if pulled.shape != pulls.shape or pulled.shape[1] != 1 or torch.equal(pulled, -pulls):
        return None  # a loss of the difference of two answers, beside another one
    rows = pulled[:, 0] != 0  # the last position of a game has none behind it
    if int(rows.sum()) < _FEW_OPPOSITE:
        return None
    raws = [each.tensor.reshape(len(rows), -1)[rows, 0].double() for each in (target, answer)]
    for slope in _SLOPES:
        pull, own = pulled[rows, 0] / slope(raws[0]), pulls[rows, 0] / slope(raws[1])
        share = -float((pull * own).sum() / own.square().sum().clamp(min=1e-30))
        rest = float((pull + share * own).norm() / pull.norm())
        if rest < _OPPOSITE and 0 < share <= 1 + _OPPOSITE:
            return share
    return None
