"""Every number and every list of the configuration has a bound, and its message states it."""

from __future__ import annotations

from typing import Any, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from hexsearch.config.section import Section, build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError


def sections(section: type[Section]) -> dict[str, type[Section]]:
    """Every section of the configuration by its name."""
    found = {section.__name__: section}

    def walk(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            if annotation.__name__ not in found:
                found.update(sections(annotation))
        for inner in get_args(annotation):
            walk(inner)

    for field in section.model_fields.values():
        walk(field.annotation)
    return found


FIELDS = [
    pytest.param(field, id=f"{name}.{key}")
    for name, section in sections(StudyConfig).items()
    for key, field in section.model_fields.items()
]


def kinds(annotation: Any) -> set[Any]:
    """The plain types that a field may hold."""
    if get_origin(annotation) is None:
        return {annotation}
    if str(get_origin(annotation)) in ("typing.Literal",):
        return set()
    if get_origin(annotation) in (list, tuple, dict):
        return {get_origin(annotation)}
    return {kind for inner in get_args(annotation) for kind in kinds(inner)}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_says_what_it_is_and_has_an_end(field: FieldInfo) -> None:
    assert field.description
    bounds = {type(part) for part in field.metadata}
    held = kinds(field.annotation)
    schemas = [part.json_schema for part in field.metadata if isinstance(part, WithJsonSchema)]
    if schemas:  # the bounds of a field with a validator of its own
        assert schemas[0] is not None
        numbers = [kind for kind in schemas[0]["anyOf"] if kind["type"] in ("integer", "number")]
        assert numbers and all({"minimum", "maximum"} <= set(kind) for kind in numbers)
    elif {int, float} & held:
        assert {Ge, Gt} & bounds and {Le, Lt} & bounds
    # The two lists of a dimension are held to two entries by their validator.
    if {str, list, tuple} & held and field.alias not in ("float", "int"):
        assert MaxLen in bounds


def problems(**raw: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(StudyConfig, {"question": "?", **raw}, "space.yaml: ")
    return caught.value.problems


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"run": {"trials": 10**26}}, "run.trials: must be at most 100,000"),
        ({"run": {"seed": 10**23}}, "run.seed: must be below"),
        ({"run": {"time_budget": float("inf")}}, "run.time_budget: must be a finite number"),
        ({"run": {"gpus_per_trial": 1.5}}, "above 1, only whole GPUs"),
        ({"run": {"gpus_per_trial": 0.001}}, "smallest share"),
        ({"run": {"gpus_per_trial": -1}}, "run.gpus_per_trial: expected auto or a number of GPUs"),
        ({"run": {"gpus_per_trial": "all"}}, "from 0 to 1,024, got 'all'"),
        ({"run": {"gpus_per_trial": float("nan")}}, "from 0 to 1,024, got nan"),
        ({"run": {"gpus_per_trial": True}}, "from 0 to 1,024, got true"),
        ({"run": {"cpus_per_trial": 0}}, "run.cpus_per_trial: expected auto or a whole number"),
        ({"run": {"cpus_per_trial": 1.5}}, "from 1 to 4,096, got 1.5"),
        ({"trial": {"value_head": f"512->{'9' * 11}->1"}}, "is not a value head"),
        ({"trial": {"trunk": {"channels": [9000] * 4}}}, "every entry must be at most 8,192"),
        ({"trial": {"trunk": {"channels": [1] * 99}}}, "at most 16 entries"),
        ({"trial": {"optimiser": {"learning_rate": float("nan")}}}, "must be a finite number"),
        (
            {"trial": {"value_head": {"family": "a:B", "options": {"x": float("inf")}}}},
            "trial.value_head.options.x: inf is not finite",
        ),
        ({"search": {"batch_size": {"choice": [float("inf")]}}}, "choice.0: inf is not finite"),
        ({"search": {"augment": {"choice": [True, True]}}}, "holds true twice"),
        ({"search": {"batch_size": {"int": [10, 41], "step": 7}}}, "end at 38, not at 41"),
        ({"enqueue": [{"batch_size": 10**30}]}, "enqueue.0.batch_size: a whole number of 31"),
        ({"scheduler": {"report_every": 1}}, "reports for each trial"),
    ],
    ids=str,
)
def test_what_has_no_end_is_refused_with_its_path(raw: dict[str, Any], said: str) -> None:
    (problem,) = problems(**raw)
    assert said in problem and len(problem) < 300


def test_a_network_is_measured_before_it_is_built() -> None:
    trunk = {"channels": [8000] * 16, "blocks": [200] * 16, "strides": [1] * 16}
    (problem,) = problems(trial={"trunk": trunk})
    assert "the network would have about" in problem


def test_the_estimate_of_parameters_is_that_of_the_built_network() -> None:
    from hexsearch.model.network import build_network

    for trunk in ("tiny", "small", "resnet18", {"preset": "small", "block": "bottleneck"}):
        config = build(TrialConfig, {"trunk": trunk}, "trial")
        built = sum(p.numel() for p in build_network(config, 3, 15, seed=0).trunk.parameters())
        assert 0.7 * built < config.trunk.estimated_parameters < 1.4 * built


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ({"min": 0.001, "max": 0.1}, "{float: [0.001, 0.1]}"),
        ({"values": ["a", "b"]}, "{choice: [a, b]}"),
        (
            {"distribution": "log_uniform_values", "min": 1.0e-4, "max": 0.1},
            "{float: [0.0001, 0.1], log: true}",
        ),
        ({"type": "int", "low": 2, "high": 8, "step": 2}, "{int: [2, 8], step: 2}"),
        ({"type": "float", "low": 2, "high": 8}, "{float: [2, 8]}"),
        ({"loguniform": [0.1, 1.0]}, "{float: [0.1, 1.0], log: true}"),
        ({"value": 3}, "write the value 3 under trial"),
    ],
    ids=str,
)
def test_other_tools_words_are_translated(raw: dict[str, Any], meant: str) -> None:
    (problem,) = problems(search={"value_weight": raw})
    assert problem.startswith("space.yaml: search.value_weight: ") and meant in problem


def test_unknown_keys_are_suggested_as_they_are_written_in_yaml() -> None:
    (problem,) = problems(search={"value_weight": {"float_": [0.1, 1.0]}})
    assert "did you mean 'float'?" in problem
    (problem,) = problems(method="bayes")
    assert "here it is called searcher.name" in problem
