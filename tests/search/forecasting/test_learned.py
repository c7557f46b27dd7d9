"""What a search makes of the trials of other studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexsearch.ledger.events import WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.forecasting.draws import Floats
from hexsearch.search.forecasting.learned import Learned
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import ignored_by, warm_start
from tests.search.simulation import make_engine, report, run_serially, study_config

RATES = np.linspace(0.0, 1.0, 9)  # places of the learning rate in its range
FORECAST = {"name": "forecast"}
EVIDENCE = {"name": "evidence", "grace_period": 64, "max_t": 1728, "reduction_factor": 3}


def told(space: SearchSpace, means: Floats, source: str = "earlier") -> Learned:
    """Two trials at each rate, one for each head, with the given expected values."""
    learned = Learned(space)
    for rate, mean in zip(RATES, means, strict=True):
        for head in ("512->1", "512->32->1"):
            values = {"value_head": head, "optimiser.learning_rate": float(1e-3 * 100**rate)}
            learned.add(
                WarmStarted(
                    source=source,
                    source_trial="t0000",
                    values=values,
                    state="COMPLETE",
                    report=report(1728, 0.2),
                    expected=float(mean),
                    variance=1e-4,
                )
            )
    return learned


def here(rates: Floats) -> Floats:
    """Coordinates of configurations with the first head."""
    return np.stack([np.zeros(len(rates)), rates], axis=1)


def test_before_a_trial_has_a_value_the_best_settings_elsewhere_promise_most() -> None:
    space = build_space(study_config())
    learned = told(space, 2.0 * np.abs(RATES - 0.75))
    assert RATES[np.argmax(learned.improvement(here(RATES)))] == 0.75
    assert learned.best(1)[0]["optimiser.learning_rate"] == float(1e-3 * 100**0.75)


def test_values_of_this_study_overrule_those_of_another_that_says_the_opposite() -> None:
    space = build_space(study_config())
    learned = told(space, 1.5 - 3.0 * RATES)  # elsewhere, high rates are best
    rates = RATES[::2]
    model = learned.model(here(rates), 3.0 * rates - 1.5, np.full(len(rates), 1e-4))
    means, _ = model.predict(here(RATES[1::2]))
    assert (np.diff(means) > 0).all()  # here, low ones are


def test_another_scale_of_another_study_is_no_news_about_this_one() -> None:
    """Its best values may lie three units lower, since its median is that of other trials."""
    space = build_space(study_config())
    rates, values = RATES[[0, 4, 8]], np.array([1.0, -1.0, 0.5])
    plain = Learned(space).model(here(rates), values, np.full(3, 1e-4))
    shifted = told(space, np.interp(RATES, rates, values) - 3.0)
    model = shifted.model(here(rates), values, np.full(3, 1e-4))
    there = here(RATES)
    assert np.abs(model.predict(there)[0] - plain.predict(there)[0]).max() < 0.6


def test_the_best_and_an_even_sample_of_many_trials_are_used() -> None:
    space = build_space(study_config())
    learned = Learned(space)
    for number in range(400):
        learned.add(
            WarmStarted(
                source="earlier",
                source_trial=f"t{number:04d}",
                values={"value_head": "512->1", "optimiser.learning_rate": 0.01},
                state="COMPLETE",
                report=report(1728, 0.2),
                expected=float(number % 40),
            )
        )
    learned.improvement(here(RATES))
    assert learned._chosen is not None
    means = sorted(known.mean for known in learned._chosen)
    assert len(means) == 100 and means[49] <= 4.0 and means[-1] >= 35.0


def test_a_search_told_of_another_is_the_same_after_a_resume(tmp_path: Path) -> None:
    config = study_config(searcher=FORECAST, scheduler=EVIDENCE)
    source = StudyFolder(tmp_path / "source")
    first = make_engine(source.ledger, config)
    run_serially(first)
    first.ledger.close()
    other = study_config(searcher=FORECAST, scheduler=EVIDENCE, run={"trials": 12, "seed": 5})
    taken, _ = warm_start(source, build_space(other))
    path = tmp_path / "warm.jsonl"
    engine = make_engine(path, other)
    for event in taken:
        engine.record(event)
    proposed = [engine._proposer.propose(0)[0]]
    gap = abs(proposed[0]["optimiser.learning_rate"] - 0.01)
    assert gap < 0.005  # where the other study ended
    engine.ledger.close()
    again = make_engine(path, other)
    assert again._proposer.propose(0)[0] == proposed[0]
    run_serially(again)
    again.ledger.close()
    third = make_engine(path, other)
    assert third._proposer.propose(12) == again._proposer.propose(12)


def test_a_study_that_predicts_nothing_is_named(tmp_path: Path) -> None:
    config = study_config(searcher=FORECAST, scheduler=EVIDENCE, run={"trials": 1})
    source = StudyFolder(tmp_path / "source")
    engine = make_engine(source.ledger, config)
    job = engine.next_job()
    assert not isinstance(job, str)
    engine.start(job.name)
    engine.report(job.name, report(64, 0.2))
    engine.fail(job.name, "out of memory")
    engine.ledger.close()
    taken, _ = warm_start(source, build_space(config))
    assert [event.expected for event in taken] == [None]
    line = ignored_by("forecast", taken)
    assert line is not None and "have passed a ninth of their training" in line
