from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("search_replay")


@pytest.fixture
def quality(replays: Any) -> Any:
    return importlib.import_module("search_quality")


@pytest.fixture
def drawn(replays: Any) -> Any:
    return importlib.import_module("curve_sets").curve_set("synthetic", 0)


class Listed:
    """Tries what it is given, and stops what it is told to."""

    def __init__(self, names: list[str], stopped: set[str]) -> None:
        self.queue, self.stopped = names, stopped

    def ask(self) -> tuple[str, dict[str, Any], int] | None:
        return (self.queue[0], {"name": self.queue.pop(0)}, 0) if self.queue else None

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        return last or name in self.stopped


class TwoCurves:
    """Curves of two configurations."""

    least, typical = 0.10, 0.125

    def curve(self, values: dict[str, Any]) -> list[tuple[int, float, float]]:
        if values["name"] == "slow":
            return [(10, 0.3, 5.0), (20, 0.10, 10.0)]
        return [(10, 0.2, 1.0), (20, 0.15, 2.0)]

    def truth(self, values: dict[str, Any]) -> float:
        return self.curve(values)[-1][1]


@pytest.mark.parametrize(
    "workers, stopped, expected, fate",
    [
        (1, [], [0.05, 0.05, 0.0], "ended"),  # fast at 2, then slow until 12
        (2, [], [0.05, 0.0, 0.0], "ended"),  # slow has ended at 10
        # slow is as far at 6, with a worse loss, and ends at 11
        (1, ["fast"], [0.05, 0.05, 0.0], "ended"),
        (1, ["slow"], [0.05, 0.05, 0.05], "cut"),
    ],
)
def test_regret_is_that_of_what_came_furthest(
    replays: Any, workers: int, stopped: list[str], expected: list[float], fate: str
) -> None:
    searcher = Listed(["fast", "slow"], set(stopped))
    times = [0.5, 0.9, 1.5, 10.5, 20.0]
    regrets, best, _ = replays.replay(searcher, TwoCurves(), workers, times, replays.Clock())
    assert regrets[:2] == pytest.approx([0.025, 0.025])  # nobody had reported: any of the two
    assert regrets[2:] == pytest.approx(expected)
    assert best == fate


def test_random_search_through_all_configurations_leaves_no_regret(
    replays: Any, drawn: Any
) -> None:
    searcher = replays.Random(drawn.draws(0, 160))
    times = [30.0, 1e9]
    (first, last), *fates = replays.replay(searcher, drawn, 4, times, replays.Clock())
    assert last == 0.0 < first and fates == ["ended", "ended"]


def test_every_searcher_is_replayed_at_every_budget_and_none_beats_the_best(replays: Any) -> None:
    for name in ("random", "promotion", "halving", "ours, random"):
        one = replays.run(name, 3, 16, "synthetic")
        assert len(one.regrets) == len(replays.BUDGETS) and min(one.regrets) >= 0.0
        assert replays.Replayed.from_json(one.to_json()) == one


def test_a_replay_that_the_file_holds_is_not_made_again(
    quality: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = tmp_path / "kept.jsonl"
    command = ["search_quality.py", "--sets", "power", "--workers", "4", "--seeds", "8"]
    names = ["--searchers", "promotion", "random", "--keep", str(kept)]
    monkeypatch.setattr("sys.argv", [*command, *names])
    assert quality.main() == 0
    first, lines = capsys.readouterr().out, kept.read_text()
    monkeypatch.setattr(quality, "run", lambda *arguments, **named: pytest.fail("made again"))
    assert quality.main() == 0
    assert capsys.readouterr().out == first and kept.read_text() == lines
    assert "5 comparisons" in first


def test_ours_prunes_nothing_where_it_is_told_that_no_training_fits(
    replays: Any, drawn: Any
) -> None:
    time = replays.budgets_of(drawn, 64)[-1]  # 0.625 of a training a worker
    pruned = {}
    for budget in (time, math.inf):
        clock = replays.Clock()
        searcher = replays.Ours(0, 64, clock, drawn, budget, "asha", "tpe")
        replays.replay(searcher, drawn, 64, [time], clock)
        trials = searcher.engine.history.trials.values()
        pruned[budget] = sum(trial.status == "pruned" for trial in trials)
    assert pruned[time] == 0 < pruned[math.inf]
