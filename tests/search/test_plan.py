from __future__ import annotations

import json

import pytest
import torch
from rich.console import Console

from hexsearch.errors import CheckpointError
from hexsearch.report.plan import render_plan
from hexsearch.search import plan as plans
from hexsearch.search.plan import expected_arrivals, plan_study
from hexsearch.search.pruners.asha import AshaPruner
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import study_config


def test_a_plan_has_the_names_that_others_build_on_and_is_json() -> None:
    config = study_config()
    plan = json.loads(json.dumps(plan_study(config, build_space(config)), allow_nan=False))
    assert set(plan) >= set(
        "dimensions configurations rungs trials_per_rung estimated_seconds samples".split()
    )
    assert plan["rungs"] == [64, 192, 576]
    assert plan["configurations"] is None
    assert len(plan["samples"]) == 5
    assert plan["estimated_seconds"] > 0


def test_a_finite_space_is_counted() -> None:
    config = study_config(search={"value_head": {"choice": ["512->1", "512->8->1"]}})
    assert plan_study(config, build_space(config))["configurations"] == 2


def test_a_costlier_network_is_trained_on_fewer_positions_at_equal_compute() -> None:
    config = study_config(
        search={"trunk": {"choice": ["tiny", "small"]}},
        scheduler={"equal_compute": "tiny", "max_t": 64_000, "grace_period": 6400},
    )
    plan = plan_study(config, build_space(config))
    positions = dict(
        zip((x["trunk"] for x in plan["samples"]), plan["sample_positions"], strict=True)
    )
    assert positions["tiny"] == 64_000
    assert 64 <= positions["small"] < 32_000


def test_configurations_that_train_alike_are_counted_once_and_sampled_once() -> None:
    heads = ["512->1", "512->8->1", {"family": "mlp", "widths": [8]}, "512->9->1"]
    config = study_config(search={"value_head": {"choice": heads}}, run={"trials": 3})
    plan = plan_study(config, build_space(config))
    assert (plan["combinations"], plan["configurations"]) == (4, 3)
    assert len({str(sample) for sample in plan["samples"]}) == 3


def test_arrivals_are_those_of_random_orders() -> None:
    # Of 4 in random order: the first goes on; then whoever falls below the quantile 1/3 of one,
    # two and three others, which lies 0, 1/3 and 2/3 of a gap above the lowest.
    pruner = AshaPruner(study_config().scheduler, (64,), 192)
    second = 1 + 1 / 2 + (1 + 1 / 3) / 3 + (1 + 2 / 3) / 4
    assert expected_arrivals(4, pruner) == [4.0, pytest.approx(second)]


def test_trials_that_want_a_gpu_have_no_estimate_where_there_is_none() -> None:
    config = study_config(run={"trials": 3, "gpus_per_trial": 0.5})
    plan = plan_study(config, build_space(config))
    if not torch.cuda.is_available():
        assert plan["estimated_seconds"] is None and plan["gpu_hours"] is None


def test_a_plan_says_that_a_trunk_cannot_start_from_a_checkpoint() -> None:
    config = study_config(trial={"start_from": "starter.pt", "trunk": "small"})
    with pytest.raises(CheckpointError, match=r"starter\.pt: its trunk does not fit"):
        plan_study(config, build_space(config))


def test_the_phases_besides_the_search_are_part_of_the_cost() -> None:
    plain = study_config()
    phases = ["compare", "search", "pruning_check", "race", "confirm"]
    staged = study_config(phases=phases, pruning_check={"share": 0.5}, race={"runs": 4})
    alone, plan = (plan_study(config, build_space(config)) for config in (plain, staged))
    assert alone["phases"] == []
    trainings = {phase["phase"]: phase["trainings"] for phase in plan["phases"]}
    pruned = 12 - plan["trials_per_rung"][-1]
    assert trainings["pruning_check"] == pytest.approx(0.5 * pruned, abs=0.1)
    assert (trainings["compare"], trainings["race"], trainings["confirm"]) == (3, 4, 12)
    added = plan["positions"] - alone["positions"]
    assert added == pytest.approx(1728 * sum(trainings.values()), rel=0.01)


def shown(plan: dict[str, object]) -> str:
    console = Console(width=1000)
    with console.capture() as capture:
        console.print(render_plan(plan))
    return capture.get()


def test_a_plan_says_how_trials_will_be_placed_on_gpus_before_that_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(plans, "usable_cpus", lambda: 32)
    monkeypatch.setattr(plans, "_positions_per_second", lambda *_: 1000.0)
    config = study_config(run={"trials": 100})
    plan = plan_study(config, build_space(config))
    assert (plan["slots"], plan["gpus"], plan["most_trials_per_gpu"]) == (4, 4, 8)
    assert plan["estimated_seconds"] == pytest.approx(plan["positions"] / 4000.0, abs=0.1)
    text = shown(plan)
    assert "on 4 GPUs" in text and "up to 8" in text and "95% of the highest rate" in text
    fixed = study_config(run={"trials": 100, "gpus_per_trial": 0.5})
    plan = plan_study(fixed, build_space(fixed))
    assert (plan["slots"], plan["most_trials_per_gpu"]) == (8, 1)
    assert "placement" not in shown(plan)


def test_a_plan_without_gpus_counts_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(plans, "usable_cpus", lambda: 6)
    config = study_config()
    plan = plan_study(config, build_space(config))
    assert (plan["slots"], plan["gpus"], plan["gpu_hours"]) == (6, 0, None)
    assert "placement" not in shown(plan)
