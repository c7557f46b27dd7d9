"""Estimates how many training labels were wrong, from answers on finished boards.

If a share w of the labels was wrong, a network answers about 1 - w on boards that it understands,
or it memorises wrong labels and is sure of the loser on some boards. In both cases the mean
probability that it gives to the loser of a finished board is about w. A network that is only weak
is unsure on hard boards, but sure and right on easy ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.doctor.hypotheses.labels import drawn_share
from hexsearch.doctor.networks import Observed

_FEW = 40  # finished boards that are needed
_READS = 0.75  # share of right answers from which on a network can be judged
_LEAST = 0.06  # mean probability of the loser that a sound network stays below
_SURE = 0.9  # probability above which an answer is sure
_WRONG = 0.02  # share of the sure answers that is wrong where wrong labels were memorised
_CAP = 0.96  # a sound network gives the winner more than this on the best tenth of the boards


@dataclass(frozen=True)
class LabelNoise:
    """The share of wrong labels that explains the answers on finished boards.

    Attributes:
        share, low, high: mean probability of the loser, which estimates that share, with its 95%
            interval.
        boards: number of finished boards.
        right: share of right answers.
        sure_and_wrong: share of the sure answers that are wrong.
        cap: probability of the winner that nine answers in ten stay below.
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
        """The share of labels that must be drawn at random to make as many wrong, in words."""
        return drawn_share(self.share, self.low, self.high)


def label_noise(observed: Observed) -> LabelNoise | None:
    """The label noise that answers on finished boards imply; None if they imply none."""
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
    # Sure of most boards and often wrong: wrong labels were learnt, too.
    memorised = (
        right >= _READS and sure.mean() >= 0.5 and share - error >= _LEAST and wrong >= _WRONG
    )
    # Right on nearly all boards but sure on none: the answer is the share of right labels.
    capped = right > 0.95 and cap < _CAP and float(np.quantile(for_winner, 0.1)) > 0.65
    if not (memorised or capped) or share - error < _LEAST / 2:
        return None
    low, high = max(share - error, 0.0), min(share + error, 0.5)
    return LabelNoise(share, low, high, len(for_winner), right, wrong, cap)
