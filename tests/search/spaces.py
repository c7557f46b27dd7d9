"""Search spaces of studies, or their faults, from sections as in YAML."""

from __future__ import annotations

from typing import Any

import pytest

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space


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
