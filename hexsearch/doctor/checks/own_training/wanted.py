"""Compares what a user's losses want with the results and the moves of the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.doctor.checks.own_training.classes import of_draws, of_unread
from hexsearch.doctor.checks.own_training.loss_weights import silent_results
from hexsearch.doctor.checks.own_training.uncertain import (
    of_means,
    single,
    through_targets,
    uncertain,
    unequal,
)
from hexsearch.doctor.checks.own_training.wrong_labels import wrong_labels
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.own_training.losses.formulas import ValueLoss
from hexsearch.doctor.own_training.losses.targets import (
    directions,
    pulled_alike,
    pulled_together,
    read_as,
)
from hexsearch.doctor.own_training.mixed_planes import are_blends
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_BATCHES = 6  # that are looked at one by one
_FEW, _WRONG = 40, 0.02  # rows that are needed, and the share of wrong ones that is reported
_BLENDED = 0.25  # the same of blends of two boards, which have the result of either
_OFF = 0.05  # difference of a chance that belongs to the loss and of the one that is reported
_USUAL = 0.2  # distance from usual targets within which a formula is trusted
_LARGE, _CUT_OFF = 20.0, 0.02  # raw value, and the distance of its chance from 0 or 1
_BEYOND = 1.5  # a target that no sigmoid and no tanh reaches
_POINTS = 41  # raw values at which chances are compared
_SMOOTH = 0.02  # distance of a target from the ends of its range
# Losses that the chance of a result does not minimise, and what does.
_NO_CHANCE = {
    "absolute error": "its best answer is the likelier result itself, however uncertain it is",
    "hinge loss": "its best answer is the likelier result itself, however uncertain it is",
    "focal loss": "its best answer lies nearer to a half than the chance",
}
_ENDS = {"sigmoid": (0.0, 1.0), "raw": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def check_value(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value loss must pull Red's chance to the result of the game."""
    own = needed(pipeline.own_training)
    if own.rows is None:
        return
    if own.rows.value is None or own.rows.value.gradient is None:
        if own.trains_value:
            return  # in passes of its own
        seen = "no output that may be a value" if own.rows.value is None else "no gradient"
        yield Finding.error(
            "training value",
            f"in {len(own.recording.passes)} passes of the training function {seen} was seen at "
            "the value",
            "no loss trains the value: it is not part of what backward() is called on, or it is "
            "computed from a detached copy (detach(), item(), argmax, a new tensor)",
            "add the value loss, computed from the output itself, to the loss before backward()",
            root="detached value",
        )
        return
    if not float(own.rows.value.gradient.abs().max()) > 0:
        yield Finding.error(
            "training value",
            f"in {len(own.rows.found):,} rows the gradient at the value is exactly 0",
            "no loss trains the value: its targets are empty (the classes of a row sum to 0), or "
            "its loss is multiplied by 0, masked out, or the same for all outputs",
            "print some targets of the value, their sums and the value loss of a batch",
            root="detached value",
        )
        return
    early = (
        list(silent_results(own))
        or list(through_targets(own))
        or list(of_draws(own))
        or list(of_unread(own))
        or list(single(own))
        or list(unequal(own))
    )
    if early:
        yield from early
        return
    labels = own.labels
    if labels is None or len(labels.rows) < _FEW:
        return
    right: Flags = labels.truth.outcome(labels.symmetry, "board")
    wrong: Flags = (labels.target > 0.5) != right
    together = list(_together(own))
    if together:
        yield from together
        return
    # Whose value that of a finished board is, is left to the script; others are judged first.
    going = ~labels.truth.finished
    if going.sum() >= _FEW and wrong[going].mean() > _WRONG:
        labels, wrong = labels.of(going), wrong[going]
    soft = list(uncertain(own, labels, wrong))
    if soft:
        yield from soft
    elif wrong.mean() > (_BLENDED if own.rows and are_blends(own.rows.inputs) else _WRONG):
        yield wrong_labels(own, labels, wrong)
    else:
        yield from _reading(own)


def _together(own: OwnTraining) -> Iterator[Finding]:
    """Report batches in which all values are pulled to one number."""
    rows = own.rows
    assert rows is not None and rows.value is not None and rows.value.gradient is not None
    if rows.value.tensor.shape[1] != 1 or (own.formula is not None and own.formula.has_one_target):
        return
    archive = own.catalogues[0].truth.archive
    looked_at = min(int(rows.batch.max()) + 1, _BATCHES)
    alike, together = True, True
    for number in range(looked_at):
        at = np.flatnonzero(rows.batch == number)
        at = at[rows.found[at]]
        won = archive.winners[rows.game[at]] > 0
        raw, gradient = rows.value.tensor[at, 0], rows.value.gradient[at, 0]
        if len(at) < _FEW or not 0.1 < won.mean() < 0.9:
            return
        alike = alike and pulled_alike(gradient, won)
        together = together and pulled_together(raw, gradient)
        if not (alike or together):
            return
    if alike:
        yield of_means(looked_at)
        return
    first = torch.from_numpy(rows.batch < looked_at)
    if pulled_together(rows.value.tensor[first, 0], rows.value.gradient[first, 0]):
        return  # one label for all batches
    yield Finding.error(
        "training value",
        f"in each of {looked_at} batches the pull on a value depends on the value alone, and not "
        "on the result of its game: high ones are pulled down, low ones up",
        "every value is drawn to the mean of the labels of its batch: outputs [B, 1] and labels "
        "[B] are broadcast to [B, B], so that each is compared with all",
        "give both one shape: value.squeeze(1), or labels[:, None]",
        root="training value",
    )


def _reading(own: OwnTraining) -> Iterator[Finding]:
    """Compare the chance that belongs to the loss with the one that is reported."""
    loss = own.formula
    if loss is None:
        return
    lost, won = loss.targets
    told = f"the value loss is the {loss.name}, with targets of {lost:g} and {won:g}"
    unreachable = list(_unreachable(loss, told))
    if unreachable:
        yield from unreachable
        return
    gap, belonging, read = _gap(own, loss)
    margin = loss.name == "hinge loss"  # which belongs to no chance
    if gap > _OFF and loss.odd < _USUAL and not margin:
        yield Finding.error(
            "training value",
            f"{told}, so its chance is {belonging}; what is reported differs from it by {gap:.2f} "
            "on average",
            f"the value is read by another function than the one it is trained with: trained as "
            f"{belonging} with targets of {lost:g} and {won:g}, reported as "
            + (read or "something else"),
            f"let win_prob_red return {belonging}, or train with the loss that belongs to it",
            root="reading",
        )
        return
    yield from _uncertain_chances(own, loss, told, belonging)


def _unreachable(loss: ValueLoss, told: str) -> Iterator[Finding]:
    """Report a loss that is maximised, and targets that do not fit the loss."""
    lost, won = loss.targets
    if loss.scale < 0:
        yield Finding.error(
            "training value",
            f"{told}, times {loss.scale:.2g}",
            "the sign of the value loss is wrong: it is maximised, not minimised",
            "add the loss itself to what backward() is called on, without a minus",
            root="steps sign",
        )
    elif loss.chance == "tanh" and lost > -0.5:
        yield Finding.error(
            "training value",
            told,
            "targets of 0 and 1 for a tanh, which goes from -1 to 1: half of its range is never "
            "used, and a lost position is trained to be even",
            "use targets of -1 and 1 (2 * result - 1)",
            root="reading",
        )
    elif loss.chance == "sigmoid" and max(abs(lost + 1), abs(won - 1)) < _USUAL:
        yield Finding.error(
            "training value",
            told,
            "targets of -1 and 1 for a sigmoid, which goes from 0 to 1: a lost position is pulled "
            "to 0 without end, and the loss has no minimum",
            "use targets of 0 and 1, (result + 1) / 2",
            root="reading",
        )
    elif loss.chance != "raw" and won > _BEYOND:
        yield Finding.error(
            "training value",
            told,
            f"targets are multiplied ({lost:g} and {won:g}): the {loss.chance} of the value ends "
            "at 1, so won positions are pulled up without end, and far stronger than lost ones",
            "use targets of 0 and 1",
            root="reading",
        )


def _uncertain_chances(
    own: OwnTraining, loss: ValueLoss, told: str, belonging: str
) -> Iterator[Finding]:
    """Report targets, readings and losses with which no answer is the chance of a win."""
    lost, won = loss.targets
    low, high = _ENDS[loss.chance]
    soft = max(abs(lost - low), abs(won - high)) if loss.chance != "raw" or lost > -0.5 else 0.0
    if _SMOOTH < soft < 0.5:
        yield Finding.warning(
            "training value",
            told,
            f"targets are smoothed or scaled: {lost:g} and {won:g}, and not {low:g} and {high:g}, "
            "so a certain win is never reported as certain",
            "train with the results as they are, unless this is on purpose",
            root="smoothing",
        )
        return
    ends = _ends(own)
    if ends and max(ends[0], 1 - ends[1]) > _CUT_OFF:
        yield Finding.warning(
            "training value",
            f"{told}; raw values of -{_LARGE:g} and {_LARGE:g} are reported as {ends[0]:.2g} and "
            f"{ends[1]:.2g}",
            f"win_prob_red cuts chances off at {ends[0]:.2g} and {ends[1]:.2g} (a clamp, a "
            "temperature, an average with 0.5): no win is ever reported as certain",
            f"let win_prob_red return {belonging} as it is",
            root="reading",
        )
        return
    kind = next((kind for kind in _NO_CHANCE if kind in loss.name), "")
    if kind:
        yield Finding.warning(
            "training value",
            told,
            f"the value loss is the {loss.name}: {_NO_CHANCE[kind]}, so answers are no chances",
            "use a loss that chances minimise: the binary cross-entropy, or the squared error",
            root="no chance",
        )


def _ends(own: OwnTraining) -> tuple[float, float] | None:
    """Chances that are reported of very small and very large raw values; None if not known."""
    known = own.catalogues[0]
    if known.raw is None or known.raw.shape[1] != 1 or not known.passes_on:
        return None
    raw = torch.tensor([-_LARGE, _LARGE])
    low, high = sorted(own.foreign.answered(raw, torch.ones(2, dtype=torch.int64)).tolist())
    return low, high


def _gap(own: OwnTraining, loss: ValueLoss) -> tuple[float, str, str]:
    """Mean difference of the reported chance from that of the loss; both in words."""
    known = own.catalogues[0]
    if known.raw is None or known.raw.shape[1] != 1:
        return 0.0, "", ""
    signed = loss.chance == "tanh" or (loss.chance == "raw" and loss.targets[0] < -0.5)
    words = {"sigmoid": "sigmoid(raw)", "tanh": "(tanh(raw) + 1) / 2", "raw": "the raw value"}
    belonging = "(raw + 1) / 2" if signed and loss.chance == "raw" else words[loss.chance]
    gaps, read = [0.0], ""
    for side in (-1, 1):
        rows = np.flatnonzero((known.to_move == side) & ~known.truth.finished)
        up = directions(1, side, own.foreign, known)
        if up is None or not len(rows):
            continue
        raw, said = known.raw[rows, 0], known.reported[rows]
        if known.passes_on:  # a network that is hardly trained has raw values near 0 only
            ends = (-1.0 if signed else 0.0, 1.0) if loss.chance == "raw" else (-4.0, 4.0)
            raw = torch.linspace(*ends, _POINTS)
            said = own.foreign.answered(raw, torch.full((_POINTS,), side))
        level = {"sigmoid": torch.sigmoid(raw), "tanh": torch.tanh(raw), "raw": raw}[loss.chance]
        chance = ((level + 1) / 2 if signed else level).clamp(0, 1)
        expected = chance if float(up[0]) > 0 else 1 - chance
        gaps.append(float((said.clamp(0, 1) - expected).abs().mean()))
        read = read_as(raw, said) if gaps[-1] == max(gaps) else read
    return max(gaps), belonging, read
