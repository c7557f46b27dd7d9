from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.cli.main import main
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import ignored_by, warm_start
from tests.search.simulation import make_engine, run_serially, study_config


@pytest.fixture
def source(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "source")
    engine = make_engine(folder.ledger, study_config())
    run_serially(engine)
    engine.ledger.close()
    return folder


def search(**dimensions: Any) -> dict[str, Any]:
    return {"search": {name.replace("__", "."): value for name, value in dimensions.items()}}


def test_an_equal_space_takes_every_trial_and_proposes_from_them(
    source: StudyFolder, tmp_path: Path
) -> None:
    config = study_config()
    taken, lines = warm_start(source, build_space(config))
    assert len(taken) == 12 and len(lines) == 1
    assert "12 of 12 ended trials of source are used" in lines[0]
    engine = make_engine(tmp_path / "warm.jsonl", config)
    for event in taken:
        engine.record(event)
    run_serially(engine)
    assert len(engine.history.trials) == 12
    cold = [trial.values for trial in make_engine(source.ledger, config).history.trials.values()]
    warm = [trial.values for trial in engine.history.trials.values()]
    assert warm[0] != cold[0]
    gaps = [abs(values["optimiser.learning_rate"] - 0.01) for values in warm[:4]]
    # Nothing is drawn at random: the first proposals lie where the other study ended.
    assert sum(gaps) / 4 < 0.01
    engine.ledger.close()
    again = make_engine(tmp_path / "warm.jsonl", config)
    assert again._proposer.propose(12) == engine._proposer.propose(12)


def test_what_was_fixed_there_may_be_searched_here(source: StudyFolder) -> None:
    config = study_config(
        **search(
            value_head={"choice": ["512->1", "512->32->1"]},
            optimiser__learning_rate={"float": [1e-3, 1e-1], "log": True},
            readout={"choice": ["sigmoid_mse", "bce"]},
            augment={"choice": [True, False]},
        )
    )
    taken, _ = warm_start(source, build_space(config))
    assert len(taken) == 12
    assert {event.values["readout"] for event in taken} == {"bce"}
    assert {event.values["augment"] for event in taken} == {True}


def test_what_does_not_fit_is_left_out_and_said(source: StudyFolder) -> None:
    config = study_config(**search(value_head={"choice": ["512->1", "512->8->1"]}))
    taken, lines = warm_start(source, build_space(config))
    assert 0 < len(taken) < 12
    assert "because value_head: '512->32->1' is not one of 512->1, 512->8->1" in lines[1]
    assert "has other fixed values of optimiser.learning_rate" in lines[2]


def test_a_dry_run_says_what_a_study_would_be_told_and_refuses_one_that_is_not_there(
    source: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["launch", "smoke", "--dry-run", "--set", "searcher.name=random", "--warm-start"]
    assert main([*command, str(source.path)]) == 0
    said = capsys.readouterr().err
    assert "7 of 12 ended trials of source are used" in said
    assert "the searcher random learns nothing from --warm-start" in said
    assert main([*command, str(source.path / "nothing")]) != 0
    assert "nothing" in capsys.readouterr().err


def test_a_study_of_which_nothing_fits_is_refused(source: StudyFolder) -> None:
    config = study_config(**search(value_head={"choice": ["512->8->1"]}))
    with pytest.raises(ConfigError, match="none of its 12 ended trials fits this space"):
        warm_start(source, build_space(config))


@pytest.mark.parametrize(
    "searcher, learns", [("forecast", True), ("grid", False), ("random", False), ("tpe", True)]
)
def test_a_searcher_that_learns_nothing_from_other_studies_is_named(
    source: StudyFolder, tmp_path: Path, searcher: str, learns: bool
) -> None:
    config = study_config(searcher={"name": searcher, "startup_trials": 4}, run={"trials": 4})
    taken, _ = warm_start(source, build_space(config))
    first = []
    for name, events in (("cold", []), ("warm", taken)):
        engine = make_engine(tmp_path / f"{name}.jsonl", config)
        for event in events:
            engine.record(event)
        first.append(engine._proposer.propose(0)[0])
    assert (first[0] != first[1]) == learns
    assert (ignored_by(searcher, taken) is None) == learns
