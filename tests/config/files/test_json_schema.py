from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.files.json_schema import study_schema
from hexsearch.config.files.load import read_study

jsonschema = pytest.importorskip("jsonschema")
SPACES = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))


def faults(raw: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(study_schema())
    return [error.message for error in validator.iter_errors({"question": "?", **raw})]


def test_the_schema_is_one() -> None:
    meta_schema = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    assert list(meta_schema.iter_errors(study_schema())) == []


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_spaces_satisfy_it_with_their_short_forms_and_durations(path: Path) -> None:
    assert faults(read_study(path)) == []


@pytest.mark.parametrize(
    "raw",
    [
        {"trial": {"trunk": "smal"}},
        {"trial": {"batchsize": 64}},
        {"search": {"optimiser.lr": {"float": [1e-3, 1e-2]}}},
        {"search": {"value_head": "named_head"}},
        {"search": {"readout": {"choice": ["bce"], "float": [0.1, 1.0]}}},
        {"scheduler": {"name": "asha", "redution_factor": 3}},
        {"run": {"time_budget": "soon"}},
    ],
    ids=str,
)
def test_a_mistake_is_seen_while_typing(raw: dict[str, Any]) -> None:
    assert faults(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"search": {"value_head": "named_heads"}},
        {"search": {"value_head": {"preset": "named_heads", "when": {"trunk": "small"}}}},
        {"run": {"time_budget": "10m"}},
        {"trial": {"value_head": {"spelling": "512->64->1", "dropout": 0.1}}},
    ],
    ids=str,
)
def test_what_loads_is_accepted(raw: dict[str, Any]) -> None:
    assert faults(raw) == []
