"""The chaos benchmark in a short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.parametrize(
    "victim",
    [
        "driver",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("worker", "node", "spot")),
    ],
)
def test_a_killed_study_tells_the_story_of_one_left_alone(victim: str) -> None:
    size = ["--rounds", "2", "--trials", "3", "--positions", "3456"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--victim", victim, *size],
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, outcome
    assert outcome["kills"] >= 1  # a study may end before the second instant
    assert outcome["equal"] and outcome["trials"] == 3
    assert outcome["results_lost"] == outcome["left_running_in_optuna"] == 0
