"""Studies in which eight trials or more begin together: some are trained to show what rungs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.ledger.events import Decided
from hexsearch.ledger.history import TrialHistory
from tests.search.pruners.test_evidence import config, shows, telling
from tests.search.simulation import make_engine, next_trial, report


@pytest.mark.parametrize("workers, every", [(7, 5), (8, 3)])
def test_many_workers_let_more_trials_show_what_rungs_say(
    tmp_path: Path, workers: int, every: int
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(), slots=lambda: workers)
    started = [next_trial(engine) for _ in range(workers)]
    for trial in started:
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
    shown = []
    for trial in started:
        assert isinstance(trial, TrialHistory)
        engine.hear(trial.trial, {trial.trial: report(64, 0.2 + 0.01 * trial.number)})
        *_, last = [event for event in engine.ledger if isinstance(event, Decided)]
        shown += [trial.number] if shows(last) else []
    assert shown == [n for n in range(workers) if n % every == every - 1]


def test_what_many_workers_train_to_show_what_rungs_say_is_trained_to_its_end(
    tmp_path: Path,
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(), slots=lambda: 8)
    for _ in range(8):
        trial = next_trial(engine)
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
    for level in (64, 192, 576):
        for number in (0, 1, 2):
            name = f"t{number:04d}"
            if level == 64 or number == 2:
                engine.hear(name, {name: report(level, 0.2 + 0.01 * number)})
    last = [e for e in engine.ledger if isinstance(e, Decided) and e.trial == "t0002"]
    assert [event.rung for event in last] == [64, 192, 576]
    assert all(shows(event) and event.decision == "continue" for event in last)
    assert last[-1].reason == "one trial of 3 goes on to its end, to show what rungs say"


def test_many_workers_that_are_cut_off_after_any_report_decide_as_if_they_were_not(
    tmp_path: Path,
) -> None:
    whole = make_engine(tmp_path / "whole.jsonl", config(), slots=lambda: 9)
    running: list[TrialHistory] = []
    while True:
        while len(running) < 9 and isinstance(trial := next_trial(whole), TrialHistory):
            whole.start(trial.trial)
            running.append(trial)
        if not running:
            break
        for each in list(running):
            seen = whole.history.trials[each.trial].positions_seen
            point = next(at for at in whole.schedules.points("search") if at > seen)
            if whole.hear(each.trial, {each.trial: telling(each, point)}) == "stop":
                whole.release(each.trial)
                running.remove(each)
    whole.ledger.close()
    events, lines = list(whole.ledger), (tmp_path / "whole.jsonl").read_bytes().splitlines(True)
    decided = [n for n, event in enumerate(events) if isinstance(event, Decided)]
    assert any("its end" in event.reason for event in events if isinstance(event, Decided))
    for number in decided:
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(lines[:number]))
        resumed = make_engine(path, config(), slots=lambda: 9)
        resumed.ledger.close()
        assert list(resumed.ledger)[number] == events[number]
