"""How many training labels were wrong, from answers on boards whose winner is certain.

A network that was taught labels of which a share w is wrong answers 1 - w on boards that it reads
rightly, or it learns some of the wrong labels by heart and is sure of the loser there. In both
cases the mean chance that it gives to the loser of finished boards is about w. A network that is
merely young or weak is unsure on hard boards, but sure and right on easy ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.doctor.networks import Observed

_FEW = 40  # finished boards that are needed
_READS = 0.75  # share of finished boards that must be called right
_LEAST = 0.06  # chance of the loser that a sound network does not give on average
_SURE = 0.9
_CAP = 0.96  # of the surest tenth of the answers


@dataclass(frozen=True)
class LabelNoise:
    """The share of wrong labels that explains the answers, with its 95% interval.

    Attributes:
        sure_and_wrong: share of the sure answers that are wrong. cap: what nine in ten answers
            stay below.
    """

    share: float
    low: float
    high: float
    boards: int
    right: float
    sure_and_wrong: float
    cap: float

    @property
    def drawn(self) -> str:
        """The share of labels drawn at random that makes as many wrong, with its interval."""
        ends = (min(2 * end, 1.0) for end in (self.share, self.low, self.high))
        middle, low, high = ends
        return f"{middle:.0%} [{low:.0%}, {high:.0%}]"


def label_noise(observed: Observed) -> LabelNoise | None:
    """The noise that the answers on finished boards speak of; None where they speak of none."""
    evaluation = observed.evaluation
    final, won = evaluation.final, evaluation.red_won
    p = evaluation.win_prob_red
    for_winner = np.where(won == 1, p, 1 - p)[final]
    if len(for_winner) < _FEW:
        return None
    right = float((for_winner > 0.5).mean())
    share = float(1 - for_winner.mean())
    error = 1.96 * float(for_winner.std()) / np.sqrt(len(for_winner))
    sure = np.abs(for_winner - 0.5) + 0.5 > _SURE
    wrong = float((for_winner[sure] < 0.5).mean()) if sure.any() else 0.0
    cap = float(np.quantile(for_winner, 0.9))
    # Sure of nearly all boards and still often wrong: wrong labels were learnt as well.
    by_heart = right >= _READS and sure.mean() >= 0.5 and share - error >= _LEAST
    # Right nearly everywhere and nowhere quite sure: the answer is the share of right labels.
    capped = right > 0.95 and cap < _CAP and float(np.quantile(for_winner, 0.1)) > 0.65
    if not (by_heart or capped) or share - error < _LEAST / 2:
        return None
    low, high = max(share - error, 0.0), min(share + error, 0.5)
    return LabelNoise(share, low, high, len(for_winner), right, wrong, cap)
