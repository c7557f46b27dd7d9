"""From the easiest positions to all of them: at which step does learning break?

Each step trains a fresh network briefly on positions near the end of the games and is judged on
held-out positions of the same kind. None of them tells the winner by the side to move: finished
boards show no mover, and the steps that reach back further do so over an even number of plies,
in which mover and winner agree as often as not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.training.metrics import slice_metrics
from hexsearch.training.trial import Trial

# A step's name, its curriculum, and how many plies before the end it is judged on.
STEPS: tuple[tuple[str, CurriculumConfig, int | None], ...] = (
    ("final", CurriculumConfig(name="final"), 0),
    ("last 2 plies", CurriculumConfig(name="last_k", k=2), 2),
    ("last 20 plies", CurriculumConfig(name="last_k", k=20), 20),
    ("all", CurriculumConfig(name="all"), None),
)
# Share of the way from the majority's accuracy to the shortest-path table's that passes.
_PASS = 0.5


@dataclass(frozen=True)
class LearnabilityStep:
    """One step and what became of it.

    Attributes:
        accuracy, value_loss: of the network on the step's own held-out positions.
        majority: of always naming the likelier winner. table: of the shortest-path table.
        mark: accuracy that passes, halfway from the one to the other.
        problem: why training did not end, if it did not.
    """

    name: str
    positions_seen: int
    judged_on: int
    accuracy: float
    value_loss: float
    majority: float
    table: float
    mark: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether something was learnt here."""
        return not self.problem and self.accuracy >= self.mark

    def to_json(self) -> dict[str, Any]:
        """Plain values; a step that could not be judged has None for its figures."""
        figures = {k: None if v != v else v for k, v in asdict(self).items()}
        return {**figures, "passed": self.passed}


def climb(
    config: TrialConfig,
    dataset: Dataset,
    positions: int,
    seed: int,
    say: Callable[[LearnabilityStep], None] = lambda step: None,
) -> tuple[LearnabilityStep, ...]:
    """Train and judge every step.

    Args:
        positions: that each step's network is trained on.
    Raises:
        GamesError: no finished training game is there.
    """
    validation = dataset.validation
    games, plies = validation.at(np.arange(len(validation), dtype=np.int64))
    to_end = dataset.archive.lengths[games] - plies
    finished = dataset.archive.finished[games] == 1
    table = baseline_predictions(dataset.archive, dataset.train_games, validation)[
        "shortest-path table"
    ]
    steps = []
    for name, curriculum, back in STEPS:
        inside = np.ones(len(games), dtype=bool) if back is None else (to_end <= back) & finished
        changed = config.model_copy(update={"curriculum": curriculum})
        trial = Trial.of(changed, dataset, positions, seed)
        steps.append(_climb_one(name, trial, inside, table))
        say(steps[-1])
    return tuple(steps)


def _climb_one(
    name: str, trial: Trial, inside: NDArray[np.bool_], table: NDArray[np.float64]
) -> LearnabilityStep:
    """Train one step to the end of its budget and judge it on the positions inside it."""
    try:
        trial.train_to(trial.max_positions)
        trial.report()  # renews batch-norm statistics; refuses answers that are not finite
        evaluation, _ = trial.evaluate()
    except TrialError as error:
        return LearnabilityStep(name, trial.positions_seen, 0, *(float("nan"),) * 5, str(error))
    ours, baseline = (
        slice_metrics(answers[inside], evaluation.red_won[inside], evaluation.game[inside])
        for answers in (evaluation.win_prob_red, table)
    )
    red = float(evaluation.red_won[inside].mean())
    majority = max(red, 1.0 - red)
    return LearnabilityStep(
        name=name,
        positions_seen=trial.positions_seen,
        judged_on=ours.positions,
        accuracy=ours.accuracy,
        value_loss=ours.value_loss,
        majority=majority,
        table=baseline.accuracy,
        mark=majority + _PASS * max(0.0, baseline.accuracy - majority),
    )


def verdict(steps: tuple[LearnabilityStep, ...]) -> str:
    """Where learning breaks, and what that speaks for."""
    failed = next((step.name for step in steps if not step.passed), None)
    if failed is None:
        return "every step is learnt"
    return f"learning breaks at '{failed}': {_MEANINGS[failed]}"


_MEANINGS = {
    "final": "not even finished boards are told apart; look for a fault in labels, read-out or "
    "gradients (run doctor) before any architecture",
    "last 2 plies": "chains are seen, but not the one move that completes them; look at the side "
    "to move, and at the resolution of the trunk (strides)",
    "last 20 plies": "won boards are known, threats are not; try a trunk without strides, more "
    "positions, or the mover's perspective",
    "all": "late positions are learnt, all together are not; compare the stages with the baselines "
    "before blaming the network",
}
