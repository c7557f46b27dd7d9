"""Label leaks: tests whether the winner can be told without the places of the stones.

The predictor here gets only the side to move and the number of stones. If it beats the prior, a
network can predict winners without learning Hex. For example, the side to move of every
penultimate position is the winner, and so is the side that played the last stone of a game.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.order import Indices
from hexsearch.data.positions import curriculum_positions
from hexsearch.game.board import RED

_SAMPLES = 50_000  # positions drawn in each phase
_LEAST_GAIN = 0.005  # of accuracy; finished boards give curriculum `all` a gain of about 0.002
_STANDARD_ERRORS = 3.0  # what chance is allowed, as games are few and their positions alike
_STONES_PER_BUCKET = 10
AUDITED = ("all", "last_k", "penultimate", "penultimate_and_final", "final")


@dataclass(frozen=True)
class Leak:
    """How well one cue tells the winner of a curriculum's positions, without the board.

    Attributes:
        cue: the cue that tells most: side to move, stone parity, or stone count.
        accuracy, prior_accuracy: accuracy of that cue, and of always answering the commoner
            winner, on games that were not used for fitting.
        flagged: the gain in accuracy is larger than chance explains.
    """

    curriculum: str
    cue: str
    accuracy: float
    prior_accuracy: float
    positions: int
    flagged: bool

    def __str__(self) -> str:
        text = (
            f"curriculum {self.curriculum}: {self.cue} alone tells the winner in "
            f"{self.accuracy:.1%} of {self.positions:,} positions (prior {self.prior_accuracy:.1%})"
        )
        if self.flagged:
            text += "; a network can score there without looking at the board"
        return text


def check_curriculum(
    archive: GameArchive,
    games: Indices,
    curriculum: CurriculumConfig,
    stages: StagesConfig | None = None,
    seed: int = 0,
) -> Leak:
    """The worst leak of a curriculum. The phases of a progressive curriculum are tested one by one.

    Raises:
        GamesError: no game has a position of the curriculum.
    """
    positions = curriculum_positions(archive, games, curriculum, stages)
    leaks = []
    for number, phase in enumerate(positions.phases or (positions.phase_at(0),)):
        size = min(_SAMPLES, sum(len(part) for part in phase.sets))
        drawn = phase.draw(seed, number, phase.start, size)
        leaks.append(_worst_cue(archive, *drawn, curriculum.name))
    return max(leaks, key=lambda leak: (leak.flagged, leak.accuracy - leak.prior_accuracy))


def _worst_cue(archive: GameArchive, games: Indices, plies: Indices, curriculum: str) -> Leak:
    finished = (plies == archive.lengths[games]) & archive.finished[games].astype(bool)
    cues = {
        "side to move": np.where(finished, 2, plies % 2),
        "stone parity": plies % 2,
        "stone count": plies // _STONES_PER_BUCKET * 2 + plies % 2,
    }
    red_won = archive.winners[games] == RED
    # Folds are made by game, so no game is in both. The hash is independent of the winner.
    fold = (archive.hashes[games] >> np.uint64(7)) & np.uint64(1) == 1
    prior_right = _cross_fitted(np.zeros_like(plies), red_won, fold) == red_won
    _, cluster = np.unique(games, return_inverse=True)
    leaks = []
    for cue, values in cues.items():
        right = _cross_fitted(values, red_won, fold) == red_won
        gains = right.astype(np.float64) - prior_right
        gain = float(gains.mean())
        # Positions of one game have the same label, so errors are clustered by game.
        sums = np.bincount(cluster, weights=gains - gain)
        error = float(np.sqrt((sums**2).sum())) / len(games)
        flagged = gain > max(_LEAST_GAIN, _STANDARD_ERRORS * error)
        leaks.append(
            Leak(
                curriculum, cue, float(right.mean()), float(prior_right.mean()), len(games), flagged
            )
        )
    return max(leaks, key=lambda leak: (leak.flagged, leak.accuracy))


def _cross_fitted(
    values: Indices, red_won: NDArray[np.bool_], fold: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """[B] whether Red won most positions with this value in the other fold."""
    cells = int(values.max(initial=0)) + 1
    answer = np.empty(len(values), dtype=bool)
    for side in (False, True):
        fit, ask = fold != side, fold == side
        score = np.bincount(values[fit], weights=2.0 * red_won[fit] - 1.0, minlength=cells)
        usual = score.sum() > 0
        answer[ask] = np.where(score == 0, usual, score > 0)[values[ask]]
    return answer
