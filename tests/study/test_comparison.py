from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.place import Place
from hexsearch.search.reruns import LeaderSummary
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import build_space
from hexsearch.study.comparison import (
    compared_heads,
    comparison_outcome,
    comparison_runs,
    heads_of,
)
from hexsearch.study.phases import PhasePlanner
from tests.search.simulation import make_engine, run_serially, study_config

HEADS = ["512->1", "512->32->1"]


def space(search: dict[str, Any], **trial: Any) -> SearchSpace:
    raw = {"question": "?", "trial": {"trunk": "tiny", **trial}, "search": search}
    return build_space(build(StudyConfig, raw, ""))


def test_all_heads_and_readouts_of_a_space_compete_and_nothing_else_of_it() -> None:
    searched = space(
        {
            "value_head": {"choice": [*HEADS, {"widths": []}]},
            "readout": {"choice": ["bce", "tanh_mse"]},
            "optimiser.learning_rate": {"float": [1e-3, 1e-2]},
        },
        optimiser={"learning_rate": 4e-3},
    )
    found = compared_heads(searched)
    assert [(config.value_head.name, config.readout.name) for _, config in found] == [
        ("512->1", "bce"),
        ("512->1", "tanh_mse"),
        ("512->32->1", "bce"),
        ("512->32->1", "tanh_mse"),
    ]
    assert {config.optimiser.learning_rate for _, config in found} == {4e-3}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"batch_size": {"choice": [32, 64]}}, "a comparison needs value heads"),
        ({"value_head.dropout": {"float": [0.0, 0.5]}}, "a float has infinitely many values"),
        (
            {
                "batch_size": {"choice": [32, 64]},
                "value_head": {"choice": HEADS, "when": {"batch_size": 32}},
            },
            "depends on batch_size, which a comparison cannot search; fix it with --set",
        ),
    ],
)
def test_a_space_without_an_end_of_heads_is_refused_in_a_line(
    search: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        heads_of(space(search))
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_the_heads_of_a_seed_are_one_job_and_share_its_seed(tmp_path: Path) -> None:
    config = study_config(phases=["compare"], compare={"seeds": 3})
    space = build_space(config)
    planner = PhasePlanner(config, space, StudyFolder(tmp_path))
    engine = make_engine(tmp_path / "ledger.jsonl", config, planner=planner, slots=lambda: 9)
    assert engine.plan()
    jobs = [engine.next_job() for _ in range(4)]
    assert [job if isinstance(job, str) else job.name for job in jobs] == [
        "compare-s00", "compare-s01", "compare-s02", "wait"
    ]  # fmt: skip
    for job in jobs[:3]:
        assert not isinstance(job, str)
        assert [trial.head for trial in job.trials] == ["512->1", "512->32->1"]
        assert len({trial.seed for trial in job.trials}) == 1
    run_serially(engine)
    assert len({trial.seed for trial in engine.history.trials.values()}) == 3


def test_the_best_heads_of_a_comparison_begin_the_search_with_all_else_at_its_default(
    tmp_path: Path,
) -> None:
    config = study_config(phases=["compare", "search"], compare={"seeds": 1, "enqueue": 1})
    space = build_space(config)
    history = StudyHistory()
    for number, run in enumerate(comparison_runs(config, space)):
        history.apply(run.suggested(f"h{number:04d}", number, seed=0))
    places = tuple(
        Place(trial.variant, trial.head, 0.2, 0.2, 1) for trial in history.trials.values()
    )
    found = comparison_outcome(config, space, history, LeaderSummary(places[::-1], 1))
    assert [values["value_head"] for values in found.enqueued] == ["512->32->1"]
    assert "512->32->1 is the best of 2 heads on the common trunk" in found.sentence
    none = comparison_outcome(config, space, history, LeaderSummary((), 0))
    assert none.enqueued == [] and "no head was trained to the end" in none.sentence
