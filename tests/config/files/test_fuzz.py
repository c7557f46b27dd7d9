"""In damaged search spaces every fault is a ConfigError, and nothing takes long."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.config.files.yaml_text import dump_yaml, parse_yaml
from hexsearch.errors import ConfigError
from hexsearch.search.space_parsing import load_space
from tests.fuzzing import SHORT, for_minutes

SPACES = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))
TEXTS = [path.read_text() for path in SPACES]
SPLINTERS = (
    *("[", "]", "{", "}", ": ", "- ", "\n", "  ", "&a ", "*a", "<<: *a", "!!int ", "!!binary "),
    *(".inf", ".nan", "1e400", "-1", "0", "9" * 60, "1:30", "2024-02-30", "null", "~", "true"),
    *("'", '"', "#", "|", ">", "%YAML 1.1", "---", "...", "\t", "\x00", "\ufeff", "\u2028", "?"),
    *("when", "float", "int", "choice", "min", "max", "512->1", "a:B", "../x", "s3://x"),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["512->64->1", "tiny", "last_k", "bce", "named_heads", "10m", "1e400"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choice", "float", "int", "when", "preset", "x"]), inner)
    ),
    max_leaves=6,
)


def load(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_space(path)
    except ConfigError as error:
        assert error.problems and all(str(path) in problem for problem in error.problems)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 30))
        text = text[:start] + draw(st.sampled_from(SPLINTERS) | st.just("")) + text[end:]
    return text


@st.composite
def misplaced(draw: st.DrawFn) -> str:
    """A search space with a value of any kind in any place."""
    raw: Any = parse_yaml(draw(st.sampled_from(TEXTS)), "x")
    raw.setdefault("trial", {})
    raw.setdefault("enqueue", [])
    here = raw
    while isinstance(here, dict) and here and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(here)))
        if not isinstance(here[key], dict) or not here[key]:
            break
        here = here[key]
    here[draw(st.sampled_from([*sorted(here), "enqueue"]))] = draw(VALUES)
    return dump_yaml(raw)


SPACE_TEXT = damaged() | st.text(max_size=200) | misplaced()


@given(text=SPACE_TEXT)
@SHORT
def test_no_text_crashes_the_reader_of_search_spaces(tmp_path: Path, text: str) -> None:
    load(tmp_path / "space.yaml", text)


@pytest.mark.slow
def test_no_text_crashes_the_reader_of_search_spaces_for_minutes(tmp_path: Path) -> None:
    for_minutes("search spaces", partial(load, tmp_path / "space.yaml"), text=SPACE_TEXT)
