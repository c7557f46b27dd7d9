"""Every setting of a study, with values of every other kind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import study_config

SEARCH = {
    "value_head": {"choice": ["512->1", "512->32->1"]},
    "optimiser.learning_rate": {"float": [1e-3, 1e-2], "log": True},
}
Path = tuple[str | int, ...]


def settings(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all settings and of all sections."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, part in enumerate(value) if isinstance(value, list) else inner:
        yield from settings(part, (*path, key))


@pytest.mark.parametrize(
    "value", [None, [], {}, [["tiny"]], {"preset": ["tiny"]}, {1: 2}, "\x00", 10**30], ids=repr
)
def test_a_value_of_another_kind_is_accepted_or_refused_in_typed_words(value: Any) -> None:
    whole = study_config(search=SEARCH).model_dump(mode="json", by_alias=True)
    for path in settings(whole):
        raw = copy.deepcopy(whole)
        section: Any = raw
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        try:
            build_space(build(StudyConfig, raw, "space.yaml: "), "space.yaml: ")
        except ConfigError as error:
            assert all(problem.startswith("space.yaml: ") for problem in error.problems), path
