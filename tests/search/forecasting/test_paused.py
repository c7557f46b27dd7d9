"""Paused trials by their promises."""

from __future__ import annotations

from collections.abc import Iterable

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
    assert paused.in_order(0) == [(2, 0.2), (0, 0.1)]


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
