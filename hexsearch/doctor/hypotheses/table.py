"""Competing explanations and their scores: the method behind every cause that the doctor names.

A hypothesis says what the data would be if one thing were wrong. It is scored on the data, with an
interval. It is named as the cause if it explains nearly everything and clearly more than the
others do; otherwise the finding lists what was excluded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
_EXPLAINS = 0.9  # share that a cause must explain, as the lower end of its interval
_EQUAL = 0.02  # shares that are this close are equal
_KNOWN_SHARE = 0.97  # of samples on which a subset and the wrong ones must agree


@dataclass(frozen=True)
class Hypothesis:
    """One explanation: a short name for lists, the cause in words, and what to do about it."""

    name: str
    cause: str
    remedy: str


@dataclass(frozen=True)
class Score:
    """Share of the samples that a hypothesis explains, with its 95% interval (Wilson, 1927)."""

    hypothesis: Hypothesis
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.share:.0%} [{self.low:.0%}, {self.high:.0%}]"


def share_score(hypothesis: Hypothesis, explained: Flags) -> Score:
    """The score of a hypothesis that says yes or no for each sample."""
    count = len(explained)
    share = float(explained.mean()) if count else 0.0
    low, high = wilson(share, count)
    return Score(hypothesis, share, low, high)


def lag_score(
    what: str,
    found: NDArray[Any],
    right: NDArray[Any],
    rows: NDArray[np.int64],
    batch_size: int,
) -> Score | None:
    """Whether the wrong values are those of other rows at one distance; None if they are not.

    Args:
        what: is taken from elsewhere, such as `the label`.
        found: [W] the values that are wrong. right: [B] the right ones of all rows.
        rows: [W] where the wrong values stand.
    """
    if len(rows) < 12:
        return None
    best, share = 0, 0.0
    for lag in (*range(1, len(right)), *range(-1, -len(right), -1)):
        there = rows - lag
        inside = (there >= 0) & (there < len(right))
        if inside.sum() < max(12, 0.2 * len(rows)):
            continue
        agree = float((found[inside] == right[there[inside]]).mean())
        if agree > share + 1e-9:
            best, share = lag, agree
    # Within a batch the last row's neighbour is the first one: a few rows do not fit.
    if share < 0.95:
        return None
    distance = abs(best)
    if distance < batch_size // 2:
        name = f"{distance} row(s) {'earlier' if best > 0 else 'later'} in the batch"
        cause = f"{what} is that of another row of the batch, {name}"
    else:
        batches = max(round(distance / batch_size), 1)
        name = f"{batches} batch(es) {'earlier' if best > 0 else 'later'}"
        cause = f"{what} is that of another batch, {name}: a buffer is read late or reused"
    low, high = wilson(share, len(rows))
    remedy = "cut planes, label and move of a sample from one (game, ply), and index them alike"
    return Score(Hypothesis(name, cause, remedy), share, low, high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95% interval of a share of `count` samples.

    >>> [round(end, 3) for end in wilson(1.0, 100)]
    [0.963, 1.0]
    """
    if not count:
        return 0.0, 1.0
    z2 = 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def clear_winner(scores: Sequence[Score], explains: float = _EXPLAINS) -> Score | None:
    """The hypothesis that explains nearly all samples; the first listed of near equals."""
    if not scores:
        return None
    most = max(score.share for score in scores)
    best = next(score for score in scores if score.share >= most - _EQUAL)
    needed = min(explains, 1.0 - 4.0 * (1.0 - explains)) if best.share < 1.0 else 0.0
    return best if best.share >= explains and best.low >= needed else None


def excluded(scores: Iterable[Score], limit: int = 6) -> str:
    """The names of hypotheses that explain little, for a finding without a winner."""
    names = [score.hypothesis.name for score in scores if score.high < _EXPLAINS]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"excluded: {', '.join(names[:limit])}{more}" if names else "nothing could be excluded"


def where(wrong: Flags, subsets: Mapping[str, Flags]) -> str:
    """In words, which samples are the wrong ones: all, a known subset, or a random share."""
    share = float(wrong.mean())
    if share >= _KNOWN_SHARE:
        return "everywhere"
    usable = {name: mask for name, mask in subsets.items() if 0.0 < mask.mean() < 1.0}
    agreement = {name: float((wrong == mask).mean()) for name, mask in usable.items()}
    exact = {
        name: agreement[name]
        for name, mask in usable.items()
        if wrong[mask].mean() > _KNOWN_SHARE and wrong[~mask].mean() < 1 - _KNOWN_SHARE
    }
    if exact:
        return f"exactly {max(exact, key=lambda name: exact[name])}"
    partly = {
        name: float(wrong[mask].mean())
        for name, mask in usable.items()
        if wrong[mask].mean() > 10 * max(wrong[~mask].mean(), 1 / len(wrong))
        and wrong[mask].sum() >= 5
    }
    if partly:
        best = max(partly, key=lambda name: partly[name])
        return f"only {best} ({partly[best]:.0%} of those)"
    return f"in a random share of {share:.0%}"
