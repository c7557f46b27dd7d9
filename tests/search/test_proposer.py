from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.ledger import read_events
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.engine import Engine
from hexsearch.search.proposer import Proposer
from hexsearch.search.searchers.base import Outcome
from hexsearch.search.searchers.optuna_model import OptunaSearcher
from hexsearch.search.searchers.random_draws import RandomSearcher
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import Values
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import curve, make_engine, next_trial, run_serially, study_config


def modelled(engine: Engine) -> list[FrozenTrial]:
    """What Optuna's study in memory holds."""
    searcher = engine._proposer._searcher
    assert isinstance(searcher, OptunaSearcher)
    return searcher.trials


def test_optuna_is_told_pruned_trials_as_pruned_with_their_last_step(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    told = modelled(engine)
    assert len(told) == 12
    for trial, ours in zip(told, engine.history.trials.values(), strict=True):
        if ours.status == "completed":
            assert trial.state == TrialState.COMPLETE
            assert trial.value == ours.value_loss
        else:
            assert trial.state == TrialState.PRUNED
            assert trial.intermediate_values == {ours.positions_seen: ours.value_loss}


def test_a_proposer_rebuilt_from_records_proposes_what_the_live_one_would(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    engine.ledger.close()
    config = study_config()
    rebuilt = Proposer(build_space(config), config.searcher, config.run.seed, 12)
    for event in read_events(tmp_path / "ledger.jsonl"):
        rebuilt.apply(event)
    assert rebuilt.propose(12) == engine._proposer.propose(12)


def test_no_optuna_trial_is_left_running(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    states = {trial.state for trial in modelled(engine)}
    assert TrialState.RUNNING not in states


def test_only_dimensions_whose_condition_holds_are_proposed(tmp_path: Path) -> None:
    config = study_config(
        search={
            "curriculum": {"choice": ["all", "last_k"]},
            "curriculum.k": {"int": [4, 40], "when": {"curriculum": "last_k"}},
        }
    )
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    seen = {trial.values["curriculum"] for trial in engine.history.trials.values()}
    assert seen == {"all", "last_k"}
    for trial in engine.history.trials.values():
        assert ("curriculum.k" in trial.values) == (trial.values["curriculum"] == "last_k")


def test_derived_seeds_differ_in_everything_they_depend_on() -> None:
    seeds = {derive_seed(s, p, n) for s in range(3) for p in ("a", "b") for n in range(5)}
    assert len(seeds) == 30


FINITE = {
    "value_head": {"choice": ["512->1", "512->8->1"]},
    "curriculum": {"choice": ["all", "last_k"]},
    "curriculum.k": {"int": [4, 8], "step": 2, "when": {"curriculum": "last_k"}},
}


@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_a_space_within_the_budget_is_tried_whole_before_anything_comes_again(
    tmp_path: Path, name: str
) -> None:
    config = study_config(search=FINITE, searcher={"name": name}, run={"trials": 11})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    trials = list(engine.history.trials.values())
    assert len({trial.variant for trial in trials[:8]}) == 8
    assert [trial.replicate for trial in trials[:8]] == [0] * 8
    assert [trial.replicate for trial in trials[8:]] != [0] * 3


def test_a_space_beyond_the_budget_is_sampled(tmp_path: Path) -> None:
    config = study_config(search=FINITE, run={"trials": 7})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    assert {r["origin"] for r in engine.ledger.records if r["event"] == "suggested"} == {"tpe"}


def test_a_grid_goes_round_again_with_further_seeds(tmp_path: Path) -> None:
    config = study_config(searcher={"name": "grid", "grid_points": 2}, run={"trials": 9})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    replicates = [trial.replicate for trial in engine.history.trials.values()]
    assert replicates == [0] * 4 + [1] * 4 + [2]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "gp", "nsga2"])
def test_every_searcher_goes_on_after_a_resume_as_if_never_stopped(
    tmp_path: Path, name: str
) -> None:
    if name == "cmaes":
        pytest.importorskip("cmaes")
    config = study_config(searcher={"name": name, "startup_trials": 3}, run={"trials": 10})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    engine.ledger.close()
    whole = (tmp_path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    expected = [trial.values for trial in engine.history.trials.values()]
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"".join(whole[: len(whole) * 2 // 3]))
    again = make_engine(path, config)
    assert len(again.history.trials) < 10
    run_serially(again)
    assert [trial.values for trial in again.history.trials.values()] == expected


FLOATS = {
    "optimiser.learning_rate": {"float": [1e-3, 1e-1], "log": True},
    "optimiser.weight_decay": {"float": [1e-5, 1e-1], "log": True},
}
MIXED = {**FLOATS, "value_head": {"choice": ["512->1", "512->32->1"]}}


@pytest.mark.parametrize("search", [FLOATS, MIXED], ids=["floats", "mixed"])
def test_cmaes_evolves_what_is_a_number_from_completed_and_pruned_trials(
    tmp_path: Path, search: dict[str, Any]
) -> None:
    pytest.importorskip("cmaes")
    searcher = {"name": "cmaes", "startup_trials": 4}
    config = study_config(search=search, searcher=searcher, run={"trials": 40})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    trials = modelled(engine)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in trials:
        assert trial.state == TrialState.COMPLETE or trial.intermediate_values
    generations = [_generation(trial) for trial in trials]
    assert max(generations) >= 3  # it was asked, and told enough to move on
    assert {trial.state for trial in trials if _generation(trial) >= 0} == {
        TrialState.COMPLETE,
        TrialState.PRUNED,
    }
    gaps = [abs(t.params["optimiser.learning_rate"] - 0.01) for t in trials]
    assert sum(gaps[-12:]) / 12 < sum(gaps[:12]) / 12
    if "value_head" in search:
        assert len({trial.params["value_head"] for trial in trials}) == 2
    engine.ledger.close()
    lines = engine.ledger.path.read_bytes().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(lines[: len(lines) * 3 // 4]))
    again = make_engine(cut, config)
    run_serially(again)
    assert [t.params for t in modelled(again)] == [t.params for t in trials]


def _generation(trial: FrozenTrial) -> int:
    """Of CMA-ES, by which Optuna marks the trials that it proposed; -1 for others."""
    marks = [v for key, v in trial.system_attrs.items() if key.endswith("generation")]
    return int(marks[0]) if marks else -1


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_accuracy_and_speed_make_a_front_that_is_searched(tmp_path: Path, name: str) -> None:
    objectives = ["value_loss", "microseconds"]
    searcher = {"name": name, "startup_trials": 8, "objectives": objectives}
    scheduler = {"name": "none", "grace_period": 64, "max_t": 128}
    config = study_config(searcher=searcher, scheduler=scheduler, run={"trials": 64})

    def timed(trial: TrialHistory, positions: int) -> ReportSummary:
        wide = trial.values["value_head"] == "512->32->1"
        return replace(curve(trial, positions), microseconds=30.0 if wide else 20.0)

    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine, timed)
    trials = modelled(engine)
    assert len(trials) == 64 and {len(trial.values) for trial in trials} == {2}
    for trial, seen in zip(trials, engine.history.trials.values(), strict=True):
        assert seen.last_report is not None
        assert trial.values == [seen.value_loss, seen.last_report.microseconds]
    # The wide head costs more and brings nothing here, so it is dominated.
    late = [trial.params["value_head"] for trial in trials[-24:]]
    assert late.count("512->1") > 12
    gaps = [abs(trial.params["optimiser.learning_rate"] - 0.01) for trial in trials]
    assert sum(gaps[-24:]) < sum(gaps[:24])


def test_several_objectives_are_told_together(tmp_path: Path) -> None:
    objectives = ["value_loss", "parameters"]
    config = study_config(searcher={"name": "nsga2", "objectives": objectives})
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    run_serially(engine)
    completed = [t for t in modelled(engine) if t.state == TrialState.COMPLETE]
    assert completed
    assert all(trial.values[1] == 1000.0 for trial in completed)


def test_a_model_of_many_trials_is_thinned_to_the_best_and_the_newest() -> None:
    config = study_config(searcher={"name": "random"})

    def model() -> RandomSearcher:
        made = RandomSearcher(build_space(config), config.searcher, seed=0)
        for number in range(1600):
            values = proposed[number] if number in proposed else made.propose(number)
            proposed[number] = values
            made.add(f"t{number}", number, values, proposed=True)
            if number != 7:  # which runs on and on
                loss = 0.1 + (number * 7919 % 1600) / 1e4
                made.tell(f"t{number}", Outcome("COMPLETE", (loss,), 64, loss))
        return made

    proposed: dict[int, Values] = {}
    kept = [trial.values for trial in model().trials]
    assert len(kept) < 1500
    losses = [values[0] for values in kept if values]
    assert len(losses) == len(kept) - 1
    assert max(sorted(losses)[:40]) < 0.1 + 50 / 1e4
    assert [trial.values for trial in model().trials] == kept


def test_random_search_is_a_choice(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(searcher={"name": "random"}))
    run_serially(engine)
    origins = {r["origin"] for r in engine.ledger.records if r["event"] == "suggested"}
    assert origins == {"random"}


def few_configurations(**searcher: object) -> StudyConfig:
    """Twenty, for twelve trials: too many to be tried whole, few enough to come up again."""
    rates = [round(0.002 * (step + 1), 3) for step in range(10)]
    search = {
        "value_head": {"choice": ["512->1", "512->32->1"]},
        "optimiser.learning_rate": {"choice": rates},
    }
    return study_config(search=search, searcher={"name": "tpe", "startup_trials": 4, **searcher})


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_what_was_pruned_is_not_tried_again_while_something_is_untried(
    tmp_path: Path, name: str
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", few_configurations(name=name))
    run_serially(engine)
    completed: set[str] = set()
    for trial in engine.history.trials.values():
        assert trial.replicate == 0 or trial.variant in completed
        if trial.status == "completed":
            completed.add(trial.variant)


def test_workers_that_start_together_start_with_different_configurations(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", few_configurations(), slots=lambda: 8)
    started = [next_trial(engine) for _ in range(8)]
    assert len({trial.variant for trial in started if isinstance(trial, TrialHistory)}) == 8


def test_a_model_whose_values_were_refused_is_rebuilt_from_records(tmp_path: Path) -> None:
    config = few_configurations()
    whole = make_engine(tmp_path / "whole.jsonl", config)
    run_serially(whole)
    proposed = [trial.values for trial in whole.history.trials.values()]
    whole.ledger.close()
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines), 5):
        (tmp_path / f"cut{cut}.jsonl").write_bytes(b"".join(lines[:cut]))
        engine = make_engine(tmp_path / f"cut{cut}.jsonl", config)
        run_serially(engine)
        assert [trial.values for trial in engine.history.trials.values()] == proposed
