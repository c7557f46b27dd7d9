"""The work that `engine_overhead.py` gives to the engine, the plain script and the bare loops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hexsearch.config.files.yaml_text import dump_yaml
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.training.report_points import report_points


@dataclass(frozen=True)
class Work:
    """Equal trials of one network, with a number of positions and of evaluations.

    Attributes:
        games: path, or the name of shipped games.
        positions: positions of each trial.
        reports: number of evaluations, at equal distances.
        directory: folder for the files of a side.
    """

    games: str
    trials: int
    positions: int
    reports: int
    validation_games: int
    board_size: int
    trunk: str
    directory: str

    @property
    def space(self) -> dict[str, Any]:
        """The search space. Its only dimension costs nothing, and no trial is pruned."""
        return {
            "question": "What does the engine cost?",
            "data": {"board_size": self.board_size, "validation_games": self.validation_games},
            "trial": {"trunk": self.trunk},
            "search": {"optimiser.learning_rate": {"float": list(LEARNING_RATES), "log": True}},
            "scheduler": {
                "grace_period": self.positions,
                "max_t": self.positions,
                "report_every": self.positions // self.reports,
                "stop_on": [],
            },
            "run": {"trials": self.trials, "retries": 0},
        }

    @property
    def study(self) -> StudyConfig:
        """The search space as the engine reads it."""
        return build(StudyConfig, self.space, "overhead: ")

    def write_space(self) -> Path:
        """Write the search space into the directory, and return its path."""
        path = Path(self.directory) / "overhead.yaml"
        path.write_text(dump_yaml(self.space), encoding="utf-8")
        return path

    def trial(self, learning_rate: float) -> TrialConfig:
        """One configuration of the space."""
        config = self.study.trial
        optimiser = config.optimiser.model_copy(update={"learning_rate": learning_rate})
        return config.model_copy(update={"optimiser": optimiser})

    def dataset(self) -> Dataset:
        """The games, split."""
        archive, _ = import_games([self.games], self.board_size)
        return Dataset(archive, self.study.data)

    @property
    def points(self) -> tuple[int, ...]:
        """Positions at which a trial is evaluated."""
        return report_points(self.positions, self.positions // self.reports, ())

    def learning_rate(self, number: int) -> float:
        """Learning rate of a trial. The rates are spread over the space."""
        low, high = LEARNING_RATES
        return float(low * (high / low) ** (number / max(1, self.trials - 1)))

    def to_argument(self) -> str:
        """The work as an argument of a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def of_argument(text: str) -> Work:
        """The inverse of `to_argument`."""
        return Work(**json.loads(text))


LEARNING_RATES = (2e-3, 8e-3)


def shares(seeds: Sequence[int], processes: int) -> list[list[int]]:
    """Seeds for each of several processes.

    >>> shares(range(5), 2)
    [[0, 2, 4], [1, 3]]
    """
    return [list(seeds[number::processes]) for number in range(processes)]
