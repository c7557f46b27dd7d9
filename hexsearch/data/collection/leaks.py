"""Label leaks: can the winner be told without looking at where the stones lie?

Side to move, number of stones and ply are all that a predictor gets here. Where that beats the
prior, a network can score without learning Hex: the mover of every penultimate position is its
winner, and whoever has put the last stone of a finished game has won it.
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

_SAMPLES = 50_000  # positions judged in each phase
_LEAST_GAIN = 0.005  # accuracy; finished boards alone give `all` about 0.002 by their stones
_STANDARD_ERRORS = 3.0  # what chance is allowed, as games are few and their positions alike
_STONES_PER_BUCKET = 10
AUDITED = ("all", "last_k", "penultimate", "penultimate_and_final", "final")


@dataclass(frozen=True)
class Leak:
    """How well the winner can be told without the board, in one curriculum.

    Attributes:
        cue: what tells most: side to move, stone parity, or stone count.
        accuracy, prior_accuracy: of the best cue and of the commoner winner, on games that were
            not used for fitting.
        flagged: the cue gains more than chance allows.
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
    """The worst leak of a curriculum; each phase of a progressive one is judged by itself.

    Raises:
        GamesError: no game has a position that the curriculum asks for.
    """
    positions = curriculum_positions(archive, games, curriculum, stages)
    found = []
    for number, phase in enumerate(positions.phases or (positions.phase_at(0),)):
        size = min(_SAMPLES, sum(len(part) for part in phase.sets))
        drawn = phase.draw(seed, number, phase.start, size)
        found.append(_worst_cue(archive, *drawn, curriculum.name))
    return max(found, key=lambda leak: (leak.flagged, leak.accuracy - leak.prior_accuracy))


def _worst_cue(archive: GameArchive, games: Indices, plies: Indices, curriculum: str) -> Leak:
    finished = (plies == archive.lengths[games]) & archive.finished[games].astype(bool)
    cues = {
        "side to move": np.where(finished, 2, plies % 2),
        "stone parity": plies % 2,
        "stone count": plies // _STONES_PER_BUCKET * 2 + plies % 2,
    }
    red_won = archive.winners[games] == RED
    # By game, so that no game is on both sides; the hash has nothing to do with who won.
    fold = (archive.hashes[games] >> np.uint64(7)) & np.uint64(1) == 1
    prior_right = _cross_fitted(np.zeros_like(plies), red_won, fold) == red_won
    _, cluster = np.unique(games, return_inverse=True)
    judged = []
    for cue, values in cues.items():
        right = _cross_fitted(values, red_won, fold) == red_won
        gains = right.astype(np.float64) - prior_right
        gain = float(gains.mean())
        # Positions of one game share its label: errors are clustered by game.
        sums = np.bincount(cluster, weights=gains - gain)
        error = float(np.sqrt((sums**2).sum())) / len(games)
        flagged = gain > max(_LEAST_GAIN, _STANDARD_ERRORS * error)
        judged.append(
            Leak(
                curriculum, cue, float(right.mean()), float(prior_right.mean()), len(games), flagged
            )
        )
    return max(judged, key=lambda leak: (leak.flagged, leak.accuracy))


def _cross_fitted(
    values: Indices, red_won: NDArray[np.bool_], fold: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """[B] whether Red is the commoner winner at this value among the other fold's positions."""
    cells = int(values.max(initial=0)) + 1
    answer = np.empty(len(values), dtype=bool)
    for side in (False, True):
        fit, ask = fold != side, fold == side
        score = np.bincount(values[fit], weights=2.0 * red_won[fit] - 1.0, minlength=cells)
        usual = score.sum() > 0
        answer[ask] = np.where(score == 0, usual, score > 0)[values[ask]]
    return answer
