from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("search_quality")


@pytest.fixture
def drawn(quality: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    configurations, _ = quality.recorded(quality.HERE / "wolve-13x13.jsonl")
    return configurations, quality.synthetic(configurations, seed=0)


class Listed:
    """Tries what it is given, and stops what it is told to."""

    def __init__(self, names: list[str], stopped: set[str]) -> None:
        self.queue, self.stopped = names, stopped

    def ask(self) -> tuple[str, dict[str, Any], int] | None:
        return (self.queue[0], {"name": self.queue.pop(0)}, 0) if self.queue else None

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        return last or name in self.stopped


CURVES = {
    '{"name": "slow"}': [(10, 0.3, 5.0), (20, 0.10, 10.0)],
    '{"name": "fast"}': [(10, 0.2, 1.0), (20, 0.15, 2.0)],
}


@pytest.mark.parametrize(
    "workers, stopped, expected",
    [
        (1, [], [0.05, 0.05, 0.0]),  # fast at 2, then slow until 12
        (2, [], [0.05, 0.0, 0.0]),  # slow has ended at 10
        (1, ["fast"], [0.05, 0.05, 0.0]),  # slow is as far at 6, with a worse loss, and ends at 11
    ],
)
def test_regret_is_that_of_what_came_furthest(
    quality: Any, workers: int, stopped: list[str], expected: list[float]
) -> None:
    searcher = Listed(["fast", "slow"], set(stopped))
    times = [0.5, 0.9, 1.5, 10.5, 20.0]
    regrets = quality.replay(searcher, CURVES, workers, times, quality.Clock())
    assert all(math.isnan(regret) for regret in regrets[:2])  # nobody had reported yet
    assert regrets[2:] == pytest.approx(expected)


def test_random_search_through_all_configurations_leaves_no_regret(
    quality: Any, drawn: tuple[list[dict[str, Any]], list[Any]]
) -> None:
    configurations, curves = (part[:30] for part in drawn)
    by_key = {quality.key(c): x for c, x in zip(configurations, curves, strict=True)}
    searcher = quality.Random(0, configurations)
    first, last = quality.replay(searcher, by_key, 4, [30.0, 1e9], quality.Clock())
    assert last == 0.0 < first


def test_every_searcher_is_replayed_at_every_budget_and_none_beats_the_best(
    quality: Any, drawn: tuple[list[dict[str, Any]], list[Any]]
) -> None:
    names = ["random", "promotion", "halving"]
    regrets = quality.regrets_of(3, 16, "synthetic", names)
    assert set(regrets) == set(names)
    for found in regrets.values():
        assert len(found) == len(quality.BUDGETS) and min(found) >= 0.0


def test_ours_prunes_nothing_where_it_is_told_that_no_training_fits(
    quality: Any, drawn: tuple[list[dict[str, Any]], list[Any]], tmp_path: Path
) -> None:
    by_key = {quality.key(c): x for c, x in zip(*drawn, strict=True)}
    time = quality.budgets_of(drawn[1], 64)[-1]  # 0.625 of a whole training for each worker
    pruned = {}
    for budget in (time, math.inf):
        folder = tmp_path / str(budget)
        clock = quality.Clock()
        searcher = quality.Ours(0, 64, folder, clock, budget, "asha", "tpe")
        quality.replay(searcher, by_key, 64, [time], clock)
        searcher.ledger.close()
        trials = searcher.engine.history.trials.values()
        pruned[budget] = sum(trial.status == "pruned" for trial in trials)
    assert pruned[time] == 0 < pruned[math.inf]
