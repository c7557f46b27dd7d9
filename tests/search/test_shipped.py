from __future__ import annotations

import re
from pathlib import Path

import pytest

from hexsearch.config.files.json_schema import study_schema
from hexsearch.config.files.yaml_text import parse_yaml
from hexsearch.errors import ConfigError
from hexsearch.search.shipped import find_space, shipped_folder, shipped_spaces


def test_a_shipped_space_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_space("quick") == shipped_folder() / "quick.yaml"
    assert find_space("quick").is_file()


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").write_text("question: mine")
    assert find_space("quick") == Path("quick")


@pytest.mark.parametrize("path", ["missing.yaml", "folder/quick"])
def test_what_looks_like_a_path_is_one(path: str) -> None:
    assert find_space(path) == Path(path)


def test_a_name_that_is_nearly_one_is_refused_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"quik: neither a file nor .* did you mean 'quick'"):
        find_space("quik")


@pytest.mark.parametrize("path", shipped_spaces().values(), ids=lambda path: path.stem)
def test_a_shipped_space_begins_with_its_question_and_names_the_schema(path: Path) -> None:
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    question = re.fullmatch(r"# Question: (.*)", first)
    assert question is not None
    assert second == "# yaml-language-server: $schema=schema.json"


def test_the_schema_beside_the_spaces_is_the_one_of_this_version() -> None:
    stored = parse_yaml((shipped_folder() / "schema.json").read_text(), "schema.json")
    assert stored == study_schema(), (
        "python run_search.py schema > search_spaces/schema.json writes it anew"
    )
