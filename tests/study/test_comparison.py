from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hexsearch.backend.shared_runs import SharedJob
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.ledger.ledger import Ledger, without_times
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.study.book import Book
from hexsearch.study.comparison import contenders, heads_of
from tests.search.simulation import OPENED, report

HEADS = ["512->1", "512->32->1"]


def space(search: dict[str, Any], **trial: Any) -> SearchSpace:
    raw = {"question": "?", "trial": {"trunk": "tiny", **trial}, "search": search}
    return build_space(build(StudyConfig, raw, ""))


def job(dataset: Dataset, folder: Path, **changes: Any) -> SharedJob:
    heads = contenders(heads_of(space({"value_head": {"choice": HEADS}}, batch_size=64)))
    archive = folder / "games.archive"
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_archive(archive, dataset.archive)
    fields: dict[str, Any] = {
        "name": "seed 1",
        "folder": str(folder / "seeds" / "s00"),
        "trials": ("t0000", "t0001"),
        "trial_folders": (str(folder / "trials" / "t0000"), str(folder / "trials" / "t0001")),
        "configs": tuple(config.model_dump(mode="json") for _, config in heads),
        "archive": str(archive),
        "archive_hash": dataset.archive.content_hash,
        "data": dataset.config.model_dump(mode="json"),
        "seed": 5,
        "mode": "joint",
        "report_points": (128, 256),
        "threads": 1,
        "gpus": 0.0,
        **changes,
    }
    return SharedJob(**fields)


def plain(messages: list[dict[str, Any]]) -> Any:
    return [without_times(message) for message in json.loads(json.dumps(messages))]


def test_all_heads_and_readouts_of_a_space_compete_and_nothing_else_of_it() -> None:
    searched = space(
        {
            "value_head": {"choice": [*HEADS, "512->1"]},
            "readout": {"choice": ["bce", "tanh_mse"]},
            "optimiser.learning_rate": {"float": [1e-3, 1e-2]},
        },
        optimiser={"learning_rate": 4e-3},
    )
    found = contenders(heads_of(searched))
    assert [(config.value_head.name, config.readout.name) for _, config in found] == [
        ("512->1", "bce"),
        ("512->1", "tanh_mse"),
        ("512->32->1", "bce"),
        ("512->32->1", "tanh_mse"),
    ]
    assert {config.optimiser.learning_rate for _, config in found} == {4e-3}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"batch_size": {"choice": [32, 64]}}, "a comparison compares value heads"),
        ({"value_head.dropout": {"float": [0.0, 0.5]}}, "a float has no end of them"),
        (
            {
                "batch_size": {"choice": [32, 64]},
                "value_head": {"choice": HEADS, "when": {"batch_size": 32}},
            },
            "depends on batch_size, which a comparison does not search; fix it with --set",
        ),
    ],
)
def test_a_space_without_an_end_of_heads_is_refused_in_a_line(
    search: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        heads_of(space(search))
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_a_seed_that_is_cut_off_goes_on_from_its_checkpoint_to_the_same_reports(
    dataset: Dataset, tmp_path: Path
) -> None:
    straight = job(dataset, tmp_path / "straight").open()
    first, second = straight.advance(), straight.advance()
    assert straight.finished
    cut = job(dataset, tmp_path / "cut")
    cut.open().advance()
    again = cut.open()
    assert not again.finished
    assert plain(again.advance()) == plain(first)  # the driver may not have heard it
    assert plain(again.advance()) == plain(second)
    assert again.finished
    for name in ("t0000", "t0001"):
        one, other = (
            read_game_losses(tmp_path / kind / "trials" / name, 256) for kind in ("straight", "cut")
        )
        assert one is not None and other is not None
        assert (one.sums == other.sums).all()


def test_each_head_leaves_a_checkpoint_that_answers_as_it_was_judged(
    dataset: Dataset, tmp_path: Path
) -> None:
    from hexsearch.analysis.loading import load_network

    runner = job(dataset, tmp_path).open()
    runner.advance()
    last = runner.advance()
    for message, name in zip(last, ("t0000", "t0001"), strict=True):
        loaded = load_network(tmp_path / "trials" / name / "checkpoint.pt")
        assert loaded.recorded_value_loss == message["report"]["value_loss"]
        assert loaded.positions_seen == 256


def test_a_divergence_is_every_heads_failure_on_that_trunk(
    dataset: Dataset, tmp_path: Path
) -> None:
    wild = {"learning_rate": 1e30, "name": "sgd", "clip": 1e30}
    searched = space(
        {"value_head": {"choice": HEADS}},
        batch_size=64,
        optimiser=wild,
    )
    configs = tuple(config.model_dump(mode="json") for _, config in contenders(heads_of(searched)))
    for config in configs:
        config["trunk"]["norm"] = "none"
    runner = job(dataset, tmp_path, configs=configs, report_points=(512,)).open()
    messages = runner.advance()
    assert runner.finished
    assert [message["trial"] for message in messages] == ["t0000", "t0001"]
    assert all(message["failure"].startswith("nan: training loss") for message in messages)


def book(path: Path) -> Book:
    ledger = Ledger(path, clock=lambda: 0.0)
    OPENED.append(ledger)
    return Book(ledger, budget=256)


def test_a_book_takes_each_report_once_and_ends_a_run_at_its_budget(tmp_path: Path) -> None:
    config = build_space(build(StudyConfig, {"question": "?"}, "")).default
    kept = book(tmp_path / "ledger.jsonl")
    name = kept.plan(config, 0, 7, "compare", {})
    kept.start(name)
    for positions in (128, 128, 256, 256):
        kept.report(name, report(positions, 0.2))
    assert kept.history.trials[name].status == "completed"
    assert len(kept.history.trials[name].curve) == 2
    lost = kept.plan(config, 1, 8, "compare", {})
    kept.fail(lost, "its worker process died")
    assert kept.history.trials[lost].status == "failed"


def test_a_run_whose_end_a_crash_left_out_is_ended_when_the_book_is_opened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    config = build_space(build(StudyConfig, {"question": "?"}, "")).default
    torn = book(path)
    name = torn.plan(config, 0, 7, "compare", {})
    torn.record("reported", trial=name, report=report(256, 0.2))
    OPENED.pop().close()
    assert book(path).history.trials[name].status == "completed"


def test_jobs_travel_as_plain_values(dataset: Dataset, tmp_path: Path) -> None:
    sent = job(dataset, tmp_path)
    assert json.loads(json.dumps(asdict(sent)))["name"] == "seed 1"
    assert build(DataConfig, sent.data, "data") == dataset.config
