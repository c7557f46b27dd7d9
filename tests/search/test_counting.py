"""Counting and listing the configurations of a space."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.errors import ConfigError
from hexsearch.search.space_parsing import build_space
from tests.search.spaces import CONDITIONAL, problems, space, study


def test_conditional_configurations_are_counted_as_by_hand() -> None:
    # all: 2 heads. last_k: k=4 and k=6 with 2 batch sizes, k=8 with none, each with 2 heads.
    assert space(CONDITIONAL).count == 2 + 2 * (2 + 2 + 1)


def test_a_float_makes_the_space_infinite() -> None:
    assert space({"value_weight": {"float": [0.5, 2.0]}}).count == math.inf


def test_counting_walks_only_through_what_others_depend_on() -> None:
    search: dict[str, Any] = {
        "optimiser.warmup": {"choice": [step / 100 for step in range(90)]},
        "optimiser.clip": {"choice": [1.0 + step for step in range(100)]},
        "optimiser.weight_decay": {"choice": [step / 100 for step in range(100)]},
        "policy_head.weight": {"choice": [step / 100 for step in range(100)]},
        "curriculum": {"choice": ["all", "last_k"]},
        "curriculum.k": {"int": [2, 40], "step": 2, "when": {"curriculum": "last_k"}},
        "augment": {"choice": [True, False], "when": {"curriculum.k": [2, 4]}},
    }
    by_hand = 90 * 100**3 * (1 + 2 * 2 + 18)
    assert space(search).count == by_hand


@given(st.data())
def test_the_count_is_the_number_of_configurations(data: st.DataObject) -> None:
    names = ["augment", "encoder.edge_ring", "batch_size", "optimiser.name", "trunk.norm"]
    values: list[list[Any]] = [
        [True, False],
        [True, False],
        [64, 128],
        ["adamw", "sgd"],
        ["batch", "group"],
    ]
    search: dict[str, Any] = {}
    for place, (name, choices) in enumerate(zip(names, values, strict=True)):
        earlier = st.sets(st.sampled_from(range(place)), max_size=2) if place else st.just(set())
        parents: set[int] = data.draw(earlier)
        search[name] = {"choice": choices, "when": {names[p]: values[p][0] for p in parents}}
    made = space(search)
    assert made.count == len(list(made.configurations()))


def test_configurations_of_one_canonical_form_are_listed_once() -> None:
    made = space(
        {
            "value_head": {"choice": ["512->8->1", {"family": "mlp", "widths": [8]}]},
            "curriculum": {"choice": ["all", "last_k"]},
            "curriculum.k": {"choice": [3, 4, 6]},
        }
    )
    # `all` has no k, and an odd k counts as k + 1: all, last 4, last 6.
    assert made.count == 12
    assert len(made.variants()) == 3


def test_a_grid_has_the_ends_of_each_float_and_equal_ratios_on_a_log_scale() -> None:
    grid = space({"optimiser.learning_rate": {"float": [1e-4, 1e-2], "log": True}}).grid(3)
    points = [values["optimiser.learning_rate"] for values in grid.configurations()]
    assert points[0] == 1e-4 and points[-1] == 1e-2
    assert points[1] == pytest.approx(1e-3)


def test_a_preset_is_the_dimension_that_it_spells() -> None:
    named = space({"value_head": "named_heads"})
    assert named.count == 5
    assert "512->128->64->1" in named.dimensions[0].choices
    with pytest.raises(ConfigError, match="did you mean 'named_heads'"):
        study({"value_head": "named_head"})


def test_a_grid_too_large_to_list_is_a_fault() -> None:
    search = {
        name: {"float": [0.1, 0.8]}
        for name in ("optimiser.warmup", "optimiser.momentum", "value_weight", "policy_head.weight")
    }
    found = problems(search, searcher={"name": "grid", "grid_points": 12})
    assert "20,736 configurations is more than 20,000" in found[0]


def test_a_wide_range_of_whole_numbers_takes_no_memory() -> None:
    space = build_space(study({"optimiser.ema_half_life": {"int": [0, 10**11]}}))
    assert len(space.dimensions[0].values()) == 10**11 + 1
