from __future__ import annotations

from pathlib import Path

from optuna.trial import TrialState

from hexsearch.search.ledger import read_ledger
from hexsearch.search.searcher import OptunaProposer, derive_seed
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import make_engine, run_serially, study_config


def test_optuna_is_told_pruned_trials_as_pruned_with_their_steps(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    told = engine._proposer._study.trials
    assert len(told) == 12
    for trial, ours in zip(told, engine.history.trials.values(), strict=True):
        if ours.status == "completed":
            assert trial.state == TrialState.COMPLETE
            assert trial.value == ours.value_loss
        else:
            assert trial.state == TrialState.PRUNED
            assert trial.intermediate_values == {
                report["positions_seen"]: report["value_loss"] for report in ours.reports
            }


def test_a_proposer_rebuilt_from_records_proposes_what_the_live_one_would(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    engine.ledger.close()
    config = study_config()
    rebuilt = OptunaProposer(build_space(config), config.searcher, config.run.seed)
    for record in read_ledger(tmp_path / "ledger.jsonl"):
        rebuilt.apply(record)
    assert rebuilt.propose(12) == engine._proposer.propose(12)


def test_no_optuna_trial_is_left_running(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    states = {trial.state for trial in engine._proposer._study.trials}
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


def test_random_search_is_a_choice(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(searcher={"name": "random"}))
    run_serially(engine)
    origins = {r["origin"] for r in engine.ledger.records if r["event"] == "suggested"}
    assert origins == {"random"}
