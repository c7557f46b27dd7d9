"""A measurement on a card, with trials that are formulas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hexsearch.backend.placement.card import measure
from hexsearch.backend.placement.placing import measured
from hexsearch.ledger.events import StudyOpened, event_of
from hexsearch.search.placement import Footprint, Machine
from tests.search.simulation import study_config

GB = 1e9
ROOT = Path(__file__).parents[3]


class FormulaCard:
    """Trials of 100 positions/s each, up to the most that the card can do."""

    def __init__(self, most: float = 350.0, room: int = 100, bytes_each: float = 2 * GB) -> None:
        self._most, self._room = most, room
        self._footprint = Footprint(bytes_each, 80 * GB, 3 * GB)
        self.calls: list[str] = []
        self._started = 0

    def first(self) -> Footprint:
        self.calls.append("first")
        self._started = 1
        return self._footprint

    def add(self, trials: int) -> int:
        self.calls.append(f"add {trials}")
        added = min(trials, self._room - self._started)
        self._started += added
        return added

    def rate(self, trials: int) -> float:
        assert trials <= self._started
        self.calls.append(f"rate {trials}")
        return min(100.0 * trials, self._most)


def test_memory_is_read_while_one_trial_is_alone_and_rates_when_all_are_there() -> None:
    card = FormulaCard()
    measurement = measure(card, lambda footprint: 6)
    assert card.calls == ["first", "add 5", "rate 1", "rate 2", "rate 4", "rate 6"]
    assert dict(measurement.rates) == {1: 100.0, 2: 200.0, 4: 350.0, 6: 350.0}


def test_only_trials_that_could_be_started_are_measured() -> None:
    card = FormulaCard(room=3)
    assert list(measure(card, lambda footprint: 16).rates) == [1, 2, 3]


def test_a_study_gets_numbers_that_are_said_and_can_be_recorded() -> None:
    lines: list[str] = []
    config, recorded = measured(
        study_config(run={"trials": 100}),
        [Machine(64, 4, 512 * GB)],
        FormulaCard(most=350.0),
        lines.append,
    )
    assert (config.run.gpus_per_trial, config.run.cpus_per_trial) == (0.25, 2)
    assert len(lines) == 1 and "4 trials on each of 4 GPUs" in lines[0]
    assert recorded["positions_per_second"] == {"1": 100, "2": 200, "4": 350, "8": 350, "16": 350}
    record = StudyOpened(placement=recorded).to_record()
    assert event_of(record, "ledger.jsonl line 1").to_record() == record


def test_trials_that_fill_a_card_alone_are_not_put_together() -> None:
    config, _ = measured(
        study_config(run={"trials": 100}),
        [Machine(64, 4)],
        FormulaCard(most=102.0),
        lambda line: None,
    )
    assert config.run.gpus_per_trial == 1.0


def test_a_trial_that_needs_half_of_a_card_has_it_alone() -> None:
    card = FormulaCard(bytes_each=45 * GB)
    config, _ = measured(
        study_config(run={"trials": 100}), [Machine(64, 4)], card, lambda line: None
    )
    assert config.run.gpus_per_trial == 1.0 and card.calls == ["first", "add 0", "rate 1"]


def test_trials_of_a_real_ray_share_one_gpu_and_free_it(tmp_path: Path) -> None:
    """In a process of its own, for Ray starts once in each. Ray believes in two GPUs."""
    code = (
        "import ray, sys, time\n"
        "from hexsearch.backend.placement import card\n"
        "from hexsearch.backend.local_ray import private_folder\n"
        "from tests.backend.placement.stand_in import StandIn\n"
        "card.MeasuredTrial, card._SECONDS = StandIn, 0.0\n"
        "with private_folder() as folder:\n"
        "    ray.init(address='local', num_cpus=1, num_gpus=2, include_dashboard=False,\n"
        "             log_to_driver=False, _temp_dir=str(folder), object_store_memory=1 << 27)\n"
        "    with card.one_card(sys.argv[1]) as one:\n"
        "        found = card.measure(one, lambda footprint: 3)\n"
        "    print(dict(found.rates))\n"
        "    until = time.monotonic() + 60\n"
        "    while ray.available_resources().get('GPU') != 2.0 and time.monotonic() < until:\n"
        "        time.sleep(0.1)\n"
        "    print(ray.available_resources()['GPU'])\n"
        "    ray.shutdown()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["{1: 100.0, 2: 200.0}", "2.0"]
    assert len({file.read_text() for file in tmp_path.iterdir()}) == 1
