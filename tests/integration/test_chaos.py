"""The chaos benchmark in a short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = (
    "unequal",
    "results_lost",
    "files_lost",
    "trained_twice_beyond_one_interval",
    "left_running_in_optuna",
)
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


CASES = (("driver", 2), ("moment", 3), ("worker", 2), ("node", 2), ("spot", 2))


@pytest.mark.slow  # the fast suite kills a driver in test_command_line.py
@pytest.mark.parametrize(("victim", "rounds"), CASES)
def test_a_killed_study_tells_the_story_of_one_left_alone(victim: str, rounds: int) -> None:
    size = ["--rounds", str(rounds), "--trials", "2", "--positions", "1152"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--victim", victim, *size],
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, outcome
    assert outcome["kills"] >= 1  # a study may end before the second instant
    assert outcome["trials"] >= 2 and outcome["reports"] >= 4
    assert not any(outcome[fault] for fault in FAULTS)
