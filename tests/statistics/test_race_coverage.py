"""A race keeps the best variant among the tied ones, although it tests again after every seed.

The studies have known truth as in test_coverage.py; the race is that of real studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hexsearch.config.phases import RaceConfig
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.place import Place
from hexsearch.search.reruns import LeaderSummary, race_reruns
from hexsearch.statistics.intervals import Floats, GameTable
from hexsearch.statistics.ranking import Ranking, rank
from hexsearch.statistics.variance import PairedRuns
from tests.statistics.simulated import World


def completed(variant: int, replicate: int, origin: str, number: int) -> TrialHistory:
    return TrialHistory(
        f"t{number:04d}", number, str(variant), replicate, replicate, "512->1", {}, {}, origin,
        status="completed",
    )  # fmt: skip


@dataclass
class RacedStudy:
    """One seed of each variant from the search, then what the race adds."""

    whole: PairedRuns
    history: StudyHistory
    rng: np.random.Generator

    def ranking(self) -> Ranking:
        runs = [
            np.flatnonzero(
                (self.whole.variant == int(trial.variant))
                & (self.whole.replicate == trial.replicate)
            )[0]
            for trial in sorted(self.history.trials.values(), key=lambda t: int(t.variant))
        ]
        table = GameTable(self.whole.table.sums[runs], self.whole.table.counts)
        return rank(
            PairedRuns(table, self.whole.variant[runs], self.whole.replicate[runs]), self.rng
        )

    def race(self, config: RaceConfig) -> Ranking:
        while True:
            ranking = self.ranking()
            order = np.lexsort((ranking.means, ranking.group))
            places = [Place(str(v), "", ranking.means[v], 0.0, 1) for v in order]
            summary = LeaderSummary(tuple(places), int(ranking.tied.sum()))
            reruns = race_reruns(self.history, summary, config)
            if not reruns:
                return ranking
            for rerun in reruns:
                add(self.history, int(rerun.variant), rerun.replicate, rerun.origin)


def add(history: StudyHistory, variant: int, replicate: int, origin: str) -> None:
    trial = completed(variant, replicate, origin, len(history.trials))
    history.trials[trial.trial] = trial


def race(world: World, config: RaceConfig, rng: np.random.Generator) -> list[float]:
    truth, paired = world.draw(rng)
    history = StudyHistory()
    for variant in range(world.variants):
        add(history, variant, 0, "tpe")
    study = RacedStudy(paired, history, rng)
    before = study.ranking()
    after = study.race(config)
    best = truth.min()
    runs = sum(trial.origin == "race" for trial in history.trials.values())
    return [
        after.tied[truth.argmin()],
        truth[before.leader] - best,
        truth[after.leader] - best,
        runs <= config.runs,
    ]


def raced(world: World, config: RaceConfig, studies: int) -> Floats:
    rng = np.random.default_rng(3)
    return np.array([race(world, config, rng) for _ in range(studies)]).T


def check(figures: Floats) -> None:
    tied, before, after, within = figures
    assert within.all()
    assert tied.mean() >= 0.95
    gain = before - after
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.slow
def test_a_race_finds_a_better_leader_and_keeps_the_best_among_the_tied() -> None:
    check(raced(World(variants=6, seeds=4, games=300), RaceConfig(runs=12, seeds=4), 150))


@pytest.mark.slow
@pytest.mark.parametrize("between", [0.0008, 0.0015, 0.003])
def test_races_hold_over_hundreds_of_studies(between: float) -> None:
    check(raced(World(seeds=5, between=between), RaceConfig(runs=24, seeds=5), 600))
