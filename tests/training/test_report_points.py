from __future__ import annotations

from typing import get_args

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TRUNK_PRESETS
from hexsearch.errors import TrialError
from hexsearch.training.report_points import PositionCount, operations

DATA = DataConfig(board_size=7)
POINTS = (6_400, 64_000)


def trial(**settings: object) -> TrialConfig:
    return build(TrialConfig, {"trunk": "tiny", "batch_size": 32, **settings}, "trial")


def test_every_trunk_by_name_can_be_the_one_whose_positions_count() -> None:
    hint = SchedulerConfig.model_fields["equal_compute"].annotation
    assert set(get_args(get_args(hint)[0])) == set(TRUNK_PRESETS)


def test_without_a_reference_positions_count_as_they_are() -> None:
    count = PositionCount.of(POINTS, trial(trunk="small"), DATA, None)
    assert count.own == POINTS and [count.counted(seen) for seen in (0, 37, 6_400)] == [0, 37, 6400]


def test_a_trial_of_the_reference_trains_on_the_points_themselves() -> None:
    assert PositionCount.of(POINTS, trial(), DATA, "tiny").own == POINTS


def test_a_costly_network_trains_on_fewer_positions_at_equal_operations() -> None:
    small, tiny = trial(trunk="small"), trial()
    cost = operations(small, DATA) / operations(tiny, DATA)
    assert cost > 2
    count = PositionCount.of(POINTS, small, DATA, "tiny")
    for point, own in zip(POINTS, count.own, strict=True):
        assert own % 32 == 0 and own * cost == pytest.approx(point, rel=16 * cost / point)
        assert count.counted(own) == point


def test_what_is_counted_between_two_points_stays_between_them() -> None:
    count = PositionCount((100, 200), (3, 7), cost=40.0)
    assert [count.counted(own) for own in range(1, 9)] == [40, 80, 100, 160, 199, 199, 200, 320]


def test_heads_that_only_train_the_trunk_cost_operations() -> None:
    taught = trial(auxiliary={"moves_left": 0.1})
    assert operations(taught, DATA) > operations(trial(), DATA)


def test_a_batch_that_costs_more_than_a_rung_fails_its_trial_with_a_reason() -> None:
    with pytest.raises(TrialError, match="two reports of a trial of small fall into one batch"):
        PositionCount.of((33, 66, 99), trial(trunk="small"), DATA, "tiny")


def test_a_network_without_operations_that_torch_counts_has_no_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hexsearch.training.report_points.operations", lambda config, data: 0)
    with pytest.raises(TrialError, match="counts no operations"):
        PositionCount.of(POINTS, trial(), DATA, "tiny")
