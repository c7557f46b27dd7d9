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
_SIDE_READ, _SIDES_APART = 0.9, 0.15  # chance of the winner on boards of the better colour; gap
_LEAN = 0.5  # share of the expected lean of all answers that must be there
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


def one_sided(observed: Observed) -> tuple[str, str, float, float, float] | None:
    """The colour whose wins were partly taught as the other's, as finished boards show it.

    Where the labels of one colour's wins are wrong by chance, finished boards of that colour get a
    smaller chance of the winner than the others, and all answers lean to the other colour.

    Returns:
        The colour, the other one, the mean chance of the winner on finished boards that each has
        won, and the difference of the mean answer to the share of wins; None without such a sign.
    """
    evaluation = observed.evaluation
    p, won = evaluation.win_prob_red, evaluation.red_won == 1
    ended = evaluation.final
    if min((ended & won).sum(), (ended & ~won).sum()) < _FEW // 2:
        return None
    chances = {"Red": p[ended & won], "Blue": 1 - p[ended & ~won]}
    worse = min(chances, key=lambda colour: float(chances[colour].mean()))
    better = "Blue" if worse == "Red" else "Red"
    low, high = float(chances[worse].mean()), float(chances[better].mean())
    error = 1.96 * float(chances[worse].std()) / np.sqrt(len(chances[worse]))
    leans = float((p - won)[~ended].mean()) * (1 if worse == "Blue" else -1)
    share_won = float((won if worse == "Red" else ~won)[~ended].mean())
    expected = (1 - low) * share_won
    if high < _SIDE_READ or low + error > high - _SIDES_APART or low < 1 - _SIDE_READ:
        return None
    if not _LEAN * expected < leans < expected / _LEAN:
        return None
    return worse, better, low, high, leans
