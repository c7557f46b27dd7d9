"""The phases of a study as batches of the engine, without Ray and without networks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.ledger.events import Record
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import read_ledger, without_times
from hexsearch.ledger.place import Place
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine, Job
from hexsearch.search.reruns import LeaderSummary
from hexsearch.search.space_parsing import build_space
from hexsearch.study.phases import PhasePlanner
from tests.search.simulation import (
    curve,
    make_engine,
    next_trial,
    revalued,
    run_serially,
    study_config,
)

PHASES: dict[str, Any] = {
    "phases": ["search", "pruning_check", "race"],
    "pruning_check": {"share": 0.3},
    "race": {"runs": 5, "seeds": 3},
}
BUDGET = 1728


def by_loss(history: StudyHistory) -> LeaderSummary:
    """Every completed variant is tied with the best that is within 0.02 of it."""
    losses: dict[str, list[float]] = {}
    for trial in history.trials.values():
        if trial.status == "completed":
            losses.setdefault(trial.variant, []).append(trial.value_loss or 0.0)
    means = sorted((sum(known) / len(known), variant) for variant, known in losses.items())
    places = tuple(Place(v, v, mean, mean, len(losses[v])) for mean, v in means)
    return LeaderSummary(places, sum(mean < means[0][0] + 0.02 for mean, _ in means))


def planner(config: StudyConfig, path: Path) -> PhasePlanner:
    """One that looks at the ledger alone: a simulated trial leaves no per-game losses."""
    return PhasePlanner(
        config, build_space(config), StudyFolder(path), lambda history, folder: by_loss(history)
    )


def engine_with_phases(path: Path, **sections: Any) -> Engine:
    config = study_config(**{**PHASES, **sections})
    return make_engine(path, config, planner=planner(config, path.parent))


def finished(path: Path, **sections: Any) -> Engine:
    engine = engine_with_phases(path, **sections)
    run_serially(engine)
    assert engine.is_finished
    engine.ledger.close()
    return engine


def story(path: Path) -> list[Record]:
    kept = ("suggested", "reported", "decided", "told", "failed")
    return [without_times(record) for record in read_ledger(path) if record["event"] in kept]


def test_reruns_reach_the_full_budget_whatever_their_value_loss(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl").history
    reruns = [trial for trial in history.trials.values() if trial.is_rerun]
    assert {trial.origin for trial in reruns} == {"pruning_check", "race"}
    assert {(trial.status, trial.positions_seen) for trial in reruns} == {("completed", BUDGET)}
    assert history.searched == 12 < len(history.trials)


def test_the_search_proposes_the_same_with_and_without_later_stages(tmp_path: Path) -> None:
    plain = make_engine(tmp_path / "plain.jsonl", study_config())
    run_serially(plain)
    plain.ledger.close()
    finished(tmp_path / "stages.jsonl")
    alone = story(tmp_path / "plain.jsonl")
    assert story(tmp_path / "stages.jsonl")[: len(alone)] == alone


def test_a_study_that_is_extended_after_its_race_searches_on_as_if_there_had_been_none(
    tmp_path: Path,
) -> None:
    engine = finished(tmp_path / "ledger.jsonl")
    longer = study_config(**PHASES, run={"trials": 16})
    more = make_engine(tmp_path / "ledger.jsonl", longer)
    run_serially(more)
    more.ledger.close()
    straight = make_engine(tmp_path / "straight.jsonl", longer)
    run_serially(straight)
    straight.ledger.close()

    def values(history: StudyHistory) -> list[Any]:
        return [trial.values for trial in history.trials.values() if not trial.is_rerun]

    assert values(more.history) == values(straight.history)
    assert more.history.searched == 16 and engine.history.searched == 12


@pytest.mark.slow  # the study of every phase, further below, is cut in the same way
def test_cut_after_any_record_and_resumed_plans_the_same_reruns(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    finished(whole)
    expected = story(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b'"missing"' in line)
    for cut in range(first - 1, len(lines)):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        run_serially(engine := engine_with_phases(path))
        engine.ledger.close()
        assert story(path) == expected, f"cut after record {cut}"


def test_a_race_gives_its_seeds_to_the_tied_alone_and_keeps_to_its_budget(tmp_path: Path) -> None:
    engine = finished(tmp_path / "ledger.jsonl")
    history = engine.history
    race = [trial for trial in history.trials.values() if trial.origin == "race"]
    assert 1 < len(race) <= 5
    summary = by_loss(history)
    losers = {place.variant for place in summary.places[summary.tied :]}
    assert not losers & {trial.variant for trial in race}
    completed = Counter(
        trial.variant for trial in history.trials.values() if trial.status == "completed"
    )
    assert max(completed.values()) <= 3


def test_replicates_of_a_race_share_their_seeds_across_variants(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl", race={"runs": 9, "seeds": 3}).history
    seeds: dict[int, set[int]] = {}
    for trial in history.trials.values():
        seeds.setdefault(trial.replicate, set()).add(trial.seed)
    assert len(seeds) > 1
    assert all(len(known) == 1 for known in seeds.values())
    assert len({seed for known in seeds.values() for seed in known}) == len(seeds)


def test_a_checked_trial_keeps_configuration_and_seed(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl").history
    reruns = [trial for trial in history.trials.values() if trial.origin == "pruning_check"]
    assert reruns
    for rerun in reruns:
        twin = next(
            trial
            for trial in history.trials.values()
            if (trial.variant, trial.replicate) == (rerun.variant, rerun.replicate)
        )
        assert twin.status == "pruned" and not twin.is_rerun
        assert (rerun.config, rerun.seed) == (twin.config, twin.seed)


def test_a_rerun_that_fails_is_not_tried_for_ever(tmp_path: Path) -> None:
    engine = engine_with_phases(tmp_path / "ledger.jsonl", phases=["search", "race"])

    def failing(trial: TrialHistory, positions: int) -> ReportSummary:
        said = curve(trial, positions)
        return revalued(said, float("nan")) if trial.is_rerun else said

    run_serially(engine, failing)
    engine.ledger.close()
    race = [trial for trial in engine.history.trials.values() if trial.origin == "race"]
    assert race and {trial.status for trial in race} == {"failed"}
    assert len(race) <= 5


def test_with_several_workers_no_rerun_begins_before_the_search_is_over(tmp_path: Path) -> None:
    config = study_config(**PHASES)
    engine = make_engine(
        tmp_path / "ledger.jsonl", config, planner=planner(config, tmp_path), slots=lambda: 13
    )
    live = [next_trial(engine) for _ in range(12)]
    assert all(isinstance(trial, TrialHistory) for trial in live)
    assert engine.next_job() == "wait"
    engine.ledger.close()


@pytest.mark.parametrize(
    ("phases", "word"),
    [
        (["race"], "'search' is missing"),
        (["race", "search"], "in the order compare, search, pruning_check, race, confirm"),
        (["search", "race", "race"], "give each phase at most once"),
        (["search", "finish"], "finish"),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases: list[str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        study_config(phases=phases)


def test_a_confirmation_without_test_games_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.split\.test is 0"):
        study_config(phases=["search", "confirm"], data={"split": {"test": 0.0}})


EVERY: dict[str, Any] = {
    **PHASES,
    "search": {"value_head": {"choice": ["512->1", "512->32->1", "512->64->1"]}},
    "phases": ["compare", "search", "pruning_check", "race", "confirm"],
    "run": {"trials": 6, "retries": 1},
    "compare": {"seeds": 2, "enqueue": 2},
    "confirm": {"winners": 2, "seeds": 2},
}


def test_every_phase_stands_in_one_ledger_in_its_order(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl", **EVERY).history
    phases = [trial.phase for trial in history.trials.values()]
    assert list(dict.fromkeys(phases)) == ["compare", "search", "race", "confirm"]
    assert history.compared is not None and len(history.chosen) == 1
    assert history.searched == 6
    searched = history.only({"search"}).trials.values()
    assert [trial.values for trial in searched][:2] == history.compared.enqueued
    assert {trial.origin for trial in searched} >= {"enqueued"}


def test_a_study_of_every_phase_cut_after_any_record_decides_as_one_never_stopped(
    tmp_path: Path,
) -> None:
    whole = tmp_path / "whole.jsonl"
    finished(whole, **EVERY)
    expected = story(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        run_serially(engine := engine_with_phases(path, **EVERY))
        engine.ledger.close()
        assert story(path) == expected, f"cut after record {cut}"


def test_a_comparison_alone_ends_when_its_heads_have(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl", **{**EVERY, "phases": ["compare"]}).history
    assert {trial.phase for trial in history.trials.values()} == {"compare"}
    assert len(history.trials) == 6 and history.compared is None


def test_heads_on_one_trunk_cost_a_budget_as_much_as_one(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl", **{**EVERY, "phases": ["compare"]}).history
    assert history.positions == 2 * BUDGET


def test_a_lost_worker_of_a_comparison_is_replaced_and_then_fails_every_head_of_its_seed(
    tmp_path: Path,
) -> None:
    engine = engine_with_phases(tmp_path / "ledger.jsonl", **EVERY)
    for attempt in range(2):
        job = engine.next_job()
        assert isinstance(job, Job) and job.name == "compare-s00"
        engine.start(job.name)
        engine.lose(job.name, f"died {attempt}")
        engine.release(job.name)
    failed = [trial for trial in engine.history.trials.values() if trial.status == "failed"]
    assert [trial.replicate for trial in failed] == [0, 0, 0]
    assert {trial.reason for trial in failed} == {"died 1"}
    run_serially(engine)
    assert engine.is_finished and engine.history.compared is not None


@pytest.mark.parametrize("phase", ["compare", "search", "confirm"])
def test_draining_in_any_phase_leaves_its_jobs_for_a_resume(tmp_path: Path, phase: str) -> None:
    path = tmp_path / "drained.jsonl"
    engine = engine_with_phases(path, **EVERY)

    def until(trial: TrialHistory, positions: int) -> ReportSummary:
        if trial.phase == phase:
            engine.drain()
        return curve(trial, positions)

    run_serially(engine, until)
    assert engine.next_job() == "finished" and not engine.is_finished
    engine.ledger.close()
    run_serially(again := engine_with_phases(path, **EVERY))
    assert again.is_finished
    again.ledger.close()
    finished(tmp_path / "straight.jsonl", **EVERY)
    assert story(path) == story(tmp_path / "straight.jsonl")
