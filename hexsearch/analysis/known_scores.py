"""Scores of a network on positions whose winner is certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.analysis.known_positions import FAMILIES, as_positions, known_positions, outcomes
from hexsearch.analysis.predictor import Predictor


@dataclass(frozen=True)
class FamilyScore:
    """Known positions of one family: accuracy, and mean win probability of the winner."""

    accuracy: float
    count: int
    winner_prob: float


def score_known_positions(
    predictor: Predictor, shapes: int = 8, seed: int = 0
) -> dict[str, FamilyScore]:
    """Scores of a network on positions whose winner is certain, by family."""
    size = predictor.encoder.size
    known = known_positions(size, shapes, seed)
    answers = predictor.answer(as_positions(known, size)).win_prob_red
    red_wins = outcomes(known)
    winner_prob = np.where(red_wins == 1.0, answers, 1.0 - answers)
    families = np.array([FAMILIES.index(position.family) for position in known])
    scores = {}
    for number, family in enumerate(FAMILIES):
        chances = winner_prob[families == number]
        if len(chances):
            scores[family] = FamilyScore(
                accuracy=float(np.where(chances == 0.5, 0.5, chances > 0.5).mean()),
                count=len(chances),
                winner_prob=float(chances.mean()),
            )
    return scores
