"""Ranks at one rung, and when it may cut."""

from __future__ import annotations

import numpy as np

from hexsearch.search.pruners.rung_record import RungRecord


def test_whoever_is_in_the_best_third_goes_on_even_if_a_third_has_gone_already() -> None:
    record = RungRecord(factor=3)
    assert not record.is_among_best((0.20, 0)) and record.cutoff() is None
    record.add((0.20, 0), waits=True)
    record.add((0.30, 1), waits=True)
    assert record.is_among_best((0.10, 2))
    record.add((0.10, 2), waits=False)
    assert record.is_among_best((0.05, 3))
    assert not record.is_among_best((0.15, 3))
    assert record.cutoff() == (0.10, 2)


def test_a_waiting_trial_is_promotable_once_others_have_come_to_stand_behind_it() -> None:
    record = RungRecord(factor=3)
    for number, loss in enumerate((0.20, 0.30)):
        record.add((loss, number), waits=True)
    assert record.promotable() is None
    record.add((0.40, 2), waits=True)
    assert record.promotable() == (0.20, 0)
    record.remove((0.20, 0))
    assert record.promotable() is None  # 0.30 is second of three


def test_removing_what_does_not_wait_changes_nothing() -> None:
    record = RungRecord(factor=2)
    record.add((0.2, 0), waits=True)
    record.remove((0.1, 7))
    record.remove((0.2, 7))
    assert record.waiting == [(0.2, 0)]


def test_a_rung_closes_while_it_predicts_the_reverse_of_the_next_one() -> None:
    record = RungRecord(factor=3, least=1.0)
    for here in range(5):
        record.learn(here, float(here), -float(here))
    assert record.is_open  # five pairs are too few, whatever they say
    record.learn(5, 5.0, -5.0)
    assert not record.is_open


def test_a_closed_rung_opens_again_once_it_predicts_the_next_one() -> None:
    record = RungRecord(factor=3, least=1.0)
    for here in range(6):
        record.learn(here, float(here), -float(here))
    for here in range(10, 40):
        record.learn(here, float(here), float(here))
    assert record.is_open


def test_a_rung_that_predicts_nothing_is_closed_mostly() -> None:
    rng, is_open = np.random.default_rng(0), 0
    for _ in range(100):
        record = RungRecord(factor=3, least=1.0)
        for number, (here, later) in enumerate(rng.normal(size=(30, 2))):
            record.learn(number, float(here), float(later))
        is_open += record.is_open
    assert is_open < 30


def test_equal_values_at_a_rung_have_equal_ranks_and_predict_nothing() -> None:
    record = RungRecord(factor=3, least=1.0)
    for later in range(12):
        record.learn(later, 0.25, float(later))
    assert not record.is_open  # the order of arrival is no rank
    record = RungRecord(factor=3, least=1.0)
    for later in range(12):
        record.learn(later, 0.20 if later == 0 else 0.25, float(later))
    assert record.is_open


def test_quartiles_want_four_trials() -> None:
    record = RungRecord(factor=3)
    for number in range(8):
        assert (record.quartiles() is None) == (number < 4)
        record.add((0.1 * number, number), waits=False)
    assert record.quartiles() == ((0.2, 2), (0.1 * 6, 6))


def test_a_rung_of_a_study_that_was_told_its_first_one_never_closes() -> None:
    record = RungRecord(factor=3)
    for here in range(30):
        record.learn(here, float(here), -float(here))
    assert record.is_open


def test_a_trial_that_no_rung_has_selected_counts_for_less() -> None:
    record = RungRecord(factor=3)
    for number in range(3):
        record.add((0.2 + 0.1 * number, number), waits=True, weight=3.0**-2)
    assert record.cutoff() is None and record.promotable() is None
    for number in range(3, 9):
        record.add((0.2 + 0.1 * number, number), waits=True, weight=3.0**-1)
    # Three and six such trials count for a third and two whole ones, so that one more is needed.
    assert record.promotable() is None
    assert record.is_among_best((0.1, 9))
    record.add((0.1, 9), waits=True)
    assert record.promotable() == (0.1, 9)


def test_weights_that_sum_to_a_whole_number_count_as_that() -> None:
    record = RungRecord(factor=3)
    for number in range(27):
        record.add((0.1 * number, number), waits=True, weight=3.0**-2)
    assert record.promotable() == (0.0, 0)


def test_ranks_follow_what_is_expected_now() -> None:
    record = RungRecord(factor=3, least=1.0)
    for number in range(6):
        record.add((0.1 * number, number), waits=number != 5)
        record.learn(number, 0.1 * number, 0.1 * number)
    assert record.is_open and record.promotable() == (0.0, 0)
    record.expect(lambda number: -0.1 * number, lambda number: -0.1 * number)
    assert [number for _, number in record.all] == [5, 4, 3, 2, 1, 0]
    assert record.is_open and record.promotable() == (-0.4, 4)
    record.expect(lambda number: -0.1 * number, lambda number: 0.1 * number)
    assert not record.is_open
