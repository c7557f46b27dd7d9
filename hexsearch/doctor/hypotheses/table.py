"""Competing explanations and their scores, from which the doctor chooses the cause of a fault.

A hypothesis says what the data would be if one thing were wrong. Its score is the share of the data
that it explains, with an interval. The best hypothesis is named as the cause if it explains nearly
everything; of hypotheses that are equally good the first one is the best. Otherwise the finding
lists the hypotheses that are excluded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
TOGETHER = "take planes, label and move of a sample from one (game, ply), by one index"
_EXPLAINS = 0.9  # share of the samples that a cause must explain
_EQUAL = 0.02  # shares with a smaller difference count as equal
_BY_CHANCE = 0.01  # probability that all wrong samples lie in a subset
_KNOWN_SHARE = 0.97  # share of a subset that must be wrong for it to be the wrong one


@dataclass(frozen=True)
class Hypothesis:
    """One explanation: a short name for lists, the cause as a sentence, and the remedy."""

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
        return percentages(self.share, self.low, self.high)


def share_score(hypothesis: Hypothesis, explained: Flags) -> Score:
    """The score of a hypothesis, from whether it explains each sample [S]."""
    share = float(explained.mean()) if len(explained) else 0.0
    return Score(hypothesis, share, *wilson(share, len(explained)))


def lag_score(
    what: str, found: NDArray[Any], right: NDArray[Any], rows: NDArray[np.int64], batch_size: int
) -> Score | None:
    """The score of: wrong values are those of rows at one distance. None if they are not.

    Args:
        what: what the values are, such as `the label`.
        found: [W] the wrong values.
        right: [B] the right values of all rows.
        rows: [W] the rows of the wrong values.
        batch_size: rows in each batch.
    """
    if len(rows) < 12:
        return None
    best, share = 0, 0.0
    for lag in (*range(1, len(right)), *range(-1, -len(right), -1)):
        sources = rows - lag
        inside = (sources >= 0) & (sources < len(right))
        if inside.sum() < max(12, 0.2 * len(rows)):
            continue
        agree = float((found[inside] == right[sources[inside]]).mean())
        if agree > share + 1e-9:
            best, share = lag, agree
    # A shift within batches wraps around at their ends, so a few rows do not fit.
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
    return Score(Hypothesis(name, cause, TOGETHER), share, *wilson(share, len(rows)))


def at(cause: str, place: str) -> str:
    """A cause with the place where it holds, if that is known and the cause does not say it."""
    known = place.startswith(("exactly", "only"))
    return f"{cause}, {place}" if known and place not in cause else cause


def wilson(share: float, count: int) -> tuple[float, float]:
    """95% interval of a share of `count` independent samples (Wilson, 1927).

    >>> [round(end, 3) for end in wilson(1.0, 100)]
    [0.963, 1.0]
    """
    if not count:
        return 0.0, 1.0
    z2 = 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def percentages(share: float, low: float, high: float) -> str:
    """A share with its interval as text.

    >>> percentages(0.5, 0.4, 0.6)
    '50% [40%, 60%]'
    """
    return f"{share:.0%} [{low:.0%}, {high:.0%}]"


def clear_winner(scores: Sequence[Score], explains: float = _EXPLAINS) -> Score | None:
    """The hypothesis that explains nearly all samples, or None.

    Of hypotheses that explain almost equally many it is the first one.

    Args:
        explains: share that it must explain. If it does not explain all samples, the lower end of
            its interval must not be far below.
    """
    if not scores:
        return None
    most = max(score.share for score in scores)
    best = next(score for score in scores if score.share >= most - _EQUAL)
    needed = min(explains, 1.0 - 4.0 * (1.0 - explains)) if best.share < 1.0 else 0.0
    return best if best.share >= explains and best.low >= needed else None


def named_cause(
    scores: Sequence[Score], cause: str, remedy: str, explains: float = _EXPLAINS
) -> tuple[str, str, str]:
    """Evidence, cause and remedy of the clear winner; if there is none, what was excluded.

    Args:
        cause, remedy: used if there is no clear winner.
        explains: as in clear_winner.
    """
    best = clear_winner(scores, explains)
    if best is None:
        return excluded(scores), cause, remedy
    return f"the cause explains {best} of them", best.hypothesis.cause, best.hypothesis.remedy


def excluded(scores: Iterable[Score], limit: int = 6) -> str:
    """In words, which hypotheses are excluded: up to `limit` names."""
    names = [score.hypothesis.name for score in scores if score.high < _EXPLAINS]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"excluded: {', '.join(names[:limit])}{more}" if names else "nothing could be excluded"


def where(wrong: Flags, subsets: Mapping[str, Flags], among: Flags | None = None) -> str:
    """In words, which samples are wrong: all, a known subset, or a random share.

    Args:
        wrong: [B] whether each sample is wrong.
        subsets: [B] for each known subset, by words that can follow `exactly`.
        among: [B] the samples that are looked at; all of them if left out.
    """
    if among is not None:
        wrong, subsets = wrong[among], {name: mask[among] for name, mask in subsets.items()}
    share = float(wrong.mean())
    if share >= _KNOWN_SHARE:
        return "everywhere"
    usable = {name: mask for name, mask in subsets.items() if 0.0 < mask.mean() < 1.0}
    exact = {
        name: float((wrong == mask).mean())
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
        # Few of them may lie in a large subset by chance.
        and mask.mean() ** wrong[mask].sum() < _BY_CHANCE
    }
    if partly:
        best = max(partly, key=lambda name: partly[name])
        return f"only {best} ({partly[best]:.0%} of those)"
    return f"in a random share of {share:.0%}"
