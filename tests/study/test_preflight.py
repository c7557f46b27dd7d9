from __future__ import annotations

from typing import Any

import pytest
import torch

from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError, ContractError
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.study.preflight import (
    baseline_rows,
    check_components,
    costly_reports,
    with_local_resources,
)
from tests.search.simulation import study_config


def space(search: dict[str, Any]) -> SearchSpace:
    return build_space(study_config(search=search))


def test_baselines_are_evaluated_as_trials_are(dataset: Dataset) -> None:
    (prior, _), (table, per_game) = baseline_rows(dataset)
    assert (prior.name, table.name) == ("prior", "shortest-path table")
    losses = [row.metrics.overall.value_loss for row in (prior, table)]
    assert losses[0] == pytest.approx(0.25, abs=0.02)
    assert losses[1] < losses[0]
    assert table.metrics.stages["final"].accuracy == 1.0
    assert prior.metrics.overall.positions == len(dataset.validation)
    assert per_game.counts.sum() == len(dataset.validation)
    assert per_game.sums.sum() / per_game.counts.sum() == pytest.approx(losses[1])


def test_a_study_whose_reports_cost_more_than_its_training_says_so(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = space({"optimiser.learning_rate": {"float": [1e-3, 1e-2]}})
    short = study_config(scheduler={"max_t": 900, "grace_period": 64})
    assert len(dataset.validation) > 100
    assert costly_reports(short, rates, dataset) == []  # they are judged in a moment
    monkeypatch.setattr("hexsearch.study.preflight._FEW_JUDGED", 10)
    (hint,) = costly_reports(short, rates, dataset)
    assert f"judges {len(dataset.validation):,} validation positions" in hint
    assert "data.validation_games=" in hint
    long = study_config(scheduler={"max_t": 9_000, "grace_period": 4_096})
    assert costly_reports(long, rates, dataset) == []


def test_every_component_of_the_space_is_held_to_its_contract_before_the_first_trial() -> None:
    check_components(space({"readout": {"choice": ["bce", "tanh_mse"]}}))
    broken = {
        "value_head": {"choice": ["512->1", "tests.model.test_network:ColumnHead"]},
        "readout": {"choice": ["bce", "tests.model.test_readout:SilentRawMse"]},
    }
    with pytest.raises(ContractError) as caught:
        check_components(space(broken))
    assert "returned [4, 1], expected [4]" in str(caught.value)
    assert "loss and win_prob disagree" in str(caught.value)


def test_a_machine_without_gpus_needs_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    run = with_local_resources(study_config()).run
    assert (run.cpus_per_trial, run.gpus_per_trial) == (1, 0.0)


def test_trials_on_gpus_of_this_machine_are_left_to_be_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert with_local_resources(study_config()).run.gpus_per_trial == "auto"
    fixed = study_config(run={"gpus_per_trial": 0.5, "cpus_per_trial": 1})
    assert with_local_resources(fixed) == fixed
    with pytest.raises(ConfigError, match="a trial needs 8, but this process may use 4"):
        with_local_resources(study_config(run={"gpus_per_trial": 8}))
