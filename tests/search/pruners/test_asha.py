from __future__ import annotations

import numpy as np
import pytest

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.ledger.events import Decided
from hexsearch.search.pruners.asha import AshaPruner

ASHA = SchedulerConfig(reduction_factor=3)
RUNGS = (10, 30)


def decided(rung: int, value_loss: float) -> Decided:
    return Decided(
        trial="t0000", positions_seen=rung, decision="continue", rung=rung, value_loss=value_loss
    )


def test_decisions_follow_the_quantiles_written_out_by_hand() -> None:
    rungs = AshaPruner(ASHA, RUNGS, 90)
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
    rungs = AshaPruner(ASHA, RUNGS, 90)
    for value_loss in (0.20, 0.21, 0.22, 0.23, 0.24):
        rungs.apply(decided(10, value_loss))
    pruned = rungs.decide(0, 10, 0.215)
    assert pruned.action == "prune"
    limit = pruned.cutoff
    assert limit == pytest.approx(np.quantile([0.20, 0.21, 0.22, 0.23, 0.24], 1 / 3))
    assert limit is not None and rungs.decide(0, 10, limit).action == "continue"


def test_a_report_between_rungs_goes_on_and_one_at_the_budget_completes() -> None:
    rungs = AshaPruner(ASHA, RUNGS, 90)
    assert rungs.decide(0, 20, 9.9).action == "continue"
    assert rungs.decide(0, 20, 9.9).rung is None
    assert rungs.decide(0, 90, 0.2).action == "complete"


def test_rungs_do_not_mix() -> None:
    rungs = AshaPruner(ASHA, RUNGS, 90)
    for value_loss in (0.1, 0.11, 0.12):
        rungs.apply(decided(30, value_loss))
    assert rungs.decide(0, 10, 0.2).action == "continue"
    assert rungs.decide(0, 30, 0.2).action == "prune"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_never_compared(value: float) -> None:
    with pytest.raises(ValueError, match="value_loss is"):
        AshaPruner(ASHA, RUNGS, 90).decide(0, 10, value)


def test_rungs_rebuilt_from_records_decide_as_the_live_ones() -> None:
    rng = np.random.default_rng(0)
    live = AshaPruner(ASHA, RUNGS, 90)
    records: list[Decided] = []
    for _ in range(200):
        rung, loss = int(rng.choice([10, 30])), float(rng.normal(0.2, 0.01))
        rebuilt = AshaPruner(ASHA, RUNGS, 90)
        for record in records:
            rebuilt.apply(record)
        assert rebuilt.decide(0, rung, loss) == live.decide(0, rung, loss)
        records.append(decided(rung, loss))
        live.apply(records[-1])


def test_about_one_in_three_goes_on_past_a_rung() -> None:
    rng = np.random.default_rng(1)
    rungs, went_on = AshaPruner(ASHA, RUNGS, 90), 0
    for loss in rng.normal(0.2, 0.01, 600):
        went_on += rungs.decide(0, 10, float(loss)).action == "continue"
        rungs.apply(decided(10, float(loss)))
    assert 180 <= went_on <= 240
