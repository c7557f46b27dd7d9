from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import RenderableType

from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.progress import StudyProgress, TrialProgress
from hexsearch.report.canvas import TerminalCanvas
from hexsearch.report.console import LiveProgress, PlainProgress, make_progress
from hexsearch.report.live_view import Shown, live_view, progress_line
from hexsearch.report.terminal import Console
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
    progress = StudyProgress(0.0, {first.trial: TrialProgress(96, 192, 1728, 50.0)})
    shown = Shown(engine.history, progress, engine.schedules.rungs.max_positions, ("one", "two"))
    console.print(live_view(shown, elapsed=65.0))
    text = console.export_text()
    assert "2 of 12 trials; 1 pruned" in text
    assert "rungs  0k: 1 of 2 went on" in text
    assert "  50 positions/s" in text  # one is running
    assert re.search(r" 96 +6% +in 0:02 ", text)  # (192 - 96) / 50 seconds
    assert f"study  {'━' * 3}" in text and f"{(1 + 96 / 1728) / 12:.0%}" in text
    assert "last   two\n       one" in text
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
    shown = Shown(engine.history, max_positions=engine.schedules.rungs.max_positions)
    console.print(live_view(shown, elapsed=65.0, width=80))
    table, _, _ = console.export_text().partition("rungs")
    assert "…" not in table
    for word in (*variant_name(trial).split(), "constant", "output"):
        assert word in table


def test_before_the_first_report_the_view_has_nothing_to_boast_of() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(live_view(Shown(StudyHistory(), max_positions=100), elapsed=0.0))
    text = console.export_text()
    assert "no report yet" in text and "none reached yet" in text
    assert "left" not in text


def test_a_pipe_gets_plain_lines_and_a_terminal_a_live_view() -> None:
    pipe = Console(file=io.StringIO())
    assert isinstance(make_progress(pipe, 100), PlainProgress)
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(make_progress(terminal, 100), LiveProgress)


def live_progress(console: Console, clock: Callable[[], float]) -> LiveProgress:
    return LiveProgress(TerminalCanvas(console), lambda line: None, 100, clock)


class SlowCanvas:
    """Notes when it draws, which takes a time of its own."""

    width = 80

    def __init__(self, now: list[float], takes: float) -> None:
        self.now, self.takes = now, takes
        self.drawn: list[float] = []

    def open(self) -> None: ...

    def draw(self, view: RenderableType) -> None:
        self.drawn.append(self.now[0])
        self.now[0] += self.takes

    def close(self) -> None: ...


@pytest.mark.parametrize(("takes", "drawn"), [(0.0, [0, 2, 4, 6, 8, 10]), (0.0625, [0, 10])])
def test_the_view_is_redrawn_by_the_clock_and_seldom_when_it_is_slow(
    takes: float, drawn: list[int]
) -> None:
    now = [0.0]
    canvas = SlowCanvas(now, takes)
    progress = LiveProgress(canvas, lambda line: None, 100, lambda: now[0])
    for eighth in range(12):
        now[0] = eighth / 8
        progress.record(StudyOpened(), StudyHistory())
        progress.beat(StudyHistory(), StudyProgress())
    assert canvas.drawn == [eighth / 8 for eighth in drawn]


def test_a_view_moves_between_reports_and_keeps_the_last_decisions(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", study_config(), slots=lambda: 3)
    now, file = [0.0], io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    with live_progress(console, lambda: now[0]) as progress:
        engine.setup = replace(
            engine.setup, observe=lambda event: progress.record(event, engine.history)
        )
        for loss in (0.3, 0.4, 0.5):
            trial = next_trial(engine)
            assert isinstance(trial, TrialHistory)
            engine.start(trial.trial)
            engine.report(trial.trial, report(64, loss))
        for now[0], seen in ((1.0, 70), (2.0, 90)):
            running = StudyProgress(0.0, {"t0000": TrialProgress(seen, 192, 1728, 20.0)})
            progress.beat(engine.history, running)
            assert f" {seen} " in file.getvalue()
    engine.ledger.close()
    assert "last   t0002 pruned: rank 3 of 3 at 64 positions" in file.getvalue()


def test_while_a_study_starts_the_view_and_the_log_say_what_it_waits_for() -> None:
    file = io.StringIO()
    with live_progress(Console(file=file, force_terminal=True, width=80), lambda: 3.0) as live:
        live.wait("Ray to start")
    assert "waiting for Ray to start  0:00" in file.getvalue()
    lines: list[str] = []
    PlainProgress(lines.append).wait("Ray to start")
    assert lines == ["waiting for Ray to start"]


def test_a_log_has_one_line_a_minute_of_a_quiet_study_and_no_carriage_returns() -> None:
    now, file = [0.0], io.StringIO()
    console = Console(file=file, width=80)
    progress = PlainProgress(lambda line: console.print(line, soft_wrap=True), lambda: now[0])
    running = StudyProgress(0.0, {"t0000": TrialProgress(1234, 8192, 98_304, 100.0)})
    history = StudyHistory(target_trials=5)
    for now[0] in range(0, 130):
        progress.beat(history, running)
    line = "0 of 5 trials; none ended yet; running: t0000 at 1,234 of 98,304 positions (in 1:10)\n"
    assert file.getvalue() == 2 * line


def test_a_log_says_each_minute_what_a_study_waits_for(tmp_path: Path) -> None:
    now = [0.0]
    lines: list[str] = []
    progress = PlainProgress(lines.append, lambda: now[0])
    progress.wait("Ray to start")
    for now[0] in range(0, 130):
        progress.remind()
    assert lines == ["waiting for Ray to start", *2 * ["still waiting for Ray to start"]]
    running = StudyProgress(0.0, {"t0000": TrialProgress(1234, 8192, 98_304, 100.0)})
    progress.beat(StudyHistory(target_trials=5), running)
    now[0] = 300.0
    progress.remind()
    assert len(lines) == 3


def test_a_notebook_gets_one_output_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython")
    shown: list[str] = []

    class Handle:
        def update(self, markup: Any) -> None:
            shown.append(markup.data)

    def display(markup: Any, display_id: bool) -> Handle:
        assert display_id and not shown  # the first time only
        shown.append(markup.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    console = Console(file=io.StringIO(), force_jupyter=True)
    with make_progress(console, 100) as progress:
        assert isinstance(progress, LiveProgress)
        progress.wait("<Ray>")
        progress.beat(StudyHistory(target_trials=5), StudyProgress())
    assert "waiting for &lt;Ray&gt;" in shown[0]
    assert "0 of 5 trials" in shown[1] and shown[2] == ""


def test_progress_of_a_new_study_says_that_nothing_ended() -> None:
    history = StudyHistory(target_trials=5)
    assert progress_line(history) == "0 of 5 trials; none ended yet"
