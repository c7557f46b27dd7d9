from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.config.phases import RaceConfig
from hexsearch.ledger.place import Place
from hexsearch.search.reruns import LeaderSummary, pruning_check_reruns, race_reruns
from tests.search.simulation import make_engine, run_serially, study_config


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
    engine = make_engine(tmp_path / "ledger.jsonl", study_config())
    run_serially(engine)
    history = engine.history
    variants = {trial.variant for trial in history.trials.values() if trial.status == "completed"}
    alone = LeaderSummary(tuple(Place(v, v, 0.2, 0.2, 1) for v in sorted(variants)), 1)
    assert race_reruns(history, alone, RaceConfig()) == []
    assert race_reruns(history, LeaderSummary((), 0), RaceConfig()) == []
