from __future__ import annotations

from pathlib import Path
from typing import Any

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.history import SEARCHED, StudyHistory
from hexsearch.ledger.place import Place
from hexsearch.search.reruns import Batch, LeaderSummary
from hexsearch.study.confirmation import confirmation_batch
from tests.search.simulation import make_engine, run_serially, study_config


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
    batch = confirmation_batch(settings, history, leader_summary(history, order, tied))
    return list(batch.runs)


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


def test_fresh_seeds_are_none_that_the_search_has_seen(tmp_path: Path) -> None:
    settings = config()

    def planner(history: StudyHistory) -> Batch:
        found = leader_summary(history.only(SEARCHED), ["512->64->1"], 1)
        return confirmation_batch(settings, history, found)

    engine = make_engine(tmp_path / "ledger.jsonl", settings, planner=planner)
    run_serially(engine)
    assert engine.is_finished
    trials = engine.history.trials.values()
    searched = {trial.seed for trial in trials if trial.phase == "search"}
    fresh = {trial.seed for trial in trials if trial.phase == "confirm"}
    assert len(fresh) == 2 and not fresh & searched


def test_a_sole_winner_that_is_the_baseline_stands_alone(tmp_path: Path) -> None:
    runs = planned(tmp_path, config(), ["512->1", "512->32->1"], tied=1)
    assert [(run.head, run.origin) for run in runs] == [("512->1", "winner")] * 2


def test_what_is_planned_already_is_not_planned_again(tmp_path: Path) -> None:
    settings = config()
    chosen = ["512->64->1"]

    def planner(history: StudyHistory) -> Batch:
        found = leader_summary(history.only(SEARCHED), chosen, 1)
        return confirmation_batch(settings, history, found)

    for head in ("512->64->1", "512->64->1", "512->32->1"):
        chosen[0] = head
        engine = make_engine(tmp_path / "ledger.jsonl", settings, planner=planner)
        run_serially(engine)
        engine.ledger.close()
    confirmed = engine.history.only({"confirm"}).trials.values()
    heads = [trial.head for trial in confirmed]
    assert heads == ["512->64->1", "512->1"] * 2 + ["512->32->1"] * 2
    names = [event.places[0].name for event in engine.history.chosen]
    assert names == ["512->64->1", "512->32->1"]


def test_a_crash_after_the_choice_does_not_choose_again(tmp_path: Path) -> None:
    settings = config()
    history = searched(tmp_path, settings)
    summary = leader_summary(history, ["512->64->1"], 1)
    batch = confirmation_batch(settings, history, summary)
    assert batch.note is not None
    history.apply(batch.note)
    again = confirmation_batch(settings, history, summary)
    assert again.note is None and again.runs == batch.runs


def test_without_a_finished_trial_there_is_nothing_to_confirm(tmp_path: Path) -> None:
    settings = config()
    history = searched(tmp_path, settings)
    assert not confirmation_batch(settings, history, LeaderSummary((), 0))
