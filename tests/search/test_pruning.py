from __future__ import annotations

import doctest

import numpy as np
import pytest

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.search import pruning as scheduler
from hexsearch.search.pruning import Decision, Rungs, RungSchedule, bracket_cycle, rung_levels

ASHA = SchedulerConfig(reduction_factor=3)
LADDER = RungSchedule(rungs=(10, 30), budget=90, report_every=None)


def decided(rung: int, value_loss: float) -> dict[str, object]:
    return {"event": "decided", "rung": rung, "value_loss": value_loss}


def test_examples_in_docstrings_hold() -> None:
    result = doctest.testmod(scheduler)
    assert result.attempted and not result.failed


def test_rungs_of_powers_of_three_are_not_lost_to_rounding() -> None:
    assert rung_levels(1, 244, 3) == (1, 3, 9, 27, 81, 243)


def test_rungs_and_budget_are_whole_batches() -> None:
    config = SchedulerConfig(grace_period=1000, max_t=9000, reduction_factor=3, report_every=2000)
    schedule = RungSchedule.of(config, unit=256)
    assert schedule == RungSchedule(rungs=(1024, 3072), budget=9216, report_every=2048)


def test_without_a_scheduler_there_is_no_rung() -> None:
    assert RungSchedule.of(SchedulerConfig(name="none"), 1).rungs == ()


def test_decisions_follow_the_quantiles_written_out_by_hand() -> None:
    rungs = Rungs(LADDER, ASHA)
    expected = [
        (0.25, "continue", 1, 1),  # the first to arrive always goes on
        (0.26, "prune", 2, 2),
        (0.24, "continue", 1, 3),
        (0.23, "continue", 1, 4),
        (0.235, "continue", 2, 5),  # four are there, and the second is their quantile of 1/3
        (0.237, "prune", 3, 6),  # a third of the way from 0.235 to 0.240
        (0.2362, "continue", 3, 7),  # two thirds of the way from 0.235 to 0.237
    ]
    for value_loss, action, rank, of in expected:
        decision = rungs.decide(0, 10, value_loss)
        assert (decision.action, decision.rank, decision.of) == (action, rank, of)
        rungs.apply(decided(10, value_loss))


def test_the_cut_off_is_the_loss_that_would_have_gone_on() -> None:
    rungs = Rungs(LADDER, ASHA)
    for value_loss in (0.20, 0.21, 0.22, 0.23, 0.24):
        rungs.apply(decided(10, value_loss))
    pruned = rungs.decide(0, 10, 0.215)
    assert pruned.action == "prune"
    limit = pruned.cutoff
    assert limit == pytest.approx(np.quantile([0.20, 0.21, 0.22, 0.23, 0.24], 1 / 3))
    assert limit is not None and rungs.decide(0, 10, limit).action == "continue"


def test_a_report_between_rungs_goes_on_and_one_at_the_budget_completes() -> None:
    rungs = Rungs(LADDER, ASHA)
    assert rungs.decide(0, 20, 9.9).action == "continue"
    assert rungs.decide(0, 20, 9.9).rung is None
    assert rungs.decide(0, 90, 0.2).action == "complete"


def test_rungs_do_not_mix() -> None:
    rungs = Rungs(LADDER, ASHA)
    for value_loss in (0.1, 0.11, 0.12):
        rungs.apply(decided(30, value_loss))
    assert rungs.decide(0, 10, 0.2).action == "continue"
    assert rungs.decide(0, 30, 0.2).action == "prune"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_never_compared(value: float) -> None:
    with pytest.raises(ValueError, match="value_loss is"):
        Rungs(LADDER, ASHA).decide(0, 10, value)


def test_rungs_rebuilt_from_records_decide_as_the_live_ones() -> None:
    rng = np.random.default_rng(0)
    live = Rungs(LADDER, ASHA)
    records: list[dict[str, object]] = []
    for _ in range(200):
        rung, loss = int(rng.choice([10, 30])), float(rng.normal(0.2, 0.01))
        rebuilt = Rungs(LADDER, ASHA)
        for record in records:
            rebuilt.apply(record)
        assert rebuilt.decide(0, rung, loss) == live.decide(0, rung, loss)
        records.append(decided(rung, loss))
        live.apply(records[-1])


def test_about_one_in_three_goes_on_past_a_rung() -> None:
    rng = np.random.default_rng(1)
    rungs, went_on = Rungs(LADDER, ASHA), 0
    for loss in rng.normal(0.2, 0.01, 600):
        went_on += rungs.decide(0, 10, float(loss)).action == "continue"
        rungs.apply(decided(10, float(loss)))
    assert 180 <= went_on <= 240


def test_hyperband_gives_each_bracket_its_share_and_compares_within_it() -> None:
    config = SchedulerConfig(name="hyperband", reduction_factor=3)
    cycle = bracket_cycle(2, config)
    # Hyperband's sizes for two cuts, one and none: ceil(3/3 * 9), ceil(3/2 * 3), ceil(3/1).
    assert [cycle.count(bracket) for bracket in range(3)] == [9, 5, 3]
    rungs = Rungs(LADDER, config)
    for loss in (0.1, 0.11, 0.12):
        rungs.apply({**decided(30, loss), "bracket": 0})
    assert rungs.decide(cycle.index(0), 30, 0.2).action == "prune"
    assert rungs.decide(cycle.index(1), 10, 0.9) == Decision("continue")
    late = rungs.decide(cycle.index(1), 30, 0.2)
    assert (late.action, late.rank, late.of, late.bracket) == ("continue", 1, 1, 1)
    assert rungs.decide(cycle.index(2), 30, 0.9) == Decision("continue")


def test_the_median_rule_stops_the_worse_half_once_enough_are_known() -> None:
    config = SchedulerConfig(name="median", grace_period=10, max_t=90, report_every=20)
    schedule = RungSchedule.of(config, 1)
    assert schedule.rungs == (10, 30, 50, 70)
    rungs = Rungs(schedule, config)
    for loss in (0.9, 0.1, 0.2, 0.3, 0.4):  # too few to say
        assert rungs.decide(0, 10, loss).action == "continue"
        rungs.apply(decided(10, loss))
    assert rungs.decide(0, 10, 0.29).action == "continue"
    assert rungs.decide(0, 10, 0.31).action == "prune"
