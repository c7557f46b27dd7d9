"""The learnability check: on which positions, from the easiest to all, does learning fail?

Each step trains a new network briefly on positions near the end of the games, and evaluates it on
held-out positions of the same kind. The side to move does not tell the winner in any step:
finished boards have no side to move, and the other steps cover an even number of plies, in which
the winner is to move as often as the loser.
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

# Name of a step, its curriculum, and the number of plies before the end for its evaluation.
STEPS: tuple[tuple[str, CurriculumConfig, int | None], ...] = (
    ("final", CurriculumConfig(name="final"), 0),
    ("last 2 plies", CurriculumConfig(name="last_k", k=2), 2),
    ("last 20 plies", CurriculumConfig(name="last_k", k=20), 20),
    ("all", CurriculumConfig(name="all"), None),
)
# To pass, the accuracy must cover this share of the way from the majority to the table.
_PASS = 0.5


@dataclass(frozen=True)
class LearnabilityStep:
    """One step and its result.

    Attributes:
        accuracy, value_loss: figures of the network on the step's held-out positions.
        majority: accuracy of always naming the likelier winner.
        table: accuracy of the shortest-path table.
        mark: accuracy that is needed to pass, halfway from `majority` to `table`.
        problem: why training failed, or an empty text.
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
        """Whether the network has learnt these positions."""
        return not self.problem and self.accuracy >= self.mark

    def to_json(self) -> dict[str, Any]:
        """Plain values. The figures of a step whose training failed are None."""
        figures = {k: None if v != v else v for k, v in asdict(self).items()}
        return {**figures, "passed": self.passed}


def check_learnability(
    config: TrialConfig,
    dataset: Dataset,
    positions: int,
    seed: int,
    say: Callable[[LearnabilityStep], None] = lambda step: None,
) -> tuple[LearnabilityStep, ...]:
    """Train and evaluate every step.

    Args:
        positions: number of training positions of each step.
    Raises:
        GamesError: there is no finished training game.
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
        steps.append(_run_step(name, trial, inside, table))
        say(steps[-1])
    return tuple(steps)


def _run_step(
    name: str, trial: Trial, inside: NDArray[np.bool_], table: NDArray[np.float64]
) -> LearnabilityStep:
    """Train one step to the end of its budget, and evaluate it on the positions `inside`."""
    try:
        trial.train_to(trial.max_positions)
        trial.report()  # computes batch-norm statistics; raises if answers are not finite
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
    """The first step that failed, and what this suggests."""
    failed = next((step.name for step in steps if not step.passed), None)
    if failed is None:
        return "every step is learnt"
    return f"learning fails at '{failed}': {_MEANINGS[failed]}"


_MEANINGS = {
    "final": "even finished boards are not learnt; look for a fault in labels, read-out or "
    "gradients (run doctor) before you change the architecture",
    "last 2 plies": "finished chains are learnt, but not the move that completes a chain; check "
    "the side to move, and the resolution of the trunk (strides)",
    "last 20 plies": "won boards are learnt, but threats are not; try a trunk without strides, "
    "more positions, or the mover perspective",
    "all": "late positions are learnt, but all positions together are not; compare the stages with "
    "the baselines before you change the network",
}
