"""Checks of the size and form of raw outputs: values without bound, probabilities for logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.policies import log_softmax, uniform_likelihood
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_LEAD = 40.0  # median lead of the largest logit, above which all others are impossible
_POOR = 0.15  # value loss above which such a value is no knowledge
_SUM = 1e-3  # distance of a sum of probabilities from 1
_FEW = 50  # positions that are needed


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
    if raw.ndim == 1 or raw.shape[1] < 2 or len(raw) < _FEW:
        return
    lead = _lead(raw)
    if lead > _LEAD and loss > _POOR:
        yield _unbounded("value", lead, f"the value loss is {loss:.3f}", float(np.abs(raw).max()))


def _unbounded_policy(observed: Observed, size: int) -> Iterator[Finding]:
    rows = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[rows].astype(np.float64)
    if logits.shape[1] != size * size or len(rows) < _FEW:
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
    if observed.policy.shape[1] != size * size or len(policy) < _FEW or policy.min() < 0.0:
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
