"""Looks at how sure a network's policy is of the moves that were played."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import log_softmax

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_NEEDED, _MOST = 500, 4_000  # positions with a next move
_FACTORS = 2.0 ** (np.arange(17) / 4)  # of the logits, from 1 on
_FLAT = 1.65  # factor from which on a policy is too flat
_GAIN, _SURE = 0.08, 4.0  # nats that it must gain, also in standard errors


def check_sharpness(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A policy of moves must not be made likelier by a higher certainty.

    One that is too sure is not reported: a network that has seen few games is.
    """
    observed = needed(pipeline.observed)
    moved = np.flatnonzero(observed.played >= 0)
    if len(moved) < _NEEDED:
        return
    rows = np.sort(np.random.default_rng(SEED).permutation(moved)[:_MOST])
    logits, played = observed.policy[rows].astype(np.float64), observed.played[rows]
    if not np.isfinite(logits[np.arange(len(rows)), played]).all():
        return
    finite = np.where(np.isfinite(logits), logits, -1e4)
    losses = np.stack(
        [-log_softmax(factor * finite, axis=1)[np.arange(len(rows)), played] for factor in _FACTORS]
    )
    means = losses.mean(axis=1)
    best = int(means.argmin())
    gains = losses[0] - losses[best]
    noise = clustered_error(gains - gains.mean(), observed.evaluation.game[rows])
    if _FACTORS[best] < _FLAT or gains.mean() < max(_GAIN, _SURE * noise):
        return
    yield Finding.warning(
        "policy",
        f"on {len(rows):,} positions the log loss of the moves played is "
        f"{(means[best] + gains.mean()):.2f}, and {means[best]:.2f} with logits times "
        f"{_FACTORS[best]:.2g} (lower by {gains.mean():.2f} +-{2 * noise:.2f})",
        f"the policy is too flat: its logits are divided by about {_FACTORS[best]:.2g} (a softmax "
        "temperature that is applied twice, or at inference only, or one of the loss that "
        "inference leaves out), or it was taught distributions far flatter than moves",
        "apply a temperature once, where moves are drawn, and none to the logits that a search "
        "or an evaluation gets",
        root="flat policy",
    )
