from __future__ import annotations

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided
from hexsearch.search.pruning import RungSchedule, make_pruner


def decided(rung: int, value_loss: float) -> Decided:
    return Decided(
        trial="t0000", positions_seen=rung, decision="continue", rung=rung, value_loss=value_loss
    )


def test_the_median_rule_stops_the_worse_half_once_enough_are_known() -> None:
    config = SchedulerConfig(name="median", grace_period=10, max_t=90, report_every=20)
    schedule = RungSchedule.of(config, 1)
    assert schedule.rungs == (10, 30, 50, 70)
    rungs = make_pruner(config, schedule)
    for loss in (0.9, 0.1, 0.2, 0.3, 0.4):  # too few to say
        assert rungs.decide(0, 10, loss).action == "continue"
        rungs.apply(decided(10, loss))
    assert rungs.decide(0, 10, 0.29).action == "continue"
    assert rungs.decide(0, 10, 0.31).action == "prune"
