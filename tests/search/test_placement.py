"""How many trials share a GPU, from figures written out by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.config.run import RunConfig
from hexsearch.search.placement import (
    Footprint,
    Machine,
    Measurement,
    describe,
    fewest_at_full_rate,
    most_trials,
    share_of,
    slots_on,
    trials_on,
    tried_numbers,
    with_share,
    without_measuring,
)
from tests.search.simulation import study_config

GB = 1e9
FOUR_GPUS = Machine(cpus=64, gpus=4, memory=256 * GB)
NO_GPU = Machine(cpus=8, gpus=0)
SMALL = Footprint(card=2 * GB, card_total=80 * GB, host=3 * GB)


def numbers(run: RunConfig | None) -> tuple[Any, Any]:
    assert run is not None
    return run.cpus_per_trial, run.gpus_per_trial


def test_without_a_gpu_a_trial_has_one_core_and_no_gpu() -> None:
    assert numbers(without_measuring(RunConfig(), [NO_GPU])) == (1, 0.0)


def test_written_numbers_are_kept_on_every_machine() -> None:
    written = RunConfig(cpus_per_trial=3, gpus_per_trial=0.25)
    for machines in ([NO_GPU], [FOUR_GPUS], [FOUR_GPUS, NO_GPU]):
        assert without_measuring(written, machines) == written


def test_trials_for_a_gpu_are_measured_where_one_of_the_machines_has_any() -> None:
    assert without_measuring(RunConfig(), [NO_GPU, FOUR_GPUS]) is None
    assert without_measuring(RunConfig(cpus_per_trial=4), [FOUR_GPUS]) is None


@pytest.mark.parametrize(
    ("gpus", "cpus"),
    [(1.0, 2), (0.25, 2), (0.125, 2), (0.0625, 1), (2.0, 2), (0.0, 1)],
)
def test_a_trial_on_a_gpu_has_two_cores_if_there_are_enough(gpus: float, cpus: int) -> None:
    """64 cores for 4, 16, 32, 64, 2 and any number of trials."""
    run = without_measuring(RunConfig(gpus_per_trial=gpus), [FOUR_GPUS])
    assert numbers(run) == (cpus, gpus)


def test_cores_are_those_of_the_machine_with_fewest_for_each_gpu() -> None:
    tight = Machine(cpus=4, gpus=4)
    run = without_measuring(RunConfig(gpus_per_trial=0.5), [FOUR_GPUS, tight, NO_GPU])
    assert numbers(run) == (1, 0.5)


@pytest.mark.parametrize(
    ("machine", "footprint", "settings", "most"),
    [
        (FOUR_GPUS, None, {}, 16),  # never more than 16
        (FOUR_GPUS, SMALL, {}, 16),  # 32 fit on a card, 21 into the machine, 16 onto the cores
        (FOUR_GPUS, Footprint(10 * GB, 80 * GB, GB), {}, 6),  # 64 of 80 GB
        (FOUR_GPUS, Footprint(79 * GB, 80 * GB, GB), {}, 1),  # at least one, whatever it needs
        (FOUR_GPUS, Footprint(GB, 80 * GB, 8 * GB), {}, 8),  # 32 processes of 8 GB
        (FOUR_GPUS, SMALL, {"cpus_per_trial": 4}, 4),
        (FOUR_GPUS, SMALL, {"trials": 8}, 2),  # no card stays idle
        (FOUR_GPUS, SMALL, {"trials": 9}, 3),
        (FOUR_GPUS, SMALL, {"max_concurrent": 4}, 1),
        (Machine(cpus=2, gpus=4), SMALL, {}, 1),  # fewer cores than cards
        (Machine(cpus=12, gpus=1), SMALL, {}, 12),
    ],
)
def test_the_scarcest_of_memory_cores_and_trials_is_the_limit(
    machine: Machine, footprint: Footprint | None, settings: dict[str, Any], most: int
) -> None:
    config = study_config(run={"trials": 1000, **settings})
    assert most_trials(config, [machine], footprint) == most


def test_the_machine_with_least_room_limits_the_others_and_one_without_gpus_does_not() -> None:
    config = study_config(run={"trials": 1000})
    machines = [FOUR_GPUS, Machine(cpus=12, gpus=4), Machine(cpus=1, gpus=0)]
    assert most_trials(config, machines, SMALL) == 3


def test_a_comparison_has_as_many_jobs_as_trunks() -> None:
    config = study_config(
        phases=["compare"],
        compare={"seeds": 5},
        search={"value_head": {"choice": ["512->1", "512->32->1"]}},
    )
    assert most_trials(config, [FOUR_GPUS], SMALL) == 2


@given(most=st.integers(1, 64))
def test_numbers_rise_from_one_to_the_most_by_doubling_at_most(most: int) -> None:
    tried = tried_numbers(most)
    assert tried[0] == 1 and tried[-1] == most
    assert all(low < high <= 2 * low for low, high in pairwise(tried))


@pytest.mark.parametrize(
    ("rates", "trials"),
    [
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 104.0, 4: 105.0}, 1),  # a full card: sharing only slows each trial
        ({1: 100.0, 2: 199.0, 4: 390.0, 8: 760.0}, 8),
        ({1: 100.0, 2: 180.0, 4: 170.0}, 2),  # more trials may be slower
        ({1: 100.0, 2: 50.0, 4: 300.0}, 4),
        ({1: 95.0, 2: 100.0}, 1),
        ({1: 94.9, 2: 100.0}, 2),
        ({1: 0.0, 2: 0.0}, 1),  # nothing could be measured
    ],
)
def test_the_fewest_trials_at_95_percent_of_the_highest_rate_are_taken(
    rates: dict[int, float], trials: int
) -> None:
    assert fewest_at_full_rate(rates) == trials


@given(trials=st.integers(1, 100), gpus=st.integers(1, 16))
def test_as_many_trials_fit_as_a_share_was_made_for(trials: int, gpus: int) -> None:
    share = share_of(trials)
    assert trials_on(gpus, share) == gpus * trials
    assert round(share * 10_000) * trials <= 10_000  # as Ray adds shares up


def test_slots_are_limited_by_cores_gpus_and_the_setting() -> None:
    placed = RunConfig(cpus_per_trial=2, gpus_per_trial=0.25)
    assert slots_on(FOUR_GPUS, placed) == 16
    assert slots_on(Machine(cpus=8, gpus=4), placed) == 4
    assert slots_on(FOUR_GPUS, placed.model_copy(update={"max_concurrent": 3})) == 3
    assert slots_on(NO_GPU, RunConfig(cpus_per_trial=2, gpus_per_trial=0.0)) == 4
    assert slots_on(NO_GPU, placed) == 1


def test_a_placement_is_said_with_the_figures_that_it_follows_from() -> None:
    rates = {1: 7600.4, 2: 14000.0, 4: 20000.0, 8: 20500.0}
    measurement = Measurement(rates, SMALL)
    run = with_share(RunConfig(), [FOUR_GPUS], fewest_at_full_rate(rates))
    assert numbers(run) == (2, 0.25)
    said = describe(run, [FOUR_GPUS], measurement)
    assert "4 trials on each of 4 GPUs with 2 cores each" in said
    assert "1: 7,600, 2: 14,000, 4: 20,000, 8: 20,500" in said and "2.0 of 80 GB" in said


def test_a_measurement_is_recorded_with_plain_numbers() -> None:
    recorded = Measurement({1: 10.04, 2: 19.0}, SMALL).to_json()
    assert recorded["positions_per_second"] == {"1": 10.0, "2": 19.0}
    assert recorded["gpu_bytes_per_trial"] == 2 * GB and recorded["host_bytes_per_trial"] == 3 * GB
    assert all(math.isfinite(value) for name, value in recorded.items() if "bytes" in name)
