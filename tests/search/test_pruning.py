from __future__ import annotations

from typing import Literal, get_args

import pytest

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.search.pruners import PRUNERS
from hexsearch.search.pruning import RungSchedule


def test_every_rule_that_a_study_may_name_is_registered() -> None:
    assert set(get_args(SchedulerConfig.model_fields["name"].annotation)) == set(PRUNERS)


def test_rungs_and_budget_are_whole_batches() -> None:
    config = SchedulerConfig(grace_period=1000, max_t=9000, reduction_factor=3, report_every=2000)
    schedule = RungSchedule.of(config, unit=256)
    assert schedule == RungSchedule(rungs=(1024, 3072), max_positions=9216, report_every=2048)


def test_without_a_scheduler_there_is_no_rung() -> None:
    assert RungSchedule.of(SchedulerConfig(name="none"), 1).rungs == ()


def test_an_automatic_first_rung_is_a_share_of_a_whole_training() -> None:
    def rungs(name: Literal["evidence", "asha"], unit: int = 1) -> tuple[int, ...]:
        return RungSchedule.of(SchedulerConfig(name=name, max_t=27_000), unit).rungs

    assert rungs("evidence") == (1000, 3000, 9000)
    assert rungs("asha") == (3000, 9000)
    assert rungs("evidence", unit=2048) == (2048, 4096, 10240)


@pytest.mark.parametrize("name, count", [("evidence", 3), ("asha", 2)])
@pytest.mark.parametrize("max_t", [26_999, 180_000, 180_001])
def test_an_automatic_first_rung_makes_no_rung_just_before_the_end(
    name: Literal["evidence", "asha"], count: int, max_t: int
) -> None:
    for factor in (2, 3, 4, 10):
        given = SchedulerConfig(name=name, max_t=max_t, reduction_factor=factor)
        rungs = RungSchedule.of(given, unit=1).rungs
        assert len(rungs) == count, factor
        assert rungs[-1] < 1.01 * max_t / factor
