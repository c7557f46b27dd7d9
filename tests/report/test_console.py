from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.report.console import (
    LiveProgress,
    PlainProgress,
    live_view,
    make_progress,
    progress_line,
)
from hexsearch.search.engine import Engine
from tests.search.simulation import (
    curve,
    make_engine,
    next_trial,
    report,
    run_serially,
    study_config,
)


def lines_of_a_study(path: Path) -> list[str]:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    engine: Engine = make_engine(
        path / "ledger.jsonl",
        study_config(),
        observe=lambda event: progress.record(event, engine.history),
    )
    run_serially(engine)
    engine.ledger.close()
    return lines


def test_every_event_that_matters_is_one_plain_line(tmp_path: Path) -> None:
    lines = lines_of_a_study(tmp_path)
    text = "\n".join(lines)
    assert all("\n" not in line for line in lines)
    for words in ("t0000 suggested by tpe: 512->", "value loss 0.", "pruned: rank", "completed:"):
        assert words in text
    assert sum(" suggested by " in line for line in lines) == 12


def test_the_live_view_shows_running_trials_rungs_best_and_time_left(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(), slots=lambda: 2)
    first, second = next_trial(engine), next_trial(engine)
    assert isinstance(first, TrialHistory) and isinstance(second, TrialHistory)
    for trial in (first, second):
        engine.start(trial.trial)
    engine.report(first.trial, curve(first, 64))
    engine.report(second.trial, report(64, 0.9))
    engine.ledger.close()
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live_view(engine.history, engine.schedules.rungs.max_positions, elapsed=65.0))
    text = console.export_text()
    assert "2 of 12 trials; 1 pruned" in text
    assert "rungs  0k: 1 of 2 went on" in text
    assert "1,000 positions/s" in text  # one is running, at 1,000
    assert "1:05" in text and "left" in text
    assert f"best   {curve(first, 64).value_loss:.4f} at 64 positions: t0000" in text
    assert first.trial in text


def test_in_80_columns_the_live_view_cuts_off_neither_names_nor_verdicts(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(), slots=lambda: 1)
    trial = next_trial(engine)
    assert isinstance(trial, TrialHistory)
    engine.start(trial.trial)
    engine.report(trial.trial, replace(curve(trial, 32), verdict="constant_output"))
    engine.ledger.close()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(live_view(engine.history, engine.schedules.rungs.max_positions, elapsed=65.0))
    table, _, _ = console.export_text().partition("rungs")
    assert "…" not in table
    for word in (*variant_name(trial).split(), "constant", "output"):
        assert word in table


def test_before_the_first_report_the_view_has_nothing_to_boast_of() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live_view(StudyHistory(), max_positions=100, elapsed=0.0))
    text = console.export_text()
    assert "no report yet" in text and "none reached yet" in text
    assert "left" not in text


def test_a_pipe_gets_plain_lines_and_a_terminal_a_live_view() -> None:
    pipe = Console(file=io.StringIO())
    assert isinstance(make_progress(pipe, 100), PlainProgress)
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(make_progress(terminal, 100), LiveProgress)


def test_the_view_is_redrawn_by_the_clock_and_not_at_every_beat() -> None:
    now = [0.0]
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    progress = LiveProgress(console, max_positions=100, clock=lambda: now[0])
    drawn = []
    progress._draw = lambda history: drawn.append(now[0])  # type: ignore[method-assign]
    for now[0] in (0.1, 0.3, 0.4):
        progress.beat(StudyHistory())
    assert drawn == [0.3, 0.4]


def test_progress_of_a_new_study_says_that_nothing_ended() -> None:
    history = StudyHistory(target_trials=5)
    assert progress_line(history) == "0 of 5 trials; none ended yet"
