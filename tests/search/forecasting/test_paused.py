"""Paused trials by their promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from hexsearch.search.forecasting.paused import PausedTrials


class Promises:
    """Looked up, and counted."""

    def __init__(self, known: dict[int, float]) -> None:
        self.known, self.asked = known, 0

    def __call__(self, numbers: Iterable[int]) -> dict[int, float]:
        wanted = list(numbers)
        self.asked += len(wanted)
        return {number: self.known[number] for number in wanted}


def test_the_best_at_given_levels_is_found_and_removed() -> None:
    paused = PausedTrials(Promises({0: 0.1, 1: 0.3, 2: 0.2}))
    for number, level in ((0, 1), (1, 2), (2, 1)):
        paused.add(number, level)
    assert paused.best(0, [1, 2]) == (1, 0.3)
    assert paused.best(0, [1]) == (2, 0.2)
    paused.remove(1)
    assert paused.best(0, [1, 2]) == (2, 0.2)
    assert paused.best(0, [2]) is None
    assert list(paused.least_first(0)) == [0, 2]


def test_of_equal_promises_the_earlier_trial_comes_first() -> None:
    paused = PausedTrials(Promises({3: 0.2, 5: 0.2}))
    paused.add(5, 1)
    paused.add(3, 1)
    assert paused.best(0, [1]) == (3, 0.2)


def test_promises_are_computed_again_only_where_the_forecast_has_changed() -> None:
    promises = Promises({0: 0.1, 1: 0.3})
    paused = PausedTrials(promises)
    paused.add(0, 1)
    paused.best(0, [1])
    paused.add(1, 1)
    paused.best(0, [1])
    paused.best(0, [1])
    assert promises.asked == 2
    promises.known[0] = 0.9
    assert paused.best(1, [1]) == (0, 0.9)
    assert promises.asked == 4


def test_a_trial_that_is_paused_again_counts_at_its_new_rung() -> None:
    promises = Promises({0: 0.1})
    paused = PausedTrials(promises)
    paused.add(0, 1)
    assert paused.best(0, [1]) == (0, 0.1)
    paused.remove(0)
    promises.known[0] = 0.4
    paused.add(0, 2)
    assert paused.best(0, [1]) is None
    assert paused.best(0, [2]) == (0, 0.4)


class Holds:
    """Whether trials are among the given ones; notes about whom it was asked."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.asked = set(numbers), list[int]()

    def __call__(self, numbers: Sequence[int]) -> list[bool]:
        self.asked += numbers
        return [number in self.numbers for number in numbers]


def test_the_most_promising_that_holds_is_found_and_each_is_asked_about_once() -> None:
    promises, holds = Promises({0: 0.1, 1: 0.3, 2: 0.2, 3: 0.05}), Holds(2, 3)
    paused = PausedTrials(promises)
    for number in range(4):
        paused.add(number, 1 + number % 2)
    assert [paused.first(0, holds), paused.first(0, holds)] == [2, 2]
    paused.remove(2)
    assert paused.first(0, holds) == 3
    promises.known[2] = 0.6
    paused.add(2, 3)
    assert paused.first(0, holds) == 2
    paused.remove(2)
    paused.remove(3)
    assert paused.first(0, holds) is None
    assert sorted(holds.asked) == [0, 1, 2, 2, 3]
    holds.numbers = {0}
    assert paused.first(1, holds) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_trials_are_found_in_the_order_of_a_sorted_list(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = {number: round(float(rng.random()), 2) for number in range(1000)}
    holding = {number for number in known if rng.random() < 0.02}
    paused, holds = PausedTrials(Promises(known)), Holds(*holding)
    waiting: set[int] = set()
    for number in rng.permutation(1000).tolist():
        paused.add(number, number % 3)
        waiting.add(number)
        if rng.random() < 0.5:
            best = min(waiting & holding, key=lambda n: (-known[n], n), default=None)
            assert paused.first(0, holds) == best
            if best is not None and rng.random() < 0.3:
                paused.remove(best)
                waiting.remove(best)
    assert list(paused.least_first(0)) == sorted(waiting, key=lambda n: (known[n], -n))
