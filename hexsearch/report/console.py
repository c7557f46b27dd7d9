"""What a study shows while it runs: a live view on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.text import Text

from hexsearch.config.phases import PHASE_TRIALS
from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.events import (
    Chosen,
    Compared,
    Decided,
    Discarded,
    Event,
    Failed,
    Finished,
    Interrupted,
    Promoted,
    Reported,
    Retried,
    Started,
    Suggested,
    TrialEvent,
)
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.progress import StudyProgress
from hexsearch.ledger.report import ReportSummary
from hexsearch.report.canvas import Canvas, NotebookCanvas, TerminalCanvas
from hexsearch.report.live_view import Shown, clock_time, live_view, progress_line, running_line
from hexsearch.report.terminal import Console

DECISIONS = (Decided, Promoted, Discarded, Failed)  # what becomes of trials
_REFRESH_S = 0.25
_QUIET_S = 60.0  # in a log without events, until a line says where trials are
_KEPT = 3  # decisions that the live view keeps
_STAGES = ("early", "middle", "late", "final")
# Why a trial is run, where the search did not propose it.
_WHY = {origin: why for trials in PHASE_TRIALS.values() for origin, why in trials.origins.items()}


class PlainProgress:
    """One line an event, for pipes, logs and CI, and one a minute while there are no events."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._print, self._clock = say, clock
        self._said_at = clock()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def say(self, line: str) -> None:
        """One line."""
        self._said_at = self._clock()
        self._print(line)

    def wait(self, what: str) -> None:
        """Say what the study waits for."""
        self.say(f"waiting for {what}")

    def record(self, event: Event, history: StudyHistory) -> None:
        """Print what a person wants to know of an event."""
        line = describe_event(event, history)
        if line:
            self.say(line)

    def beat(self, history: StudyHistory, progress: StudyProgress) -> None:
        """Say where the running trials are, when nothing else was said for a minute."""
        if progress.trials and self._clock() - self._said_at >= _QUIET_S:
            self.say(f"{progress_line(history)}; {running_line(progress)}")


class LiveProgress:
    """A view that is redrawn in place: what is waited for, running trials, last decisions."""

    def __init__(
        self,
        canvas: Canvas,
        say: Callable[[str], None],
        max_positions: int,
        clock: Callable[[], float],
    ) -> None:
        self._canvas, self._say_above = canvas, say
        self._max_positions, self._clock = max_positions, clock
        self._drawn_at = 0.0
        self._started = clock()
        self._decisions: deque[str] = deque(maxlen=_KEPT)
        self._progress = StudyProgress()

    def __enter__(self) -> LiveProgress:
        self._canvas.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._canvas.__exit__(kind, value, traceback)

    def say(self, line: str) -> None:
        """A line above the live view."""
        self._say_above(line)

    def wait(self, what: str) -> None:
        """Show what the study waits for."""
        elapsed = clock_time(self._clock() - self._started)
        self._canvas.draw(Text(f"waiting for {what}  {elapsed}"))

    def record(self, event: Event, history: StudyHistory) -> None:
        """Failures, retries and ends of phases stay on the screen; the rest shows in the view."""
        line = describe_event(event, history)
        if isinstance(event, (Failed, Retried, Compared, Chosen)):
            self.say(line)
        if isinstance(event, DECISIONS) and line:
            self._decisions.append(line)
        self._draw(history)

    def beat(self, history: StudyHistory, progress: StudyProgress) -> None:
        """Redraw a few times a second."""
        self._progress = progress
        if self._clock() - self._drawn_at >= _REFRESH_S:
            self._draw(history)

    def _draw(self, history: StudyHistory) -> None:
        self._drawn_at = self._clock()
        elapsed = self._clock() - self._started
        shown = Shown(history, self._progress, self._max_positions, tuple(self._decisions))
        self._canvas.draw(live_view(shown, elapsed, self._canvas.width))


Progress = PlainProgress | LiveProgress


def make_progress(console: Console, max_positions: int) -> Progress:
    """A live view on a terminal and in a notebook, plain lines elsewhere."""

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    if console.is_jupyter:
        return LiveProgress(NotebookCanvas(), say, max_positions, time.monotonic)
    if console.is_terminal:
        return LiveProgress(TerminalCanvas(console), say, max_positions, time.monotonic)
    return PlainProgress(say)


def describe_event(event: Event, history: StudyHistory) -> str:
    """One line about an event, empty where there is nothing to say."""
    if isinstance(event, TrialEvent):
        return _describe_trial(event, history.trials[event.trial])
    if isinstance(event, (Finished, Interrupted)):
        return f"study {event.event}: {progress_line(history)}"
    if isinstance(event, Compared):
        return event.sentence
    if isinstance(event, Chosen):
        names = ", ".join(str(place["name"]) for place in event.places)
        return f"confirmation: {names} with fresh seeds, to be judged on test games"
    return ""


def _describe_trial(event: TrialEvent, trial: TrialHistory) -> str:
    name = trial.trial
    if isinstance(event, Suggested):
        seed = f" (seed {trial.replicate + 1})" if trial.replicate else ""
        why = _WHY.get(trial.origin, f"suggested by {trial.origin}")
        return f"{name} {why}: {variant_name(trial)}{seed}"
    if isinstance(event, Started) and event.attempt > 1:
        seen = trial.positions_seen
        return f"{name} started again (attempt {event.attempt}) from {seen:,} positions"
    if isinstance(event, Reported):
        report = event.report
        verdict = "" if report.verdict == "healthy" else f", {report.verdict}"
        return (
            f"{name} at {report.positions_seen:,} positions: value loss "
            f"{report.value_loss:.4f} ({_stage_losses(report)}), "
            f"{report.timings.positions_per_s:,.0f} positions/s{verdict}"
        )
    if isinstance(event, Decided):
        return _describe_decision(event, trial)
    if isinstance(event, Failed):
        return f"{name} failed: {trial.reason}"
    if isinstance(event, Promoted):
        return f"{name} goes on from its pause at {trial.positions_seen:,} positions"
    if isinstance(event, Discarded):
        return f"{name} pruned: its checkpoint made room for others"
    if isinstance(event, Retried):
        return f"{name} will be tried again: {event.reason}"
    return ""


def _describe_decision(event: Decided, trial: TrialHistory) -> str:
    if event.decision == "prune":
        return f"{trial.trial} pruned: {trial.reason}"
    if event.decision == "pause":
        return f"{trial.trial} paused at {event.rung:,} positions: {event.reason}"
    if event.decision == "continue" and event.reason:
        return f"{trial.trial} goes on at {event.rung:,} positions: {event.reason}"
    if event.decision == "continue":
        place = f"rank {event.rank} of {event.of} at {event.rung:,} positions"
        return f"{trial.trial} goes on: {place}"
    if event.decision == "complete":
        return f"{trial.trial} completed: value loss {event.value_loss:.4f}"
    return ""


def _stage_losses(report: ReportSummary) -> str:
    stages = report.metrics.stages
    return ", ".join(f"{name} {stages[name].value_loss:.3f}" for name in _STAGES if name in stages)
