"""Compares the factors before both losses, with each other and from batch to batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.losses.factors import BatchFactors, of_policy, of_value
from hexsearch.doctor.own_training.losses.targets import policy_scale, wanted_moves
from hexsearch.doctor.own_training.outputs import Output
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.game.board import RED

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
_EXACT = 1e-3  # relative standard deviation of factors that differ
_SAME = 0.1  # of it that is left if something explains them
_OF_LOGITS, _LINEAR = "BinaryCrossEntropyWithLogits", 0.9  # a loss, and a correlation
_MANY, _CLOSE = 4, 0.02  # batches of a step, and how near to a mean over the rows a factor is
_FIRST = 4  # batches
_FEW, _PART = 40, 0.98  # rows that are needed, and the share of them that a part must explain
_LITTLE = 0.25  # share of the first factor below which hardly anything is left
_WEAK = 0.02  # weight of the value loss beside that of the policy loss that is reported
_LOW, _NEARLY_ALL = 0.8, 0.9  # share of the first factor that is left, and of the steps that lower


def silent_results(own: OwnTraining) -> Iterator[Finding]:
    """Report results whose rows have no gradient at the value at all, while others have one."""
    rows = own.rows
    if rows is None or rows.value is None or rows.value.gradient is None:
        return
    silent = (rows.value.gradient.abs().flatten(1).amax(dim=1) == 0).numpy()
    known = rows.found & rows.single
    for first in (1, _FIRST):  # later on, rows may have no error any more
        early = known & (rows.batch < first)
        if early.sum() >= _FEW:
            known = early
            break
    won = own.catalogues[0].truth.archive.winners[rows.game] == RED
    truth = rows.truth(np.ones(len(known), dtype=bool), own.catalogues[0])
    shown = truth.outcome(rows.symmetry, "board")
    sides = {
        ("that Red won", "that Blue won"): won,
        ("with a winner on the planes' first side", "of the other side"): shown,
        ("that the side to move wins", "that the side to move loses"): won == (rows.ply % 2 == 1),
    }
    if name := _silent_part(silent, known, sides):
        reason, remedy = _why_silent(rows.value, known & ~silent)
        yield Finding.error(
            "training value",
            f"in {silent[known].mean():.0%} of {known.sum():,} rows the gradient at the "
            f"value is exactly 0: in those of positions {name}, and in no others",
            f"positions {name} never count in the value loss ({reason}), so the value "
            "answers the other result always",
            remedy,
            root="training value",
        )


def silent_moves(own: OwnTraining, silent: Flags, in_use: Flags) -> Iterator[Finding]:
    """Report a policy that learns nothing of the games of one winner, or of one side's moves.

    To learn the winner's moves alone is sound: each game then gives those of one side.

    Args:
        silent, in_use: [R] rows without a gradient at the policy, and those whose batch has some.
    """
    rows = own.rows
    assert rows is not None
    everywhere = np.ones(len(silent), dtype=bool)
    truth = rows.truth(everywhere, own.catalogues[0])
    known = rows.found & rows.single & in_use & truth.has_move
    red = truth.red_won
    shown = truth.outcome(rows.symmetry, "board")
    sides = {
        ("of games that Red won", "of games that Blue won"): red,
        ("of games that Red won on the planes", "of games that Blue won on the planes"): shown,
        ("with Red to move", "with Blue to move"): rows.to_move(everywhere) == 1,
    }
    if name := _silent_part(silent, known, sides):
        yield Finding.warning(
            "training policy",
            f"in {silent[known].mean():.0%} of {known.sum():,} rows the gradient at the "
            f"policy is exactly 0: in those {name}, and in no others",
            f"positions {name} never count in the policy loss, whoever moves there (a "
            "weight or mask by the colour, where one by the side to move may be meant)",
            "weigh the moves of the side that won the game, or all moves alike",
            root="loss weights",
        )


def _silent_part(silent: Flags, known: Flags, sides: Mapping[tuple[str, str], Flags]) -> str:
    """The name of the part whose rows, and no others, are silent; empty if there is none.

    Args:
        silent, known: [R] rows without a gradient, and those that are looked at.
        sides: [R] by the names of the rows that have the flag, and of the others.
    """
    if known.sum() < _FEW or not 0.1 < silent[known].mean() < 0.9:
        return ""
    for names, flag in sides.items():
        for name, part in zip(names, (flag, ~flag), strict=True):
            if (silent == part)[known].mean() > _PART:
                return name
    return ""


def _why_silent(value: Output, counting: Flags) -> tuple[str, str]:
    """In words, why some rows have no gradient, by the gradients of the others; and a remedy."""
    assert value.gradient is not None
    raw, gradient = value.tensor.flatten(1), value.gradient.flatten(1)
    usual = ("an ignore_index that is a class, a mask or a weight of 0", "let every result count")
    if raw.shape[1] != 1:
        return usual
    slopes = gradient[counting, 0].double().numpy()
    if slopes.std() < _SAME * abs(slopes.mean()):
        if any(op.name == _OF_LOGITS for way in value.ways for op in way):
            return (
                "the arguments of the cross-entropy are exchanged: the result is given as the "
                "logit and the value as the target, so the loss falls without limit",
                "give the value first and the result second",
            )
        return (
            "a hinge or ranking loss gets labels of 0 and 1 where it wants -1 and 1: a label of 0 "
            "makes its term a constant",
            "give the labels as -1 and 1",
        )
    if abs(np.corrcoef(raw[counting, 0].double().numpy(), slopes)[0, 1]) > _LINEAR:
        return (
            "an error of one sign is not counted: it is tested without its absolute value, as in "
            "error > delta in place of |error| > delta of a Huber loss",
            "take the absolute value of the error before it is compared",
        )
    return usual


def batch_weights(own: OwnTraining) -> Iterator[Finding]:
    """Compare the factors before both losses from batch to batch."""
    value, policy = of_value(own), of_policy(own)
    if value is not None and policy is not None and _multiplied(value, policy):
        yield Finding.error(
            "training value",
            "in each batch the factor before the value loss is a multiple of the policy loss, and "
            "that before the policy loss one of the value loss",
            "both losses are multiplied with each other, not added: the smaller one of them is, "
            "the less the other is trained",
            "call backward() on a weighted sum of the losses",
            root="loss weights",
        )
        return
    if value is not None and _varies(value.factor) and _is_of_root(value):
        yield Finding.warning(
            "training value",
            "in each batch the factor before the squared error is one over the root of its mean",
            "the value loss is the root of the mean squared error: the smaller it becomes, the "
            "longer its gradients, so it outweighs other losses and does not settle",
            "take the mean of the squares without the root",
            root="loss weights",
        )
        return
    yield from _summed(own)
    for name, found in (("value", value), ("policy", policy)):
        if found is not None and _falls(found.factor):
            yield Finding(
                f"training {name}",
                "error" if found.factor[-1] < _LITTLE * found.factor[0] else "warning",
                f"the factor before the {name} loss falls from {found.factor[0]:.2g} to "
                f"{found.factor[-1]:.2g} in {len(found.factor)} batches",
                f"the weight of the {name} loss falls from step to step, so that it is soon hardly "
                "trained (learned loss weights without a term that keeps them from 0, such as "
                "exp(-s) * loss without + s, or a weight that decays by the batch)",
                "keep the weight constant, or add the term of the method (s for exp(-s) * loss)",
                root="loss weights",
            )
            return


def _multiplied(value: BatchFactors, policy: BatchFactors) -> bool:
    products = value.factor / policy.loss, policy.factor / value.loss
    return all(
        _varies(found.factor) and _explained(product, found.factor)
        for product, found in zip(products, (value, policy), strict=True)
    )


def _is_of_root(value: BatchFactors) -> bool:
    return _explained(value.factor * np.sqrt(value.loss), value.factor)


def _explained(product: Floats, factor: Floats) -> bool:
    """Whether a product is one and the same number, and a factor in it is not."""
    return _spread(product) < _SAME * _spread(factor)


def _varies(factor: Floats) -> bool:
    return _spread(factor) > _EXACT


def _spread(numbers: Floats) -> float:
    """Relative standard deviation."""
    return float(numbers.std() / max(abs(float(numbers.mean())), 1e-30))


def _falls(factor: Floats) -> bool:
    return bool(factor[-1] < _LOW * factor[0] and (np.diff(factor) < 0).mean() >= _NEARLY_ALL)


def _pull(gradient: Tensor) -> float:
    """Median of the largest gradient of each row that has a part in the loss; 0 if none has."""
    largest = gradient.abs().amax(dim=1)
    return float(largest[largest > 0].median()) if bool(largest.any()) else 0.0


def _summed(own: OwnTraining) -> Iterator[Finding]:
    """Report means of several batches that are added up before a step of plain gradient descent."""
    steps, rows = own.recording.steps, own.rows
    if rows is None or rows.policy is None or rows.policy.gradient is None or not steps:
        return
    policy = Output("", rows.policy.tensor[own.usual], 0, rows.policy.gradient[own.usual])
    scale = policy_scale(policy, *wanted_moves(policy, rows.size**2))
    many = int(np.median([len(step.passes) for step in steps]))
    size = int(np.bincount(rows.batch)[rows.batch[own.usual[0]]])
    scaled = any("betas" in group for step in steps for group in step.groups)
    is_mean = abs(scale * size - 1) < _CLOSE
    if many < _MANY or scaled or not is_mean:
        return
    yield Finding.warning(
        "training steps",
        f"each step of {steps[0].optimiser} uses the gradients of {many} batches of {size}, and "
        "the loss of each is a mean over its own rows",
        f"the losses of {many} micro-batches are added without being divided by their number, so "
        f"each step is {many} times as long as that of one large batch (accumulated gradients)",
        f"divide each loss by {many} before backward()",
        root="steps rate",
    )


def weights_of_losses(own: OwnTraining) -> Iterator[Finding]:
    """Compare the factors before both losses."""
    rows, loss = own.rows, own.formula
    if rows is None or rows.value is None or rows.policy is None:
        return
    of_value, of_policy = rows.value.gradient, rows.policy.gradient
    if of_value is None or of_policy is None:
        return
    pulls = [_pull(each[own.usual]) for each in (of_value, of_policy)]
    told = f"the pull on a value is {pulls[0]:.2g}, and on the logit of a move {pulls[1]:.2g}"
    share = pulls[0] / max(pulls[1], 1e-30)
    policy = Output("", rows.policy.tensor[own.usual], 0, of_policy[own.usual])
    scale = policy_scale(policy, *wanted_moves(policy, rows.size**2))
    if loss is not None and scale > 0:
        share = loss.scale / scale
        told = (
            f"the {loss.name} has a factor of {loss.scale:.2g} for each position, the "
            f"cross-entropy of the policy one of {scale:.2g}"
        )
    if pulls[1] > 0 and share > 1 / _WEAK:
        yield Finding.warning(
            "training policy",
            told,
            f"the policy loss weighs {1 / share:.2g} of the value loss: the network learns the "
            "value, and the policy hardly (a sum over the batch beside a mean, for instance)",
            "give both losses weights near each other; take means, not sums, of both",
            root="loss weights",
        )
    elif 0 < share < _WEAK:
        yield Finding.warning(
            "training value",
            told,
            f"the value loss weighs {share:.2g} of the policy loss: the network learns the policy, "
            "and the value hardly",
            "give the value loss a weight near that of the policy loss; take means, not sums, of "
            "both",
            root="loss weights",
        )
