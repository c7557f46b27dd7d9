"""Playing strength: Bradley-Terry ratings with intervals that are clustered by opening.

Each opening is played twice with colours exchanged, and by several pairs of players. Its games are
not independent: an opening that one colour always wins gives no information, however often it is
played. So openings are counted, not games.
Source: Bradley & Terry, Biometrika 39, 1952; the clustered variance: Liang & Zeger, Biometrika 73,
1986; two added observations: Agresti & Coull, The American Statistician 52, 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from hexsearch.statistics.intervals import interval, student_quantile

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

ELO_OF_LOGIT = 400.0 / log(10.0)
_STEPS = 100  # limit of Newton's method, which needs about six steps
# Number of openings that are added for each pair that played. In simulations
# (tests/statistics/test_elo.py), 1 and 0.5 biased differences of 450 Elo: intervals covered 90%.
_ADDED = 0.25
_GAMES = 2  # games of each opening between two players


@dataclass(frozen=True)
class Scores:
    """[M] results. Each is for two players and both games of one opening.

    Attributes:
        a, b: [M] numbers of the players.
        score: [M] number of games that a won, 0 to 2.
        opening: [M] number of the opening.
    """

    a: Indices
    b: Indices
    score: Floats
    opening: Indices

    @classmethod
    def of(cls, meetings: Sequence[tuple[int, int, int, float]]) -> Scores:
        """Scores from tuples of (a, b, opening, score)."""
        table = np.asarray(meetings, dtype=np.float64).reshape(-1, 4)
        whole = table[:, :3].astype(np.int64)
        return cls(whole[:, 0], whole[:, 1], table[:, 3], whole[:, 2])


@dataclass(frozen=True)
class Ratings:
    """Elo of P players. Their mean is 0.

    Attributes:
        elo: [P] ratings.
        covariance: [P, P] covariance of the ratings.
        freedom: degrees of freedom of the covariance.
    """

    elo: Floats
    covariance: Floats
    freedom: float

    def intervals(self) -> tuple[Floats, Floats]:
        """[P] lower and upper bounds of the 95% interval of each player's Elo."""
        return interval(self.elo, np.diag(self.covariance), self.freedom)

    def difference(self, a: int, b: int) -> tuple[float, float, float]:
        """Elo of a minus Elo of b, with the bounds of its 95% interval."""
        gap = float(self.elo[a] - self.elo[b])
        low, high = interval(gap, self._gap_variance(a, b), self.freedom)
        return gap, float(low), float(high)

    def tied(self, a: int, b: int) -> bool:
        """Whether the interval of the difference contains 0."""
        _, low, high = self.difference(a, b)
        return low <= 0.0 <= high

    def openings_to_separate(self, a: int, b: int, openings: int) -> int | None:
        """Number of further openings that would separate two players at their present score.

        0 if they are separated already. None if their ratings are equal.

        Args:
            openings: number of openings that all players have played.
        """
        gap = abs(float(self.elo[a] - self.elo[b]))
        half = float(student_quantile(self.freedom)) * float(np.sqrt(self._gap_variance(a, b)))
        if half < gap:
            return 0
        if gap < 1e-6:
            return None
        # The half-width is proportional to 1 / sqrt(openings).
        return max(1, ceil(openings * (half / gap) ** 2) - openings)

    def _gap_variance(self, a: int, b: int) -> float:
        covariance = self.covariance
        return max(0.0, float(covariance[a, a] + covariance[b, b] - 2.0 * covariance[a, b]))


def rate(scores: Scores, players: int) -> Ratings:
    """Maximum-likelihood ratings and their clustered covariance.

    For every pair that played, a quarter of an opening is added as won by each side. So the rating
    of a player who won all games is finite, and so is the uncertainty of players who always tied.

    Raises:
        ValueError: there are groups of players that never played each other.
    """
    met = np.unique(np.stack([scores.a, scores.b], axis=1), axis=0)
    _require_connected(met, players)
    clusters = np.unique(scores.opening)
    # The added openings form two clusters: those won by the first player, and by the second.
    added = np.repeat(np.array([-1, -2]), len(met))
    a = np.concatenate([scores.a, met[:, 0], met[:, 0]])
    b = np.concatenate([scores.b, met[:, 1], met[:, 1]])
    score = np.concatenate([scores.score, np.full(len(met), 2.0 * _ADDED), np.zeros(len(met))])
    opening = np.concatenate([scores.opening, added])
    games = np.concatenate([np.full(len(scores.a), 2.0), np.full(2 * len(met), 2.0 * _ADDED)])
    design = np.zeros((len(a), players))
    design[np.arange(len(a)), a] = 1.0
    design[np.arange(len(b)), b] = -1.0
    logit = np.zeros(players)
    centre = np.full((players, players), 1.0 / players)  # fixes the mean at 0
    for _ in range(_STEPS):
        expected = 1.0 / (1.0 + np.exp(-design @ logit))
        gradient = design.T @ (score - games * expected)
        weight = games * expected * (1.0 - expected)
        information = design.T @ (weight[:, None] * design) + centre
        step = np.linalg.solve(information, gradient)
        logit += step
        if float(np.abs(step).max()) < 1e-10:
            break
    logit -= logit.mean()
    residual = design * (score - games * expected)[:, None]
    _, cluster = np.unique(opening, return_inverse=True)
    summed = np.zeros((int(cluster.max()) + 1, players))
    np.add.at(summed, cluster, residual)
    count = len(summed)
    inverse = np.linalg.inv(information) - centre
    covariance = count / (count - 1) * inverse @ (summed.T @ summed) @ inverse
    return Ratings(
        elo=ELO_OF_LOGIT * logit,
        covariance=ELO_OF_LOGIT**2 * covariance,
        freedom=max(1.0, len(clusters) - 1.0),
    )


def score_interval(scores: Sequence[float]) -> tuple[float, float, float]:
    """Share of games won and its 95% interval, from the score (0 to 2) of each opening.

    For the interval one opening won by each side is added, similar to `rate`.
    """
    share = np.asarray(scores, dtype=np.float64) / _GAMES
    filled = np.append(share, [0.0, 1.0])
    variance = float(filled.var(ddof=1)) / len(filled)
    low, high = interval(float(filled.mean()), variance, len(filled) - 1.0)
    mean = float(share.mean())
    return mean, max(0.0, min(mean, float(low))), min(1.0, max(mean, float(high)))


def _require_connected(met: Indices, players: int) -> None:
    group = np.arange(players)
    for a, b in met:
        group[group == group[a]] = group[b]
    if players and len(set(group.tolist())) > 1:
        raise ValueError("some players never played the others, not even indirectly: no rating")
