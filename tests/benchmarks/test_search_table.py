"""Tables of kept replays."""

from __future__ import annotations

import gzip
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("search_table")


def known(table: Any, gap: float, seeds: int = 20) -> Any:
    rng = np.random.default_rng(0)
    replays = []
    for seed in range(seeds):
        ours = 0.01 + 0.001 * rng.random(len(table.BUDGETS))
        other = ours + gap + 0.0005 * rng.normal(size=len(table.BUDGETS))
        for name, regrets in (("ours", ours), ("other", other)):
            replays.append(
                table.Replayed("power", 4, name, seed, tuple(regrets), "untried", "ended")
            )
    return table.by_cell(replays)


@pytest.mark.parametrize("gap, expected", [(0.01, (5, 0)), (-0.005, (0, 5)), (0.0, (0, 0))])
def test_only_differences_beyond_the_noise_of_seeds_are_counted(
    table: Any, gap: float, expected: tuple[int, int]
) -> None:
    first, *_ = table.tables(known(table, gap), "ours")
    better, worse = expected
    assert f"ours is better in {better} and worse in {worse}" in first


def test_seeds_that_only_one_searcher_has_are_not_compared(table: Any) -> None:
    cells = known(table, 0.01)
    del cells["power", 4, "other"][3]
    assert {one.seeds for one in table.compared(cells, "ours")} == {19}


def test_too_few_common_seeds_give_no_table(table: Any) -> None:
    assert list(table.tables(known(table, 0.01, seeds=3), "ours")) == [
        "no two searchers have enough seeds in common for a comparison"
    ]


def test_a_later_file_replaces_replays_of_a_packed_one(table: Any, tmp_path: Path) -> None:
    packed, own = tmp_path / "replays.jsonl.gz", tmp_path / "own.jsonl"
    replays = [one for cell in known(table, 0.01).values() for one in cell.values()]
    lines = [json.dumps(one.to_json()) + "\n" for one in replays]
    packed.write_bytes(gzip.compress("".join(lines).encode()))
    better = [replace(one, regrets=(0.0,) * 5) for one in replays if one.searcher == "other"]
    own.write_text("".join(json.dumps(one.to_json()) + "\n" for one in better))
    found = table.by_cell(one for path in (packed, own) for one in table.load(path))
    assert len(found["power", 4, "ours"]) == 20
    assert found["power", 4, "other"][0].regrets == (0.0,) * 5


def test_a_packed_file_that_was_cut_off_is_named(table: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"set": "power"}\n' * 50)[:-12])
    with pytest.raises(SystemExit, match=r"cut.jsonl.gz: no whole file"):
        table.load(path)
