from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexsearch.backend.confirmation_run import ConfirmationJob
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import all_positions
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger, read_ledger
from hexsearch.search.reruns import LeaderSummary, Place
from hexsearch.study.book import Book
from hexsearch.study.confirmation import _plan, is_confirmed
from hexsearch.training.trial import Trial
from tests.search.simulation import OPENED, make_engine, run_serially, study_config
from tests.training.trials import make


def config(**confirm: Any) -> StudyConfig:
    return study_config(
        search={"value_head": {"choice": ["512->1", "512->32->1", "512->64->1"]}},
        run={"trials": 3},
        scheduler={"name": "none", "grace_period": 64, "max_t": 128},
        phases=["search", "confirm"],
        confirm={"winners": 2, "seeds": 2, **confirm},
    )


def searched(path: Path, settings: StudyConfig) -> StudyHistory:
    engine = make_engine(path / "ledger.jsonl", settings)
    run_serially(engine)
    engine.ledger.close()
    return engine.history


def leader_summary(history: StudyHistory, heads: list[str], tied: int) -> LeaderSummary:
    variants = {trial.head: trial.variant for trial in history.trials.values()}
    return LeaderSummary(tuple(Place(variants[head], head, 0.2, 0.2, 1) for head in heads), tied)


def planned(path: Path, settings: StudyConfig, order: list[str], tied: int) -> list[Any]:
    history = searched(path, settings)
    ledger = Ledger(path / "confirm.jsonl", clock=lambda: 0.0)
    OPENED.append(ledger)
    book = Book(ledger, 128, letter="c")
    _plan(settings, leader_summary(history, order, tied), history, book)
    return list(book.history.trials.values())


def test_winners_that_are_tied_and_the_baseline_get_fresh_seeds(tmp_path: Path) -> None:
    settings = config()
    runs = planned(tmp_path, settings, ["512->64->1", "512->32->1", "512->1"], tied=3)
    assert [(run.head, run.origin, run.replicate) for run in runs] == [
        ("512->64->1", "winner", 0),
        ("512->32->1", "winner", 0),
        ("512->1", "baseline", 0),
        ("512->64->1", "winner", 1),
        ("512->32->1", "winner", 1),
        ("512->1", "baseline", 1),
    ]
    seeds = {trial.seed for trial in searched(tmp_path / "again", settings).trials.values()}
    assert len({run.seed for run in runs}) == 2 and not seeds & {run.seed for run in runs}


def test_a_sole_winner_that_is_the_baseline_stands_alone(tmp_path: Path) -> None:
    runs = planned(tmp_path, config(), ["512->1", "512->32->1"], tied=1)
    assert [(run.head, run.origin) for run in runs] == [("512->1", "winner")] * 2


def test_what_is_planned_already_is_not_planned_again(tmp_path: Path) -> None:
    settings = config()
    history = searched(tmp_path, settings)
    ledger = Ledger(tmp_path / "confirm.jsonl", clock=lambda: 0.0)
    OPENED.append(ledger)
    book = Book(ledger, 128, letter="c")
    one, other = (leader_summary(history, [head], 1) for head in ("512->64->1", "512->32->1"))
    for told in (one, one, other):
        _plan(settings, told, history, book)
    heads = [run.head for run in book.history.trials.values()]
    assert heads == ["512->64->1", "512->1"] * 2 + ["512->32->1"] * 2
    chosen = [record for record in ledger.records if record["event"] == "chosen"]
    assert [record["places"][0]["name"] for record in chosen] == ["512->64->1", "512->32->1"]


def job(dataset: Dataset, folder: Path) -> ConfirmationJob:
    archive = folder / "games.archive"
    if not archive.exists():
        write_archive(archive, dataset.archive)
    return ConfirmationJob(
        name="c0000",
        folder=str(folder / "c0000"),
        config=make(dataset).config.model_dump(mode="json"),
        archive=str(archive),
        archive_hash=dataset.archive.content_hash,
        data=dataset.config.model_dump(mode="json"),
        seed=7,
        save_points=(64, 128, 192),
        threads=1,
        gpus=0.0,
    )


def test_a_run_says_nothing_before_its_end_and_is_then_judged_on_test_games_alone(
    dataset: Dataset, tmp_path: Path
) -> None:
    runner = job(dataset, tmp_path).open()
    assert [runner.advance(), runner.advance(), runner.finished] == [[], [], False]
    (message,) = runner.advance()
    assert runner.finished
    report = message["report"]
    test = dataset.games("test")
    positions = all_positions(dataset.archive, test)
    losses = read_game_losses(tmp_path / "c0000", 192)
    assert losses is not None
    assert set(losses.games.tolist()) == set(test.tolist())
    assert not set(losses.games.tolist()) & set(dataset.validation_games.tolist())
    assert report["positions"] == len(positions)
    mean = float(losses.sums.sum() / losses.counts.sum())
    assert math.isclose(report["value_loss"], mean, abs_tol=1e-6)
    straight: Trial = make(dataset, seed=7, max_positions=192)
    straight.train_to(192)
    assert math.isclose(report["validation_loss"], straight.report().value_loss, abs_tol=1e-12)


@pytest.mark.parametrize("stops", [1, 2, 3])
def test_a_run_that_was_interrupted_reports_what_it_would_have(
    dataset: Dataset, tmp_path: Path, stops: int
) -> None:
    def last(folder: Path, interrupted: int) -> dict[str, Any]:
        folder.mkdir()
        runner, messages = job(dataset, folder).open(), []
        for _ in range(interrupted):
            runner.advance()
        runner = job(dataset, folder).open()
        while not runner.finished:
            messages += runner.advance()
        report: dict[str, Any] = messages[-1]["report"]
        return {k: v for k, v in report.items() if k not in ("timings", "microseconds")}

    assert last(tmp_path / "stopped", stops) == last(tmp_path / "straight", 0)


def test_a_run_that_diverges_is_a_failure_and_not_a_crash(dataset: Dataset, tmp_path: Path) -> None:
    runner = job(dataset, tmp_path).open()
    with np.errstate(all="ignore"):
        next(runner._trial.network.parameters()).data.fill_(math.nan)
        (message,) = runner.advance()
    assert "not finite" in message["failure"] and runner.finished


def test_a_study_is_confirmed_once_its_last_stage_has_ended(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert not is_confirmed(folder)
    ledger = Ledger(folder.confirmation.ledger, clock=lambda: 0.0)
    OPENED.append(ledger)
    book = Book(ledger, 128)
    book.record("study", trials=0, baselines=[], warnings=[])
    assert not is_confirmed(folder)
    assert book.close() == "finished"
    assert is_confirmed(folder)
    assert read_ledger(ledger.path)[-1]["event"] == "finished"
