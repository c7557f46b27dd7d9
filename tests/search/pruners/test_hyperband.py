from __future__ import annotations

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided
from hexsearch.search.pruners.base import Decision
from hexsearch.search.pruners.hyperband import HyperbandPruner, bracket_cycle


def decided(rung: int, value_loss: float) -> Decided:
    return Decided(
        trial="t0000", positions_seen=rung, decision="continue", rung=rung, value_loss=value_loss
    )


def test_hyperband_gives_each_bracket_its_share_and_compares_within_it() -> None:
    config = SchedulerConfig(name="hyperband", reduction_factor=3)
    cycle = bracket_cycle(2, config.reduction_factor)
    # Hyperband's sizes for two cuts, one and none: ceil(3/3 * 9), ceil(3/2 * 3), ceil(3/1).
    assert [cycle.count(bracket) for bracket in range(3)] == [9, 5, 3]
    rungs = HyperbandPruner(config, (10, 30), 90)
    for loss in (0.1, 0.11, 0.12):
        rungs.apply(decided(30, loss))
    assert rungs.decide(cycle.index(0), 30, 0.2).action == "prune"
    assert rungs.decide(cycle.index(1), 10, 0.9) == Decision("continue")
    late = rungs.decide(cycle.index(1), 30, 0.2)
    assert (late.action, late.rank, late.of, late.bracket) == ("continue", 1, 1, 1)
    assert rungs.decide(cycle.index(2), 30, 0.9) == Decision("continue")
