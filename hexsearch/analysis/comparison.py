"""The difference in value loss between two networks on the same positions, paired by game."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.bootstrap import games_drawn, slices
from hexsearch.training.metrics import Evaluation

_LEAST_GAMES = 10


@dataclass(frozen=True)
class Difference:
    """Value loss of a network, and by how much it is above that of another one.

    Attributes:
        difference: negative where the network is better.
        low, high: its 95% interval over resampled games; nan for fewer than 10 games.
    """

    positions: int
    games: int
    value_loss: float
    other: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Against:
    """Differences of a network to another one, by cut and slice.

    Attributes:
        checkpoint: file of the other network.
        looks: how both networks looked at each position, if either did not look once.
    """

    checkpoint: str
    differences: dict[str, dict[str, Difference]]
    looks: str = ""

    @classmethod
    def of(
        cls, checkpoint: str, evaluation: Evaluation, other: Evaluation, looks: str = ""
    ) -> Against:
        """Compare two evaluations of the same positions."""
        return cls(checkpoint, differences(evaluation, other, np.random.default_rng(0)), looks)

    def to_json(self) -> dict[str, Any]:
        """Plain mappings, in which nan becomes None."""
        cuts = {
            cut: {name: _plain(difference) for name, difference in parts.items()}
            for cut, parts in self.differences.items()
        }
        named = {"checkpoint": self.checkpoint, "looks": self.looks}
        return {**named, **cuts, "overall": cuts["overall"]["all"]}


def differences(
    evaluation: Evaluation, other: Evaluation, rng: np.random.Generator
) -> dict[str, dict[str, Difference]]:
    """Differences by cut and slice. The cut `overall` has slice `all`.

    Args:
        other: answers of the other network for the same positions in the same order.
        rng: generator for the draws of games, which are the same for all slices.
    Raises:
        ValueError: the positions are not the same.
    """
    same = np.array_equal(evaluation.game, other.game) and np.array_equal(evaluation.ply, other.ply)
    if not same:
        raise ValueError("the two networks were not evaluated on the same positions")
    errors = np.square(evaluation.win_prob_red - evaluation.red_won)
    others = np.square(other.win_prob_red - other.red_won)
    games, index = np.unique(evaluation.game, return_inverse=True)
    weights = games_drawn(len(games), rng)
    return {
        cut: {
            name: _difference(errors[mask], others[mask], index[mask], weights)
            for name, mask in parts.items()
            if mask.any()
        }
        for cut, parts in slices(evaluation).items()
    }


def _difference(
    errors: NDArray[np.float64],
    others: NDArray[np.float64],
    game: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> Difference:
    """[P] squared errors of both; `weights` [D, G] are the draws of games."""
    count = weights.shape[1]
    sums = np.bincount(game, errors - others, count)
    positions = np.bincount(game, minlength=count)
    present = int(np.count_nonzero(positions))
    low = high = float("nan")
    if present >= _LEAST_GAMES:
        drawn = weights.astype(np.float64)
        # A draw may hold no game of a rare slice.
        means = (drawn @ sums) / np.maximum(drawn @ positions, 1.0)
        low, high = (float(bound) for bound in np.quantile(means, (0.025, 0.975)))
    mine, theirs = float(errors.mean()), float(others.mean())
    return Difference(len(errors), present, mine, theirs, mine - theirs, low, high)


def _plain(difference: Difference) -> dict[str, Any]:
    return {
        name: None if value != value else (round(value, 7) if isinstance(value, float) else value)
        for name, value in asdict(difference).items()
    }
