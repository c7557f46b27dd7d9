"""Is what a network reports the decode of what it was trained to put out?

AUC asks for the order of answers only and is blind to the decode; accuracy and value loss are
not. Where the order is good and the answers are not, the network has learnt and is misread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import Observed

Floats = NDArray[np.float64]
# For a network whose outputs are logits this gain is far below 0: one side suffices.
_ONE_SIDED_95 = 1.645


@dataclass(frozen=True)
class RawReading:
    """What it would be like if the raw outputs were themselves the probabilities.

    Attributes:
        accuracy, value_loss: of the raw outputs, cut to [0, 1], as win_prob_red.
        gain: by how much that value loss is lower than the reported one; noise: its standard
            error, clustered by game.
    """

    accuracy: float
    value_loss: float
    gain: float
    noise: float


def decode_findings(check: str, observed: Observed) -> Iterator[Finding]:
    """The signatures of exchanged colours, of a sigmoid too many, and of any other wrong decode."""
    evaluation = observed.evaluation
    overall = evaluation.metrics().overall
    reported, won = evaluation.win_prob_red, evaluation.red_won
    if math.isnan(overall.auc):
        return
    if overall.auc < 0.5 - max(0.1, 2 / math.sqrt(overall.games)):
        yield Finding(
            check,
            "error",
            f"positions that Red wins are rated below those that Blue wins: AUC {overall.auc:.3f}, "
            f"accuracy {overall.accuracy:.1%}, and {1 - overall.accuracy:.1%} if read as Blue's",
            "the chance of one colour is reported as the other's, or winners are the wrong way "
            "round in the training games",
            "find out which colour label 1 stands for, and report 1 - p for the other",
        )
        return
    if overall.auc < 0.6:
        return
    span = (
        f"answers run from {np.quantile(reported, 0.02):.2f} to {np.quantile(reported, 0.98):.2f}"
    )
    raw = read_raw(observed)
    if raw is not None and raw.gain > max(0.01, _ONE_SIDED_95 * raw.noise):
        yield Finding(
            check,
            "error",
            f"{span}, and AUC is {overall.auc:.3f} but accuracy only {overall.accuracy:.1%}. The "
            f"raw outputs' mean is {observed.raw.mean():.2f}, the labels' {won.mean():.2f}; taken "
            f"as probabilities themselves they have a value loss of {raw.value_loss:.4f}, which is "
            f"{raw.gain:.4f} (+-{1.96 * raw.noise:.4f}) below that reported",
            "the network was trained to put out 0 and 1 itself, and a sigmoid is applied "
            "afterwards, which makes 0.50 and 0.73 of them",
            "report the raw output, or apply the sigmoid in the loss too; under the right decode "
            f"accuracy is {raw.accuracy:.1%} without another step of training",
        )
        return
    threshold, best = best_threshold(reported, won)
    # Both accuracies are of the same games, so their difference is known better than either.
    gained = ((reported > threshold) == (won == 1)) * 1.0 - ((reported > 0.5) == (won == 1))
    noise = clustered_error(gained - gained.mean(), evaluation.game)
    lost = best - overall.accuracy
    majority = max(won.mean(), 1 - won.mean())
    shifted = abs(threshold - 0.5) > 0.05
    if shifted and lost > max(0.04, 3 * noise) and best > majority + 0.04:
        yield Finding(
            check,
            "error",
            f"{span}; AUC is {overall.auc:.3f} but accuracy only {overall.accuracy:.1%}. Cut at "
            f"{threshold:.3f} instead of 0.5 it is {best:.1%}",
            "the reported probability is not the decode that the loss was trained with",
            "let loss and probability be one formula; under the right decode accuracy is "
            f"{best:.1%}",
        )


def read_raw(observed: Observed) -> RawReading | None:
    """The raw outputs read as probabilities; None unless a plain sigmoid of them is reported."""
    evaluation, raw = observed.evaluation, observed.raw
    reported, won = evaluation.win_prob_red, evaluation.red_won
    squashed = 1.0 / (1.0 + np.exp(-np.clip(raw, -60.0, 60.0)))
    # In the mover's perspective the network answers for Blue in some positions.
    own = np.abs(squashed - reported) < np.abs(1.0 - squashed - reported)
    if np.abs(np.where(own, squashed, 1.0 - squashed) - reported).max() > 1e-3:
        return None
    read = np.clip(np.where(own, raw, 1.0 - raw), 0.0, 1.0)
    gains = np.square(reported - won) - np.square(read - won)
    return RawReading(
        accuracy=float(((read > 0.5) == (won == 1)).mean()),
        value_loss=float(np.square(read - won).mean()),
        gain=float(gains.mean()),
        noise=clustered_error(gains - gains.mean(), evaluation.game),
    )


def best_threshold(reported: Floats, won: Floats) -> tuple[float, float]:
    """The cut that calls most positions right, and the share that it calls right.

    >>> best_threshold(np.array([0.50, 0.55, 0.70, 0.73]), np.array([0.0, 0.0, 1.0, 1.0]))
    (0.625, 1.0)
    """
    order = np.argsort(reported, kind="stable")
    sorted_won = won[order]
    below = np.concatenate([[0.0], np.cumsum(1 - sorted_won)])
    above = np.concatenate([np.cumsum(sorted_won[::-1])[::-1], [0.0]])
    right = (below + above) / len(won)
    best = int(right.argmax())
    edges = np.concatenate([[0.0], reported[order], [1.0]])
    return float((edges[best] + edges[best + 1]) / 2), float(right[best])
