"""A simulated cluster gives the engine what a real one gives it, at the simulated times."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from scale import SimulatedStudy, open_engine
from scale_cluster import Faults
from scale_figures import Point, without_the_start

from hexsearch.ledger.events import Event, Reported, Retried, Started
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_events, without_times

TRIALS, WORKERS, EVERY = 24, 16, 33
RULES = ["evidence", "forecast"]


def simulated(path: Path, faults: Faults) -> tuple[SimulatedStudy, list[Event]]:
    """A small study, and its records."""
    study = SimulatedStudy(StudyFolder(path), TRIALS, RULES)
    study.run(WORKERS, EVERY, faults)
    return study, read_events(study.folder.ledger)


def test_the_trials_of_a_lost_node_go_on_from_their_last_report(tmp_path: Path) -> None:
    study, events = simulated(tmp_path, Faults(lost_every_s=900.0, back_after_s=60.0))
    lost = [event for event in events if isinstance(event, Retried)]
    assert lost and f"{len(lost)} trials" in study.happened
    seen: Counter[str] = Counter()
    for event in events:
        if isinstance(event, Reported):
            assert event.report.positions_seen > seen[event.trial]
            seen[event.trial] = event.report.positions_seen
    started = Counter(event.trial for event in events if isinstance(event, Started))
    assert all(started[event.trial] > 1 for event in lost)
    assert StudyHistory.of(events).state == "finished"
    assert len(StudyHistory.of(events).trials) == TRIALS


def test_in_a_partition_half_of_the_nodes_are_silent_and_report_afterwards(tmp_path: Path) -> None:
    length = 600.0
    study, events = simulated(tmp_path, Faults(partition_at_s=700.0, partition_s=length))
    began = events[0].at
    times = [event.at - began for event in events if isinstance(event, Reported)]
    late = times.count(700.0 + length)
    assert late > 1 and f"; {late} reports at once" in study.happened
    assert sum(700.0 < at < 700.0 + length for at in times) > 1


def test_slow_nodes_take_longer(tmp_path: Path) -> None:
    hours = [
        float(simulated(tmp_path / name, faults)[0].happened.split()[0])
        for name, faults in (("even", Faults()), ("slow", Faults(slow_share=1.0, slowdown=3.0)))
    ]
    assert hours[1] == pytest.approx(3 * hours[0], rel=0.35)


def test_a_simulated_study_is_repeated_and_replayed_exactly(tmp_path: Path) -> None:
    faults = Faults(lost_every_s=1800.0, slow_share=0.2, partition_at_s=700.0)
    first, events = simulated(tmp_path / "first", faults)
    again = simulated(tmp_path / "again", faults)[1]
    records = [[json.dumps(without_times(e.to_record())) for e in es] for es in (events, again)]
    assert records[0] == records[1]
    replayed = open_engine(first.folder, TRIALS, RULES)
    replayed.ledger.close()
    assert replayed.next_job() == "finished"
    assert replayed.history == first.engine.history


def test_points_at_which_the_workers_are_most_of_the_study_are_not_drawn() -> None:
    points = [Point(trials, 0, 0, 0, 0.0, 0.0, 0.0, 0.0) for trials in (200, 500, 1000, 2000)]
    assert without_the_start(points, workers=100) == points[1:]
    assert without_the_start(points, workers=1000) == points  # none is left to fit otherwise
