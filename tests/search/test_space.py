"""Search spaces: their conditions, faults, values and variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError
from hexsearch.search.space import position_unit, variant_key, with_values
from hexsearch.search.space_parsing import build_space, load_space
from tests.search.spaces import CONDITIONAL, problems, space


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


def test_a_misspelt_key_brings_no_faults_of_combinations_after_it(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(
        "question: A?\n"
        "trial: {trunk: tiny, curiculum: all, value_head: 16->1}\n"
        "search: {value_head: {choice: [16->1, 16->8->1]}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_space(path)
    assert caught.value.problems == [
        f"{path}: trial.curiculum: unknown key; did you mean 'curriculum'?"
    ]
