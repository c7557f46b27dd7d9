"""Sets of learning curves: the surrogate between recorded trials, and what a replay counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from curve_sets import HERE, Floats, Table, curve_set
from curve_surrogate import Recording, Surrogate
from learning_curves import LEVELS, key
from record_curves import packed_games, runs_of
from search_peers import Clock, Random
from search_replay import replay

from hexsearch.search.forecasting.draws import coordinates, random_values
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space

TRIALS, GAMES = 40, 6
RUNGS = (1_152, 10_368, 31_104)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return load_space(HERE / "floats.yaml")[1]


@pytest.fixture(scope="module")
def recording(space: SearchSpace) -> Recording:
    """Losses that fall with the learning rate, each second configuration with two seeds."""
    rng = np.random.default_rng(3)
    configurations, seeds = [], []
    for place in range(TRIALS):
        configurations.append(random_values(space, rng))
        seeds.append(0)
        if place % 2:
            configurations.append(configurations[-1])
            seeds.append(1)
    points = np.array([coordinates(space, values) for values in configurations])
    falling = np.array([0.01, 0.03, 0.05])
    losses = 0.24 - points[:, 0, None, None] * falling[:, None] + np.zeros(GAMES)
    losses = losses + 0.001 * rng.normal(size=losses.shape)
    counts = np.arange(1.0, GAMES + 1)
    seconds = np.tile([1.0, 2.0, 3.0], (len(points), 1))
    weights = counts / counts.sum()
    return Recording(configurations, seeds, RUNGS, points, losses, seconds, weights)


def surrogate_of(
    space: SearchSpace, recording: Recording, noise: float = 1e-2, scale_of_rate: float = 1.0
) -> Surrogate:
    scales = [[scale_of_rate, *[1.0] * (len(space.dimensions) - 1)]] * len(RUNGS)
    fit = {"scales": scales, "noise": [noise] * len(RUNGS), "least": 0.19, "typical": 0.21}
    return Surrogate(space, recording, fit)


def test_the_noise_of_a_trial_depends_on_its_configuration_and_seed_alone(
    space: SearchSpace, recording: Recording
) -> None:
    values = random_values(space, np.random.default_rng(9))
    curves = [Floats(surrogate_of(space, recording), seed) for seed in (0, 0, *range(1, 9))]
    drawn = [one.curve(values) for one in curves]
    assert drawn[0] == drawn[1]
    assert len({str(curve) for curve in drawn}) > 3
    assert len({one.truth(values) for one in curves}) == 1


def test_a_difference_between_trials_is_that_of_their_curves(
    space: SearchSpace, recording: Recording
) -> None:
    floats = Floats(surrogate_of(space, recording), 0)
    first, second = floats.draws(1, 2)
    compared = floats.paired(first, second, RUNGS[1])
    assert compared is not None
    apart = floats.curve(first)[1][1] - floats.curve(second)[1][1]
    assert compared[0] == pytest.approx(apart, abs=2e-6)
    assert 0 < compared[1] < 0.005


def test_a_surrogate_without_noise_goes_through_the_recorded_values(
    space: SearchSpace, recording: Recording
) -> None:
    once = [place for place in range(len(recording.seeds)) if recording.seeds[place] == 0]
    single = replace(
        recording,
        configurations=[recording.configurations[place] for place in once],
        seeds=[0] * len(once),
        points=recording.points[once],
        losses=recording.losses[once],
        seconds=recording.seconds[once],
    )
    means = surrogate_of(space, single, noise=1e-9).means(single.points)
    np.testing.assert_allclose(means, single.values, atol=1e-6)


def test_where_most_trials_are_stuck_the_truth_is_a_network_without_knowledge(
    space: SearchSpace, recording: Recording
) -> None:
    losses = recording.losses.copy()
    high = recording.points[:, 0] > 0.4
    losses[high] = 0.25
    # The learning rate alone decides what is near.
    surrogate = surrogate_of(space, replace(recording, losses=losses), scale_of_rate=0.05)
    values = {**recording.configurations[0], "optimiser.learning_rate": 0.055}
    floats = Floats(surrogate, 0)
    assert floats.truth(values) == 0.25
    assert [loss for _, loss, _ in floats.curve(values)] == [0.25] * 3
    low = {**values, "optimiser.learning_rate": 0.0021}
    assert floats.truth(low) == pytest.approx(0.235, abs=0.01)
    assert floats.curve(low)[-1][1] < 0.249


def test_losses_of_games_survive_their_compact_form(tmp_path: Path, space: SearchSpace) -> None:
    losses = SimpleNamespace(sums=np.array([[1.0, 0.0, 2.0], [0.5, 0, 0]]),
                             counts=np.array([[5, 0, 5], [2, 0, 0]]))  # fmt: skip
    line = {"values": {"batch_size": 64}, "seed": 0, "curve": [[64, 0.29, 1.0]]}
    text = json.dumps({**line, "games": packed_games([losses])})  # type: ignore[list-item]
    (tmp_path / "curves.jsonl").write_text('{"positions_of_games": [10, 2]}\n' + text + "\n")
    read = Recording.load(replace(space, dimensions=()), tmp_path / "curves.jsonl")
    np.testing.assert_allclose(read.losses, [[[0.3, 0.25]]], atol=1e-5)
    assert read.values[0, 0] == pytest.approx((3.0 + 0.5) / 12, abs=1e-5)


def test_a_recording_that_goes_on_draws_the_same_trials(space: SearchSpace) -> None:
    short, whole = list(runs_of(space, 4, 2)), list(runs_of(space, 8, 2))
    assert whole[: len(short)] == short
    assert [seed for _, seed in short] == [0, 0, 1, 0, 0, 1]
    assert short[1][0] == short[2][0] != short[0][0]


class Stopping(Random):
    """Stops a trial at its first report if it is the named one."""

    def __init__(self, configurations: list[dict[str, Any]], cut: str) -> None:
        super().__init__(configurations)
        self.cut = cut

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        return last or name == self.cut


@pytest.mark.parametrize(("cut", "fate"), [("1", "cut"), ("0", "ended")])
def test_a_replay_says_whether_the_best_tried_configuration_was_cut(cut: str, fate: str) -> None:
    configurations = [{"a": place} for place in range(3)]
    curves = [
        [(level, final + 1 / level, float(level)) for level in LEVELS] for final in (0.22, 0.2, 0.1)
    ]
    table = Table(configurations, curves)
    searcher = Stopping(configurations[:2], cut)  # the best of the space is never tried
    regrets, best, best_tried = replay(searcher, table, 1, [1e6], Clock())
    assert (best, best_tried) == ("untried", fate)
    held = 0.22 if cut == "1" else 0.2
    assert regrets[0] == pytest.approx(held - 0.1)


def test_the_recorded_space_with_floats_can_be_replayed() -> None:
    floats = curve_set("floats", 0)
    drawn = floats.draws(0, 20)
    assert len({key(values) for values in drawn}) == 20
    finals = np.array([[floats.curve(values)[-1][1], floats.truth(values)] for values in drawn])
    assert (finals[:, 1] >= floats.least - 1e-6).all()
    assert np.corrcoef(finals[finals[:, 0] < 0.249].T)[0, 1] > 0.8


def test_held_out_curves_diverge_mostly_at_the_highest_learning_rate() -> None:
    configurations = curve_set("heldout", 0).draws(0, 160)
    ends: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(3):
        for values in configurations:
            last = curve_set("heldout", seed).curve(values)[-1][1]
            ends[values["optimiser.learning_rate"] > 0.01].append(last > 0.247)
    assert 0.15 < np.mean(ends[True]) < 0.5
    assert np.mean(ends[False]) < 0.1


def test_drawn_curves_know_the_errors_of_their_evaluations_and_recorded_ones_do_not() -> None:
    drawn, recorded = curve_set("late", 0), curve_set("recorded", 0)
    first, second = drawn.draws(0, 2)
    apart = drawn.paired(first, second, LEVELS[1])
    assert apart is not None
    losses = [drawn.curve(values)[1][1] for values in (first, second)]
    assert apart == pytest.approx((losses[0] - losses[1], 0.0005 * 2**0.5))
    one, other = recorded.draws(0, 2)
    assert recorded.paired(one, other, LEVELS[1]) is None


def test_the_recorded_trunks_cost_one_to_eight_and_are_a_whole_space() -> None:
    curves = curve_set("trunks", 0)
    space = load_space(curves.space)[1]
    configurations = list(space.configurations())
    costs = [curves.curve(values)[-1][2] for values in configurations]
    assert len(costs) == 144 and max(costs) > 8 * min(costs)
    assert all(curves.curve(values)[-1][0] == LEVELS[-1] for values in configurations)
    names = {dimension.name: len(dimension.choices) for dimension in curves.dimensions}
    assert names == {d.name: len(d.choices) for d in space.dimensions}


def test_curves_of_the_public_prior_are_scaled_and_the_same_for_a_seed() -> None:
    pytest.importorskip("ifbo", reason="ifBO is a package of the benchmarks' peers")
    state = np.random.get_state()[1].copy()  # type: ignore[index]
    first, again, other = curve_set("prior", 3), curve_set("prior", 3), curve_set("prior", 4)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index]
    values = first.draws(0, 160)
    finals = [first.truth(each) for each in values]
    assert len(values) == 160 and float(np.median(finals)) == pytest.approx(0.2)
    assert float(np.std(finals)) == pytest.approx(0.02)
    assert first.curve(values[0]) == again.curve(values[0]) != other.curve(values[0])
    ends = np.array([first.curve(each)[-1][1] for each in values])
    errors = np.array([first.error(each, LEVELS[-1]) for each in values])
    away = (ends - finals) / errors
    assert 0.8 < away.std() < 1.2 and abs(away.mean()) < 0.3
