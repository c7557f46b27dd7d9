from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.phases import RaceConfig
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Record, read_ledger, without_times
from hexsearch.search.engine import Engine
from hexsearch.search.reruns import (
    LeaderSummary,
    Place,
    follow_up,
    pruning_check_reruns,
    race_reruns,
)
from tests.search.simulation import curve, make_engine, run_serially, study_config

STAGES: dict[str, Any] = {
    "phases": ["search", "pruning_check", "race"],
    "pruning_check": {"share": 0.3},
    "race": {"runs": 5, "seeds": 3},
}
BUDGET = 1728


def by_loss(history: StudyHistory, folder: StudyFolder) -> LeaderSummary:
    """Every completed variant is tied with the best that is within 0.02 of it."""
    losses: dict[str, list[float]] = {}
    for trial in history.trials.values():
        if trial.status == "completed":
            losses.setdefault(trial.variant, []).append(trial.value_loss or 0.0)
    means = sorted((sum(known) / len(known), variant) for variant, known in losses.items())
    places = tuple(Place(v, v, mean, mean, len(losses[v])) for mean, v in means)
    return LeaderSummary(places, sum(mean < means[0][0] + 0.02 for mean, _ in means))


def engine_with_phases(path: Path, **sections: Any) -> Engine:
    config = study_config(**{**STAGES, **sections})
    follow = follow_up(config, StudyFolder(path.parent), by_loss)
    return make_engine(path, config, follow=follow)


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
    longer = study_config(**STAGES, run={"trials": 16})
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
    summary = by_loss(history, StudyFolder(tmp_path))
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


@pytest.mark.parametrize("share", [0.0001, 0.5, 1.0])
def test_the_check_draws_about_its_share_of_the_pruned(tmp_path: Path, share: float) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(run={"trials": 60}))
    run_serially(engine)
    engine.ledger.close()
    pruned = [trial for trial in engine.history.trials.values() if trial.status == "pruned"]
    drawn = sum(len(pruning_check_reruns(engine.history, seed, share)) for seed in range(40))
    expected = 40 * share * len(pruned)
    assert abs(drawn - expected) <= 4 * (expected * (1 - share)) ** 0.5 + 1


def test_a_lone_leader_needs_no_race(tmp_path: Path) -> None:
    history = finished(tmp_path / "ledger.jsonl", phases=["search"]).history
    summary = by_loss(history, StudyFolder(tmp_path))
    alone = LeaderSummary(summary.places, 1)
    assert race_reruns(history, alone, RaceConfig()) == []
    assert race_reruns(history, LeaderSummary((), 0), RaceConfig()) == []


def test_a_rerun_that_fails_is_not_tried_for_ever(tmp_path: Path) -> None:
    engine = engine_with_phases(tmp_path / "ledger.jsonl", phases=["search", "race"])

    def failing(trial: TrialHistory, positions: int) -> dict[str, Any]:
        said = curve(trial, positions)
        return {**said, "value_loss": float("nan")} if trial.is_rerun else said

    run_serially(engine, failing)
    engine.ledger.close()
    race = [trial for trial in engine.history.trials.values() if trial.origin == "race"]
    assert race and {trial.status for trial in race} == {"failed"}
    assert len(race) <= 5


def test_with_several_workers_no_rerun_begins_before_the_search_is_over(tmp_path: Path) -> None:
    config = study_config(**STAGES)
    follow = follow_up(config, StudyFolder(tmp_path), by_loss)
    engine = make_engine(tmp_path / "ledger.jsonl", config, follow=follow, slots=lambda: 13)
    live = [engine.next_trial() for _ in range(12)]
    assert all(isinstance(trial, TrialHistory) for trial in live)
    assert engine.next_trial() == "wait"
    engine.ledger.close()


@pytest.mark.parametrize(
    ("phases", "word"),
    [
        (["race"], "'search' is missing"),
        (["race", "search"], "in the order compare, search, pruning_check, race, confirm"),
        (["search", "race", "race"], "each at most once"),
        (["search", "finish"], "finish"),
    ],
)
def test_phases_that_make_no_sense_are_refused(phases: list[str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        study_config(phases=phases)


def test_a_confirmation_without_test_games_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.split\.test is 0"):
        study_config(phases=["search", "confirm"], data={"split": {"test": 0.0}})
    raw = {"question": "?", "phases": ["search", "confirm"], "run": {"trial_files": "s3://b/x"}}
    with pytest.raises(ConfigError, match=r"leave out run\.trial_files"):
        build(StudyConfig, raw, "")
