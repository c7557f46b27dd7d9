"""YAML within limits: every fault has a line or a path, and no text takes much time or memory."""

from __future__ import annotations

import pytest

from hexsearch.config.files.yaml_text import dump_yaml, parse_yaml
from hexsearch.errors import ConfigError


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "space.yaml")
    (problem,) = caught.value.problems
    return problem


def test_merge_keys_lay_a_mapping_under_another() -> None:
    text = "base: &b {a: 1, b: 2}\nother: {<<: *b, b: 3}\nboth: {<<: [{a: 5}, *b], c: 4}\n"
    value = parse_yaml(text, "x")
    assert value["other"] == {"a": 1, "b": 3}
    assert value["both"] == {"a": 5, "b": 2, "c": 4}


def test_what_yaml_1_1_takes_for_dates_and_octals_is_what_it_looks_like() -> None:
    assert parse_yaml("[2024-02-30, 1:30, 010, 0x10, 0o17, -3, 1_000]", "x") == [
        "2024-02-30",
        "1:30",
        10,
        16,
        15,
        -3,
        1000,
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  " + "[" * 3000 + "]" * 3000, "line 2: more than 40 levels"),
        ("a: " + "9" * 5000, "line 1: a whole number of 5,000 digits"),
        ("<<: 3", "'<<' merges mappings"),
        ("a: &a [*a]", "alias that contains itself"),
        ("a: !!int x", "'x' is not a whole number"),
        ("a: !!float x", "line 1: the value does not fit its tag"),
        ("b: 1\na: !!bool maybe", "line 2: the value does not fit its tag"),
        ("a: !!timestamp soon", "does not fit its tag"),
        ("a: !!float ''", "does not fit its tag"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("{1: 2}", "key 1 is not text"),
        ("a: b: c", "line 1"),
    ],
)
def test_a_fault_is_one_line_with_its_place(text: str, said: str) -> None:
    problem = fault(text)
    assert said in problem and "\n" not in problem and problem.startswith("space.yaml")


def test_aliases_that_would_fill_the_memory_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 30):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    assert "after expanding every alias" in fault("\n".join(lines))


def test_a_file_that_is_too_large_is_refused_by_its_size() -> None:
    assert "characters; " in fault("a: " + "x" * 2_000_000)


@pytest.mark.parametrize("text", ["1e3", "0o7", "true", "2024-01-01", "1:30", "010", "<<", "~", ""])
def test_text_that_looks_like_something_else_survives_being_written(text: str) -> None:
    assert parse_yaml(dump_yaml({"a": text, "b": [text]}), "x") == {"a": text, "b": [text]}
