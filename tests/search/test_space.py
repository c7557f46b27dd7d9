from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError
from hexsearch.search.space import (
    SearchSpace,
    position_unit,
    variant_key,
    with_values,
)
from hexsearch.search.space_parsing import build_space, load_space


def study(search: dict[str, Any], **sections: Any) -> StudyConfig:
    return build(StudyConfig, {"question": "?", "search": search, **sections}, "")


def space(search: dict[str, Any], **sections: Any) -> SearchSpace:
    return build_space(study(search, **sections))


def problems(search: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        space(search, **sections)
    return caught.value.problems


CONDITIONAL = {
    "curriculum": {"choice": ["all", "last_k"]},
    "curriculum.k": {"int": [4, 8], "step": 2, "when": {"curriculum": "last_k"}},
    "value_head": {"choice": ["512->1", "512->64->1"]},
    "batch_size": {"choice": [64, 128], "when": {"curriculum.k": [4, 6]}},
}


def test_conditional_configurations_are_counted_as_by_hand() -> None:
    # all: 2 heads. last_k: k=4 and k=6 with 2 batch sizes, k=8 with none, each with 2 heads.
    assert space(CONDITIONAL).count == 2 + 2 * (2 + 2 + 1)


def test_a_float_makes_the_space_infinite() -> None:
    assert space({"value_weight": {"float": [0.5, 2.0]}}).count == math.inf


def test_dimensions_stand_after_what_they_depend_on() -> None:
    names = [dimension.name for dimension in space(dict(reversed(CONDITIONAL.items()))).dimensions]
    assert names.index("curriculum") < names.index("curriculum.k") < names.index("batch_size")


def test_values_make_a_trial_whole_sections_before_their_parts() -> None:
    trial = with_values(TrialConfig(), {"curriculum.k": 6, "curriculum": "last_k"})
    assert (trial.curriculum.name, trial.curriculum.k) == ("last_k", 6)
    trial = with_values(TrialConfig(), {"trunk.norm": "group", "trunk": "tiny"})
    assert (trial.trunk.channels, trial.trunk.norm) == ((8, 16), "group")


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"optimiser.lr": {"float": [0.1, 1.0]}}, "'lr' is not a setting of trial.optimiser"),
        ({"optimizer.momentum": {"choice": [0.9]}}, "did you mean 'optimiser'?"),
        ({"batch_size.x": {"choice": [1]}}, "trial.batch_size is a single value"),
        ({"readout": {"choice": ["bce", "bec"]}}, "unknown read-out 'bec'"),
        ({"value_weight": {"float": [-1.0, 1.0]}}, "must be above 0"),
        (
            {"batch_size": {"choice": [64], "when": {"trunc": "tiny"}}},
            "trunc: there is no such dimension",
        ),
    ],
)
def test_a_dimension_that_fits_no_setting_is_a_fault(search: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in problems(search))


def test_a_condition_on_a_value_that_does_not_exist_is_a_fault() -> None:
    search = {**CONDITIONAL, "curriculum.k": {"int": [4, 8], "when": {"curriculum": "last_n"}}}
    assert any("last_n' is not one of all, last_k" in problem for problem in problems(search))


def test_conditions_in_a_circle_are_a_fault() -> None:
    search = {
        "augment": {"choice": [True, False], "when": {"batch_size": 64}},
        "batch_size": {"choice": [64], "when": {"augment": True}},
    }
    assert "depend on each other in a circle: augment, batch_size" in problems(search)[0]


def test_heads_and_trunks_that_do_not_fit_are_named_in_their_combination() -> None:
    search = {
        "trunk": {"choice": ["tiny", {"preset": "tiny", "features": 256}]},
        "value_head": {"choice": ["512->1", "256->1"]},
    }
    found = problems(search)
    assert any("trunk=tiny, value_head=256->1" in problem for problem in found)
    assert all("set both to the same number" in problem for problem in found)


def test_heads_and_trunks_that_fit_in_pairs_by_condition_are_accepted() -> None:
    search = {
        "trunk": {"choice": ["tiny", "small"]},
        "value_head": {"choice": ["512->1", "512->8->1"], "when": {"trunk": "small"}},
    }
    assert space(search).count == 3


def test_batch_sizes_without_a_common_rung_are_a_fault() -> None:
    found = problems({"batch_size": {"choice": [255, 256]}}, scheduler={"grace_period": 20_000})
    assert "least common multiple" in found[0]
    assert position_unit(space({"batch_size": {"choice": [64, 256]}})) == 256


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"readout": "bce"}, "enqueue.0.readout: is not searched"),
        ({"value_head": "512->2->1"}, "is not one of"),
        ({"value_weight": 9.0}, "is outside of [0.5, 2.0]"),
        ({"batch_size": 64}, "its condition does not hold"),
    ],
)
def test_an_enqueued_configuration_outside_the_space_is_a_fault(
    entry: dict[str, Any], message: str
) -> None:
    search = {
        "value_head": {"choice": ["512->1", "512->4->1"]},
        "value_weight": {"float": [0.5, 2.0]},
        "batch_size": {"choice": [64], "when": {"value_head": "512->4->1"}},
    }
    assert any(message in problem for problem in problems(search, enqueue=[entry]))


def test_configurations_that_train_alike_are_one_variant() -> None:
    def key(**values: Any) -> str:
        return variant_key(build(TrialConfig, values, ""))

    assert key(value_head="512->64->1") == key(value_head={"family": "mlp", "widths": [64]})
    assert key(trunk="tiny") == key(
        trunk={"channels": [8, 16], "blocks": [1, 1], "strides": [1, 2], "stem_kernel": 3}
    )
    assert key(curriculum={"name": "all", "k": 4}) == key(curriculum={"name": "all", "k": 9})
    assert key(curriculum={"name": "last_k", "k": 5}) == key(curriculum={"name": "last_k", "k": 6})
    assert key(curriculum={"name": "last_k", "k": 4}) != key(curriculum={"name": "last_k", "k": 6})
    assert key(readout="bce") != key(readout="sigmoid_mse")


def test_auxiliary_weights_are_searched_and_count_only_where_they_act() -> None:
    config = StudyConfig.model_validate(
        {
            "question": "?",
            "search": {
                "auxiliary.ownership": {"float": [0.0, 0.5]},
                "auxiliary.future_stones.weight": {"choice": [0.0, 0.1]},
                "auxiliary.future_stones.plies": {
                    "choice": [4, 8],
                    "when": {"auxiliary.future_stones.weight": 0.1},
                },
            },
        }
    )
    space = build_space(config)
    chosen = {"auxiliary.ownership": 0.25, "auxiliary.future_stones.weight": 0.1}
    trial = space.resolve({**chosen, "auxiliary.future_stones.plies": 4})
    assert trial.auxiliary.weights == {"ownership": 0.25, "future_stones": 0.1}
    assert trial.auxiliary.future_stones.plies == 4

    def key(**auxiliary: Any) -> str:
        return variant_key(build(TrialConfig, {"auxiliary": auxiliary}, ""))

    assert key() == key(future_stones={"plies": 3})
    assert key(ownership=0.1) == key(ownership=0.1, future_stones={"plies": 3}) != key()


def test_faults_of_sections_and_dimensions_are_listed_together(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "question: x\n"
        "scheduler: {redution_factor: 3}\n"
        "search:\n"
        "  optimiser.lr: {float: [1e-3, 1e-2]}\n"
        "  readout: {choice: [bce, bec]}\n"
        "  batch_size: {choice: [64], when: {optimiser.lr: 1}}\n"
        "  augment: {chioce: [true]}\n"
        "  value_head: {choice: ['512->1', 256->1]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_space(path)
    text = str(caught.value)
    for fault in (
        "scheduler.redution_factor: unknown key; did you mean 'reduction_factor'?",
        "search.augment.chioce: unknown key; did you mean 'choice'?",
        "search.optimiser.lr: 'lr' is not a setting of trial.optimiser",
        "search.batch_size.when.optimiser.lr: there is no such dimension",
        "search.readout: 'bec': readout.name: unknown read-out 'bec'",
    ):
        assert fault in text
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)


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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"curriculum": "last_k", "curriculum.k": 11}, "not reached by steps of 2 from 10"),
        ({"curriculum": "last_k", "curriculum.k": 12.0}, "not a whole number; write 12"),
        ({"curriculum": "last_k", "curriculum.k": True}, "is not a number"),
        ({"curriculum": "all", "curriculum.k": 12}, "its condition does not hold"),
        ({"optimiser.learning_rate": True}, "is not a number"),
        ({"curriculum": "last"}, "is not one of all, last_k"),
        ({"curricullum": "all"}, "did you mean 'curriculum'?"),
    ],
    ids=str,
)
def test_one_check_says_why_a_configuration_is_none_of_a_space(
    values: dict[str, Any], said: str
) -> None:
    search = {
        "curriculum": {"choice": ["all", "last_k"]},
        "curriculum.k": {"int": [10, 40], "step": 2, "when": {"curriculum": "last_k"}},
        "optimiser.learning_rate": {"float": [1e-3, 1e-2]},
    }
    (problem,) = problems(search, enqueue=[values])
    assert problem.startswith("enqueue.0.") and said in problem


def test_a_wide_range_of_whole_numbers_takes_no_memory() -> None:
    space = build_space(study({"optimiser.ema_half_life": {"int": [0, 10**11]}}))
    assert len(space.dimensions[0].values()) == 10**11 + 1
