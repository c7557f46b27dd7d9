"""One function says whether a value belongs to a space, wherever the value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.files.yaml_text import dump_yaml
from hexsearch.errors import ConfigError
from hexsearch.ledger.events import Suggested
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.searchers.tpe import TpeSearcher
from hexsearch.search.space import Values
from hexsearch.search.space_parsing import build_space, load_space
from hexsearch.search.warm_start import warm_start
from tests.search.simulation import make_engine, run_serially, study_config

SEARCH = {
    "value_weight": {"float": [0.5, 2.0]},
    "batch_size": {"int": [32, 64], "step": 32},
}
BAD: list[tuple[str, Any, str]] = [
    ("value_weight", 4.0, "4.0 is outside of [0.5, 2.0]"),
    (
        "batch_size",
        48,
        "48 is not reached by steps of 32 from 32; nearest: 32 and 64",
    ),
]


@pytest.fixture(params=BAD, ids=lambda bad: bad[0])
def bad(request: pytest.FixtureRequest) -> tuple[str, Any, str]:
    given: tuple[str, Any, str] = request.param
    name, value, fault = given
    assert build_space(study_config(search=SEARCH)).faults_of({name: value}) == {name: fault}
    return given


def test_an_enqueued_value(bad: tuple[str, Any, str]) -> None:
    name, value, fault = bad
    with pytest.raises(ConfigError) as caught:
        build_space(study_config(search=SEARCH, enqueue=[{name: value}]))
    assert caught.value.problems == [f"enqueue.0.{name}: {fault}"]


def test_a_value_that_is_set(bad: tuple[str, Any, str], tmp_path: Path) -> None:
    name, value, fault = bad
    file = tmp_path / "space.yaml"
    file.write_text(dump_yaml({"question": "?", "search": SEARCH}))
    said: list[str] = []
    config, _ = load_space(file, [f"{name}={value}"], said.append)
    assert getattr(config.trial, name) == value and name not in config.search
    assert said == [f"--set {name}: the file does not search this value ({fault}); it is fixed"]
    load_space(file, ["batch_size=32", "value_weight=0.7", "augment=false"], said.append)
    assert len(said) == 1


def test_a_value_of_another_study(bad: tuple[str, Any, str], tmp_path: Path) -> None:
    name, value, fault = bad
    source = StudyFolder(tmp_path / "source")
    trial = {"trunk": "tiny", "batch_size": 64, name: value}
    config = study_config(trial=trial, scheduler={"grace_period": 192, "max_t": 1728})
    engine = make_engine(source.ledger, config)
    run_serially(engine)
    engine.ledger.close()
    with pytest.raises(ConfigError) as caught:
        warm_start(source, build_space(study_config(search=SEARCH)))
    assert f"because {name}: {fault}" in str(caught.value)


def test_a_value_of_an_edited_ledger_reaches_no_searcher(
    bad: tuple[str, Any, str], tmp_path: Path
) -> None:
    name, value, _ = bad
    config = study_config(search=SEARCH)
    engine = make_engine(tmp_path / "ledger.jsonl", config)
    job = engine.next_job()
    assert not isinstance(job, str)
    (trial,) = job.trials
    engine.ledger.close()
    edited = make_engine(tmp_path / "edited.jsonl", config)
    told = {f: getattr(trial, f) for f in ("trial", "number", "variant", "replicate", "seed")}
    values = {**trial.values, name: value}
    edited.record(
        Suggested(**told, head=trial.head, values=values, config=trial.config, origin="tpe")
    )
    assert edited._proposer._outside == {trial.trial}
    run_serially(edited)
    assert len(edited.history.trials) == 12


def test_a_value_that_a_searcher_proposes(
    bad: tuple[str, Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value, fault = bad
    right = TpeSearcher.propose

    def propose(self: TpeSearcher, number: int, attempt: int = 0) -> Values:
        return {**right(self, number, attempt), name: value}

    monkeypatch.setattr(TpeSearcher, "propose", propose)
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(search=SEARCH))
    with pytest.raises(AssertionError, match="proposes what is not in its space") as caught:
        engine.next_job()
    assert fault in str(caught.value)
