"""Explanations of a value loss by other arguments, weights, labels or formulas, or by a penalty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.table import Flags, Hypothesis, where
from hexsearch.model.readout import Readout

ONE_FORMULA = "compute the value loss of each position as readout.loss(raw, outcome)"
SAME_LABELS = "compare each output with the outcome of its own position"


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two losses [B] are equal but for rounding."""
    return torch.allclose(found, expected, 1e-3, 1e-5)


def subsets_of(batch: Batch) -> dict[str, Flags]:
    """[B] for each part of a batch that a loss may treat differently, by words after 'exactly'."""
    rows = np.arange(len(batch))
    red = batch.ply.numpy() % 2 == 1
    return {
        "where Red is to move": red,
        "where Blue is to move": ~red,
        "where the label is 1": batch.outcome.numpy() > 0.5,
        "where the label is 0": batch.outcome.numpy() <= 0.5,
        "where there is a next move": batch.has_move.numpy(),
        "where there is no next move": ~batch.has_move.numpy(),
        "where the network answers for Blue": batch.complement.numpy(),
        "where the network answers for Red": ~batch.complement.numpy(),
        "early in the game": batch.stage.numpy() == 0,
        "late in the game": batch.stage.numpy() == 2,
        "in the first half of the batch": rows < len(rows) // 2,
        "in the second half of the batch": rows >= len(rows) // 2,
        "in every second row of the batch": rows % 2 == 1,
        "in the other rows of the batch": rows % 2 == 0,
    }


def of_changed_arguments(
    found: Tensor, raw: Tensor, batch: Batch, readout: Readout
) -> Hypothesis | None:
    """The read-out's loss of a scaled output, or of labels that are smoothed towards 0.5."""
    outcome, loss = batch.outcome, readout.loss
    least = 4.0 * float(raw.abs().max().clamp(min=1e-3))
    spread = np.exp(np.linspace(-5.0, 5.0, 401)).tolist()
    scales = [float(scale) for scale in spread if scale * least < 1e4]
    scale = min(scales, key=lambda s: float((loss(s * raw, outcome) - found).abs().mean()))
    if _close_within(found, loss(scale * raw, outcome), 0.03):
        return Hypothesis(
            "temperature",
            f"the raw output is multiplied by about {scale:.3g} before the loss (a temperature, "
            "or a scale), but not where it is reported",
            ONE_FORMULA,
        )
    smoothings: list[float] = np.linspace(0.005, 0.95, 190).tolist()

    def smoothed(share: float) -> Tensor:
        return loss(raw, outcome * (1.0 - share) + 0.5 * share)

    share = min(smoothings, key=lambda s: float((smoothed(s) - found).abs().mean()))
    if _close_within(found, smoothed(share), 0.01):
        return Hypothesis(
            "smoothed",
            f"labels are smoothed by about {share:.2g} inside the loss (label smoothing), in "
            "addition to what the read-out is configured to do",
            "set readout.label_smoothing instead, and do not change labels elsewhere",
        )
    return None


def _close_within(found: Tensor, expected: Tensor, share: float) -> bool:
    """Whether two losses differ by less than a share of the standard deviation of the first."""
    spread = max(float(found.std()), 1e-6)
    return float((found - expected).abs().max()) < share * spread


def weighted(found: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """The right loss times a factor that depends on one column of the batch."""
    usable = right.abs() > 1e-6
    if usable.sum() < len(found) // 2:
        return None
    factor = (found / right)[usable]
    _, index, counts = torch.unique(batch.game, return_inverse=True, return_counts=True)
    for name, column in (
        ("the outcome (the winner's class)", batch.outcome),
        ("the stage of the game", batch.stage),
        ("the side to move", batch.ply % 2),
        ("whether there is a next move", batch.has_move),
        ("the side that the network answers for", batch.complement),
        ("the half of the batch", torch.arange(len(found)) < len(found) // 2),
        ("the ply", batch.ply),
        ("the moves to the end", batch.to_end),
        ("the length of the game", batch.ply + batch.to_end),
        ("how many positions of its game the batch holds", counts[index]),
        ("the game", batch.game),
    ):
        _, inverse = np.unique(column[usable].numpy(), return_inverse=True)
        group = torch.from_numpy(inverse)
        size = torch.bincount(group)
        if len(size) < 2 or len(size) > len(group) // 4:
            continue
        mean = torch.bincount(group, factor) / size
        if (factor - mean[group]).abs().max() < 1e-3 * factor.abs().max():
            negative = mean < 0
            if negative.any() and not negative.all():
                place = place_in((found / right.clamp(min=1e-9)) < 0, right, raw, batch)
                return Hypothesis(
                    "sign in a part",
                    f"the value loss has the wrong sign {place} (by {name}): training drives these "
                    "answers away from the results",
                    "give the loss of every position the same sign; exchange label or answer where "
                    "the side is another one",
                )
            return Hypothesis(
                "weighted",
                f"positions are weighted unequally in the value loss, by {name}: from "
                f"{float(factor.min()):.3g} to {float(factor.max()):.3g}",
                "give every position the same weight; to weight stages set "
                "curriculum.stage_weights",
            )
    return None


def place_in(wrong: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> str:
    """In words, which positions have a wrong loss: a subset, or a condition on their numbers."""
    numbers = {
        "right value loss": right,
        "raw value": raw,
        "size of the raw value": raw.abs(),
        "ply": batch.ply,
        "number of plies to the end": batch.to_end,
        "length of the game": batch.ply + batch.to_end,
        "number of the game": batch.game,
        "row in the batch": torch.arange(len(right)),
    }
    flags, subsets = wrong.numpy(), subsets_of(batch)
    known = where(flags, subsets)
    if known.startswith(("everywhere", "exactly")):
        return known
    learnt = region(
        flags, {**subsets, **{name: column.numpy() for name, column in numbers.items()}}
    )
    return learnt if learnt.startswith("exactly") else known


def by_region(found: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """The right loss, but another one for the positions that meet a condition."""
    wrong = ((found - right).abs() > 1e-5 + 1e-3 * right.abs()).numpy()
    place = place_in(torch.from_numpy(wrong), right, raw, batch)
    if not place.startswith("exactly"):
        return None
    index = torch.from_numpy(wrong)
    there, expected = found[index], right[index]
    factor = float((there * expected).sum() / expected.square().sum().clamp(min=1e-12))
    how = f"is {factor:.3g} times as large" if close(there, factor * expected) else "is another one"
    return Hypothesis(
        "by region",
        f"the value loss {how} {place}; elsewhere it is that of the read-out",
        "give every position the same weight and formula; to weight stages set "
        "curriculum.stage_weights",
    )


def other_labels(found: Tensor, raw: Tensor, batch: Batch, readout: Readout) -> Hypothesis | None:
    """The right formula with labels 0 and 1 that are not those of the batch."""
    zero = readout.loss(raw, torch.zeros_like(raw))
    one = readout.loss(raw, torch.ones_like(raw))
    right = readout.loss(raw, batch.outcome)

    def agrees(expected: Tensor) -> Tensor:
        return (found - expected).abs() < 1e-5 + 1e-3 * expected.abs()

    if not bool((agrees(zero) | agrees(one)).all()):
        return None
    wrong = ~agrees(right)
    implied = torch.where(agrees(right), batch.outcome, torch.where(agrees(one), 1.0, 0.0))
    if float(implied.std()) < 1e-6:
        cause = f"the value loss compares every output with label {float(implied[0]):.0f}"
    elif torch.equal(implied.sort().values, batch.outcome.sort().values):
        cause = "outputs are compared with the labels of other rows of the batch (in another order)"
    else:
        place = where(wrong.numpy(), subsets_of(batch))
        cause = f"the value loss is computed with inverted labels {place}"
    return Hypothesis("other labels", cause, SAME_LABELS)


TURNED = "turned around: p in place of 1 - p"  # of a factor on a loss


def usual_formulas(raw: Tensor, outcome: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Usual losses of a binary outcome, each [B] with its name."""
    p, signed = raw.sigmoid(), 2.0 * outcome - 1.0
    likely = torch.where(outcome > 0.5, p, 1.0 - p).clamp(min=1e-7)
    entropy = functional.binary_cross_entropy_with_logits(raw, outcome, reduction="none")
    yield "the cross-entropy of sigmoid(raw)", entropy
    yield "the squared error of sigmoid(raw)", (p - outcome).square()
    yield "the squared error of tanh(raw)", (raw.tanh() - signed).square()
    yield "the absolute error of sigmoid(raw)", (p - outcome).abs()
    yield "the absolute error of tanh(raw)", (raw.tanh() - signed).abs()
    yield "the absolute error of the raw output", (raw - outcome).abs()
    for name, answer, label in (
        ("the raw output", raw, outcome),
        ("sigmoid(raw)", p, outcome),
        ("tanh(raw)", raw.tanh(), signed),
    ):
        huber = functional.smooth_l1_loss(answer, label, reduction="none")
        yield f"the smooth absolute error (Huber) of {name}", huber
    yield "a hinge on the raw output", (1.0 - signed * raw).clamp(min=0.0)
    yield "an exponential loss of the raw output", (-signed * raw).exp()
    yield "minus the probability itself, without its logarithm", -likely
    for power in (0.5, 1.0, 2.0, 3.0):
        yield f"a focal loss of power {power:g}", (1.0 - likely).pow(power) * entropy
        name = f"a focal loss of power {power:g} that is {TURNED} (easy positions weigh most)"
        yield name, likely.pow(power) * entropy
    for power in (3.0, 4.0):
        yield f"the error of sigmoid(raw) to the power {power:g}", (p - outcome).abs().pow(power)


def other_formula(found: Tensor, right: Tensor, raw: Tensor, batch: Batch) -> Hypothesis | None:
    """Another formula up to one factor, or a function of the right loss."""
    own = [
        ("the root of the read-out's loss", (right + 1e-8).sqrt()),
        ("the square of the read-out's loss", right.square()),
        ("the logarithm of the read-out's loss", (right + 1e-8).log()),
        ("the exponential of the read-out's loss", right.exp()),
        ("the read-out's loss cut off from above (clamped)", right.clamp(max=float(found.max()))),
        ("the read-out's loss cut off from below", right.clamp(min=float(found.min()))),
    ]
    for name, expected in [*usual_formulas(raw, batch.outcome), *own]:
        factor = float((found * expected).sum() / expected.square().sum().clamp(min=1e-12))
        if _close_within(found, factor * expected, 0.005) and abs(factor) > 1e-6:
            times = "" if abs(factor - 1.0) < 0.01 else f", times {factor:.3g}"
            return Hypothesis(
                "other formula",
                f"the loss that is minimised is {name}{times}, not that of the read-out that gives "
                "the reported answers",
                ONE_FORMULA,
            )
    return None
