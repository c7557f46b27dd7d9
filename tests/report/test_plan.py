from __future__ import annotations

import io
from typing import Any

from hexsearch.report.plan import render_plan
from hexsearch.report.terminal import Console

PLAN: dict[str, Any] = {
    "question": "Which one?",
    "dimensions": [
        {"name": "value_head", "kind": "choice", "choices": ["512->1", {"family": "mlp"}]},
        {"name": "augment", "kind": "choice", "choices": [True, False, None]},
        {
            "name": "optimiser.ema_half_life",
            "kind": "int",
            "low": 0,
            "high": 100,
            "log": False,
            "when": {"augment": [True, None]},
        },
    ],
    "combinations": 12,
    "configurations": 12,
    "trials": 20,
    "rungs": [1024, 3072],
    "max_positions": 9216,
    "equal_compute": None,
    "gpus": 0,
    "most_trials_per_gpu": 1,
    "trials_per_rung": [20, 7.3, 0.4],
    "phases": [],
    "positions": 60_000,
    "slots": 2,
    "estimated_seconds": 61.0,
    "gpu_hours": None,
    "disk_bytes": 1e6,
    "samples": [{"value_head": "512->1", "augment": True, "optimiser.learning_rate": 0.00123456}],
    "sample_positions": [4608],
}


def test_a_plan_writes_values_as_yaml_does_and_trials_as_whole_numbers() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(render_plan(PLAN))
    text = console.export_text()
    assert "512->1, {family: mlp}" in text
    assert "true, false, null" in text and "augment: true or null" in text
    assert "20 reach 1,024, 7 reach 3,072, 1 reach 9,216" in text
    assert "value_head=512->1, augment=true, optimiser.learning_rate=0.00123" in text
    assert "about 61 s of training" in text


def test_a_plan_at_equal_compute_says_whose_positions_it_counts() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(render_plan({**PLAN, "equal_compute": "small"}))
    text = console.export_text()
    assert "60,000 positions of small, or as many operations of other" in text
    assert "optimiser.learning_rate=0.00123: 4,608 positions of its own" in text
