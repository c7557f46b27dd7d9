"""Explains why the loss and the probability of a read-out do not belong together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hexsearch.doctor.hypotheses.formulas.loss_sums import explain_mixture
from hexsearch.doctor.hypotheses.formulas.readout_forms import (
    LossForm,
    answer_form,
    cut_off,
    levels_of_answers,
    loss_form,
    other_form,
    scale_of_output,
    written_arguments,
)
from hexsearch.doctor.hypotheses.loss_formulas import TURNED
from hexsearch.model.readout import Readout, SmoothedReadout

_FEW_LEVELS = 60  # different probabilities below which they are rounded
_NEAR = 0.03  # probabilities with a smaller difference are equal
_STABLE = (
    "leave the raw output as it is: binary_cross_entropy_with_logits is stable for any raw output, "
    "and an epsilon of 1e-7 is enough before a logarithm"
)


def explain_cut_off(readout: Readout) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if the loss does not change beyond some raw values."""
    ends = cut_off(readout)
    if ends is None:
        return None
    with torch.no_grad():
        told = readout.win_prob(torch.tensor(ends, dtype=torch.float64).clamp(-40.0, 40.0))
    low, high = (float(each) for each in told)
    reached = " and ".join(
        f"{answer:.3g}" for answer, end in ((low, ends[0]), (high, ends[1])) if abs(end) < torch.inf
    )
    form = loss_form(readout)
    what = f" (between them it is {form})" if form else ""
    below = "" if ends[0] == -torch.inf else f"below {ends[0]:.3g}"
    above = "" if ends[1] == torch.inf else f"above {ends[1]:.3g}"
    return (
        f"for raw outputs {' and '.join(filter(None, (below, above)))} the loss is the same "
        f"number, whatever the target{what}",
        f"the loss clamps (clips) the output: beyond an answer of {reached} it does not "
        "change, so no gradient passes there, nothing teaches surer answers, and an output "
        "that is sure of the wrong side never comes back",
        _STABLE,
    )


def explain_forms(readout: Readout) -> tuple[str, str] | None:
    """Cause and remedy if loss and probability are usual formulas that do not belong together."""
    form, answer = loss_form(readout), answer_form(readout)
    told = f"win_prob is {answer}" if answer else "win_prob is another function"
    if form is None or form.formula == "the absolute error":
        return _improper(readout) or _scaled(readout, told) or explain_mixture(readout)
    if abs(form.weight - 1.0) > 0.01:
        return (
            f"a target of 1 weighs {form.weight:.3g} times as much as one of 0 in the loss (a "
            f"pos_weight, or a class weight), which is {form} otherwise: a perfect network answers "
            "too much for one side, and win_prob does not undo it",
            "weigh both outcomes alike, or undo the weight in win_prob",
        )
    if "two " in form.answer or "two " in answer:
        return (
            f"two squashing functions stand one behind the other: the loss is {form}, and {told}",
            "apply the sigmoid once: give the loss of logits the raw output, and report its "
            "sigmoid",
        )
    if form.targets:
        even = abs(form.zero + form.one - 1.0) < 0.01
        return (
            f"{form.targets}: the loss is {form} with these targets, so a perfect network answers "
            f"{round(min(form.zero, form.one), 3) + 0.0:g} to {max(form.zero, form.one):.2g} ("
            + ("label smoothing" if even else "a one-sided or wrong smoothing")
            + " inside the loss, or targets on another scale)",
            "use targets of 0 and 1; to smooth them evenly set readout.label_smoothing, which "
            "gives t (1 - s) + s / 2",
        )
    if answer.startswith(form.answer) and ", cut off" in answer:
        return (
            f"win_prob is clamped (clipped): it is {answer}, so no answer is nearer to 0 or 1, "
            f"however sure the network is, while the loss is {form} without an end",
            "report the probability without cutting it off",
        )
    if not answer or answer == form.answer:
        return _cut_in_loss(readout, form) if answer else None
    return (
        f"loss and win_prob do not belong together: the loss is {form}, so the answer that it "
        f"trains is that, and {told}",
        f"report {form.answer}, or compute the loss from what win_prob gives",
    )


def _cut_in_loss(readout: Readout, form: LossForm) -> tuple[str, str] | None:
    """The same for a loss that does not change beyond some outputs."""
    ends = cut_off(readout)
    if ends is None:
        return None
    with torch.no_grad():
        low, high = (float(p) for p in readout.win_prob(torch.tensor(ends)))
    return (
        f"the loss is {form} cut off to {low:.2g}..{high:.2g} (clamped): beyond these it has no "
        "gradient, not even for answers that are confidently wrong, and win_prob goes on",
        "compute the loss from the raw output without cutting it off (logsigmoid keeps logarithms "
        "finite)",
    )


def _improper(readout: Readout) -> tuple[str, str] | None:
    """The same for a loss that is not least at the true probability."""
    other = other_form(readout)
    if not other:
        return None
    return (
        f"the loss is {other}, which is not least at the true probability, so win_prob is another "
        "number than the share of wins even in a perfect network",
        "use the cross-entropy or the squared error of the probability; with a loss that is not "
        "proper on purpose set proper = False",
    )


def _scaled(readout: Readout, told: str) -> tuple[str, str] | None:
    """The same for a loss that gets a multiple of the output."""
    scale = scale_of_output(readout)
    if scale is None:
        return None
    factor, offset = scale
    shifted = "" if abs(offset) < 0.02 else f" and {offset:.3g} is added to it"
    return (
        f"the raw output is multiplied by {factor:.3g}{shifted} before the loss (a temperature or "
        f"a scale), and not where it is reported: {told}",
        "apply the same factor in win_prob, or in neither",
    )


def explain_written(readout: Readout) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if its functions write into what they are given."""
    written = written_arguments(readout)
    if not written:
        return None
    return (
        f"after a call the tensors that were given hold something else: {', '.join(written)}",
        f"{' and '.join(written)}, in place: labels or outputs are other ones after the call, so "
        "a second call (a report, another head, the next epoch) gets changed numbers",
        "use operations that return a new tensor (mul, not mul_; a + b, not +=)",
    )


def explain_rounded(readout: Readout) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if few different probabilities are reported."""
    levels = levels_of_answers(readout)
    if levels > _FEW_LEVELS:
        return None
    return (
        f"for 4,001 raw outputs from -6 to 6 win_prob gives {levels} different numbers",
        f"win_prob is rounded to {levels} numbers: positions that differ are reported alike",
        "report the probability without rounding",
    )


def explain_mixed(readout: Readout) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if the loss of a row depends on the other rows."""
    raw = torch.linspace(-2.0, 2.0, 8)
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    with torch.no_grad():
        together = readout.loss(raw, target)
        alone = torch.cat([readout.loss(raw[n : n + 1], target[n : n + 1]) for n in range(8)])
    if together.shape != alone.shape or torch.allclose(together, alone, 1e-3, 1e-5):
        return None
    with torch.no_grad():
        crossed = torch.stack([readout.loss(raw, t.expand(8)) for t in target]).mean(dim=0)
    pairs = together.mean().isclose(crossed.mean(), 1e-3, 1e-5)
    return (
        f"the losses of 8 rows have a mean of {float(together.mean()):.4f} together, and of "
        f"{float(alone.mean()):.4f} one by one",
        "the loss of a row depends on the other rows: "
        + (
            "each answer is compared with every label of the batch (a column [B, 1] against a row "
            "[B] is broadcast to [B, B]), so all answers are drawn to the mean label"
            if pairs
            else "labels or answers of other rows enter it (a norm, a softmax or another order "
            "over the batch)"
        ),
        "give outputs and targets the same shape [B], and compute each row's loss by itself",
    )


@dataclass(frozen=True)
class Optimum:
    """Raw output of least loss, and the probability that the read-out reports for it."""

    raw: float
    probability: float


def optimum(readout: Readout, target: float) -> Optimum:
    """The optimum for a target in [0, 1]; raw outputs are searched in [-12, 12]."""
    low, high = -12.0, 12.0
    for _ in range(3):
        grid = torch.linspace(low, high, 2401, dtype=torch.float64)
        with torch.no_grad():
            losses = readout.loss(grid, torch.full_like(grid, target))
        best = int(losses.argmin())
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 2400)])
    raw = (low + high) / 2
    reported = readout.win_prob(torch.tensor([raw], dtype=torch.float64))
    return Optimum(raw, float(reported))


def explain(readout: Readout) -> tuple[str, str]:
    """Cause and remedy for a read-out whose loss and probability do not belong together."""
    if TURNED in other_form(readout) and (improper := _improper(readout)) is not None:
        return improper  # such a loss is least at the wrong side, as well as at the right one
    zero, one = optimum(readout, 0.0), optimum(readout, 1.0)
    sigmoid = [float(torch.tensor(best.raw).sigmoid()) for best in (zero, one)]
    reads_sigmoid = (
        abs(zero.probability - sigmoid[0]) < _NEAR and abs(one.probability - sigmoid[1]) < _NEAR
    )
    if one.probability < zero.probability - 0.1:
        return (
            "the reported probability is that of the other side: it is high where the loss is "
            "least for target 0",
            "return the probability of the outcome with target 1 from win_prob",
        )
    for low, high, scale in ((0.0, 1.0, "0 and 1"), (-1.0, 1.0, "-1 and 1")):
        if abs(zero.raw - low) < _NEAR and abs(one.raw - high) < _NEAR and reads_sigmoid:
            return (
                f"the loss compares the raw output with {scale}, and a sigmoid is applied "
                f"afterwards: a perfect network is reported as {zero.probability:.2f} and "
                f"{one.probability:.2f}",
                "apply the sigmoid inside the loss as well (readout sigmoid_mse or bce), or report "
                "the raw output itself"
                if low == 0.0
                else "report (raw + 1) / 2, or set readout to tanh_mse",
            )
    if (forms := explain_forms(readout)) is not None:
        return forms
    if all(abs(optimum(readout, t).probability - (2 * t - 1)) < _NEAR for t in (0.65, 0.8, 0.9)):
        return (
            "the loss compares the probability with labels of -1 and 1 (2 * target - 1, as for a "
            "tanh): a loss is out of its reach, and a chance of 75% is learnt as 50%",
            "compare win_prob with targets of 0 and 1",
        )
    return (
        f"loss and win_prob are on different scales: the loss is least at raw {zero.raw:.2f} and "
        f"{one.raw:.2f}, which are reported as {zero.probability:.2f} and {one.probability:.2f}",
        "compute the loss from win_prob(raw), so that both use one formula",
    )


def not_smoothed(readout: SmoothedReadout) -> str:
    """Why answers are not kept from 0 and 1."""
    raw = torch.linspace(-4.0, 4.0, 9)
    s, target = readout.smoothing, torch.ones(9)
    with torch.no_grad():
        found = readout.loss(raw, target)
        beyond = readout.inner.loss(raw, target * (1.0 + s) - 0.5 * s)
        lost = readout.loss(raw, torch.zeros(9))
        lifted = readout.inner.loss(raw, torch.full((9,), s))
    if torch.allclose(lost, lifted, 1e-4, 1e-5):
        return (
            f"label smoothing moves targets towards 1 and not towards 0.5: a loss is {s:g} and a "
            "win stays 1 (s is added where s / 2 should be)"
        )
    if torch.allclose(found, beyond, 1e-4, 1e-5):
        return (
            "label smoothing has the wrong sign: targets are pushed beyond 0 and 1 "
            f"({-s / 2:g} and {1 + s / 2:g}), and sure answers are rewarded without bound"
        )
    return "label smoothing is configured and has no effect on the loss"
