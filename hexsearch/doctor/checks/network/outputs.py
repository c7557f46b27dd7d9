"""Checks of the form of outputs: cut off, rounded, without bound, or probabilities for logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.constants import own_chances
from hexsearch.doctor.hypotheses.policies import log_softmax, uniform_likelihood
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_INSIDE = 0.01  # distance from 0 and 1 of an end that is no natural one
_AT, _FEW = 0.02, 10  # share of the answers at both ends, and different raw values behind them
_ZERO = 1e-9  # distance from 0, or from a sigmoid of 0, of what a relu cuts off
_PILE, _INNER = 0.15, 0.05  # share at one end alone; distance of its chance from 0 and 1
_SAME = 1e-6
_LEAD = 40.0  # median lead of the largest logit, above which all others are impossible
_SHARE = 0.75  # quantile of the sizes of raw values that must be as large
_POOR = 0.15  # value loss above which such a value is no knowledge
_SUM = 1e-3  # distance of a sum of probabilities from 1
_MANY = 50  # positions that are needed


def check_cut_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Many different raw values must not be reported as the same smallest or largest answer."""
    observed = needed(pipeline.observed)
    answers = observed.answered
    if not np.isfinite(answers).all():
        return
    if (one := _one_end(observed)) is not None:
        yield one
        return
    low, high = float(answers.min()), float(answers.max())
    at = [np.abs(answers - end) < _SAME for end in (low, high)]
    many = [len(np.unique(observed.value[each].round(5))) >= _FEW for each in at]
    shares = [float(each.mean()) for each in at]
    if low < _INSIDE or high > 1 - _INSIDE or min(shares) < _AT:
        return
    raw = observed.value
    if not all(many):
        yield from _cut_outputs(raw, low, high)
        return
    inside = ~(at[0] | at[1])
    ends = f"{raw[inside].min():.3g} to {raw[inside].max():.3g}" if inside.any() else "none"
    yield Finding.error(
        "answers",
        f"{shares[0]:.0%} of {len(answers):,} answers are exactly {low:.3g} and {shares[1]:.0%} "
        f"exactly {high:.3g}, though their raw values differ ({raw.min():.3g} to {raw.max():.3g}; "
        f"those of the other answers go from {ends})",
        f"answers are clamped (clipped) to {low:.3g}..{high:.3g}: no board is reported as surer, "
        "however sure the network is; a loss with the same clamp passes no gradient beyond it",
        "report the probability without cutting it off; if the loss clamps, too, take the clamp "
        "out there (a cross-entropy of logits needs none) and train again",
        root="cut",
    )


def _one_end(observed: Observed) -> Finding | None:
    """The finding for raw outputs many of which are exactly at one end, and no natural one."""
    raw = observed.raw
    if raw.ndim != 1 or len(np.unique(raw)) < 4 * _FEW:
        return None
    chances = own_chances(observed)
    for end, where, other in (
        (float(raw.min()), "below", "negative"),
        (float(raw.max()), "above", "positive"),
    ):
        at, opposite = raw == end, raw == raw.min() + raw.max() - end
        chance, far = (float(np.median(chances[each])) for each in (at, opposite))
        if at.mean() < _PILE or (opposite.mean() > _AT and _INNER < far < 1 - _INNER):
            continue  # it is cut off at both ends
        if np.ptp(chances[at]) > _SAME or not _INNER < chance < 1 - _INNER:
            continue
        # Where all hidden units are off, a sound value is that of the last bias.
        if min(abs(end), abs(end - 0.5)) > _ZERO:
            continue
        return Finding.error(
            "answers",
            f"{at.mean():.0%} of {len(raw):,} raw outputs are exactly {end:.3g}, which stands for "
            f"a chance of {chance:.2f}, and none lies {where} it",
            f"the value is cut off at {end:.3g}: {other} raw values cannot occur (a relu behind "
            f"the last layer of the value head, or a clamp), so no chance {where} {chance:.2f} is "
            "ever reported, and such positions pass no gradient",
            "end the value head in a plain linear layer, without an activation before the sigmoid "
            "or tanh; then train again",
            root="cut",
        )
    return None


def _cut_outputs(raw: NDArray[np.float64], low: float, high: float) -> Iterator[Finding]:
    """Report raw outputs that are exactly at their ends on many positions."""
    least, most = float(raw.min()), float(raw.max())
    ends = [float((raw == end).mean()) for end in (least, most)]
    if min(ends) < _AT or len(np.unique(raw)) < 4 * _FEW:
        return  # few different values are rounded ones
    yield Finding.error(
        "answers",
        f"{ends[0]:.0%} of {len(raw):,} raw outputs are exactly {least:.3g} and {ends[1]:.0%} "
        f"exactly {most:.3g}, which are reported as {low:.3g} and {high:.3g}",
        f"the network clamps (clips) its value to {least:.3g}..{most:.3g}, or squashes it (a tanh "
        f"before another squashing function): no answer lies outside {low:.3g}..{high:.3g}, and "
        "at the ends no gradient passes",
        "end the value head in a plain linear layer; the read-out alone squashes its output",
        root="cut",
    )


def why_not_finite(pipeline: ExaminedPipeline) -> tuple[str, str]:
    """Cause and remedy of answers that are not finite."""
    model = pipeline.foreign.model if pipeline.foreign is not None else None
    if isinstance(model, nn.Module) and all(bool(p.isfinite().all()) for p in model.parameters()):
        return (
            "answers are not finite although all weights are: numbers leave their range at "
            "inference (half precision, float16, ends at 65,504; a logarithm or a division of 0; "
            "or planes that are not those of training)",
            "use bfloat16 or float32 at inference, and keep logarithms and divisions away from 0",
        )
    return (
        "answers are not finite: training has diverged and the weights are not finite (a logarithm "
        "or a division of 0 in the loss, or a learning rate that is far too high)",
        "load weights from before the loss became nan, and use a loss of logits",
    )


def rounded_answers(observed: Observed) -> Iterator[Finding]:
    """Report answers that take few values although raw values take many."""
    answers, many = np.unique(observed.answered.round(6)), len(np.unique(observed.value.round(6)))
    if len(answers) > 12 or many < 10 * len(answers):
        return
    if len(answers) == 1:
        yield Finding.error(
            "answers",
            f"{many:,} different raw values are all reported as {answers[0]:.3g}",
            "win_prob_red does not depend on the raw value: a softmax over a single number (which "
            "is always 1), an integer division, or a number that is clamped to one end",
            "use a sigmoid for a single logit, and a softmax over the classes of one position",
            root="cut",
        )
        return
    examples = ", ".join(f"{answer:.3g}" for answer in answers[:4])
    yield Finding.error(
        "answers",
        f"{many:,} different raw values are reported as {len(answers)} different answers: "
        f"{examples}",
        "answers are rounded or cut to few values, such as 0 and 1: a decision is reported instead "
        "of a probability",
        "report the probability without rounding",
        root="cut",
    )


def check_sizes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report outputs that grew without bound, and a policy that ends in a softmax."""
    observed = needed(pipeline.observed)
    size = needed(pipeline.examined).size
    value = list(_unbounded_value(observed))
    yield from value
    yield from [] if value else _unbounded_policy(observed, size)
    yield from _probabilities(observed, size)


def _lead(logits: np.ndarray) -> float:
    """Median difference of the largest entry of each row to the second largest."""
    two = np.sort(logits, axis=1)[:, -2:]
    return float(np.median(two[:, 1] - two[:, 0]))


def _unbounded_value(observed: Observed) -> Iterator[Finding]:
    raw, loss = observed.raw, observed.evaluation.metrics().overall.value_loss
    if len(raw) < _MANY or not loss > _POOR:
        return
    if raw.ndim == 1:
        if float(np.quantile(np.abs(raw), _SHARE)) > _LEAD:
            yield _unbounded_number(raw, loss)
    elif raw.shape[1] > 1 and (lead := _lead(raw)) > _LEAD:
        yield _unbounded("value", lead, f"the value loss is {loss:.3f}", float(np.abs(raw).max()))


def _unbounded_number(raw: NDArray[np.float64], loss: float) -> Finding:
    """The finding for raw values that are far from 0 although answers are poor."""
    low, high = float(raw.min()), float(raw.max())
    cause = (
        "the raw values have grown without bound: the value loss had no lower end in training (the "
        "wrong sign, so that it was maximised; or labels that it does not expect), training "
        "diverged (a learning rate that is far too large), or inputs are far larger than those of "
        "training"
    )
    if min(-low, high) < _LEAD / 2 and -low * high > 0:
        end = "0" if -low > high else "1"
        cause = (
            f"answers are driven to {end} without bound wherever they are not certain, and to the "
            "other end as far as usual: the value loss has no minimum there (labels of -1 and 1 "
            "under a cross-entropy that expects 0 and 1, or a label that is none of its classes)"
        )
    return Finding.error(
        "size of outputs",
        f"a quarter of the raw values are larger than {np.quantile(np.abs(raw), _SHARE):.3g} in "
        f"size, from {low:.3g} to {high:.3g}, so that these chances are 0 or 1; the value loss is "
        f"{loss:.3f}",
        cause,
        "look at the labels that the value loss gets and at its sign, then at the learning rate "
        "and the scale of the planes; then train again",
        root="unbounded",
    )


def _unbounded_policy(observed: Observed, size: int) -> Iterator[Finding]:
    rows = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[rows].astype(np.float64)
    if logits.shape[1] != size * size or len(rows) < _MANY:
        return
    lead = _lead(logits)
    told = float(log_softmax(logits)[np.arange(len(rows)), observed.played[rows]].mean())
    if lead > _LEAD and told < 2 * uniform_likelihood(size):
        yield _unbounded(
            "policy",
            lead,
            f"the moves played have a mean log probability of {told:.3g}, and "
            f"{uniform_likelihood(size):.2f} under a uniform policy",
            float(np.abs(logits).max()),
        )


def _unbounded(name: str, lead: float, told: str, largest: float) -> Finding:
    return Finding.error(
        "size of outputs",
        f"the largest logit of the {name} leads the second by {lead:.3g} in the median, and logits "
        f"go up to {largest:.3g}; {told}",
        f"the logits of the {name} have grown without bound: the loss in training had no lower "
        "end, as nll_loss of logits that no log_softmax has normalised (it expects logarithms of "
        "probabilities), a loss with the wrong sign, or training diverged",
        "use cross_entropy of the logits, or give nll_loss their log_softmax; then train again",
        root="unbounded",
    )


def _probabilities(observed: Observed, size: int) -> Iterator[Finding]:
    policy = observed.policy[:, : size * size].astype(np.float64)
    if observed.policy.shape[1] != size * size or len(policy) < _MANY or policy.min() < 0.0:
        return
    if np.abs(policy.sum(axis=1) - 1.0).max() > _SUM:
        return
    yield Finding.warning(
        "policy cells",
        f"on {len(policy):,} positions the policy is nowhere below 0 and its sum is 1 on each",
        "the policy ends in a softmax: it gives probabilities where logits are expected, so "
        "another softmax flattens them at inference; if a cross-entropy was trained on them, which "
        "applies one itself, two softmaxes stand one behind the other and no move could become "
        "likely",
        "return the logits of the policy head (or the logarithm of the probabilities), and give "
        "the loss logits, too",
        root="policy cells",
    )
