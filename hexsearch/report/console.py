"""Progress of a running study: a live view on a terminal, plain lines in a pipe."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

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
from hexsearch.report.live_view import (
    LIVE_STAGES,
    Shown,
    clock_time,
    live_view,
    progress_line,
    running_line,
)
from hexsearch.report.terminal import Console

DECISIONS = (Decided, Promoted, Discarded, Failed)  # what becomes of trials
_REFRESH_S = 0.25
_PAUSE = 20.0  # times what a drawing took is waited for the next one, since it grows with a study
_QUIET_S = 60.0  # time without a line after which a log gets one
_REMIND_S = 1.0  # between two looks whether a line is due
_KEPT = 3  # decisions in the live view
# Why a trial is run, where the search did not propose it.
_WHY = {origin: why for trials in PHASE_TRIALS.values() for origin, why in trials.origins.items()}


class PlainProgress:
    """One line for each event, for pipes, logs and CI. In each minute there is one line or more."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._print, self._clock = say, clock
        self._said_at = clock()
        self._waits_for = ""
        self._ended = threading.Event()
        self._reminder = threading.Thread(target=self._remind_until_end, daemon=True)

    def __enter__(self) -> PlainProgress:
        self._reminder.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._reminder.join()

    def say(self, line: str) -> None:
        """Print one line."""
        self._said_at = self._clock()
        self._print(line)

    def wait(self, what: str) -> None:
        """Print what the study waits for."""
        self._waits_for = what
        self.say(f"waiting for {what}")

    def remind(self) -> None:
        """Print again what the study waits for, if there was no line for a minute."""
        if self._waits_for and self._is_quiet():
            self.say(f"still waiting for {self._waits_for}")

    def record(self, event: Event, history: StudyHistory) -> None:
        """Print a line about an event, if it matters to a person."""
        line = describe_event(event, history)
        if line:
            self.say(line)

    def beat(self, history: StudyHistory, progress: StudyProgress) -> None:
        """Print how far the running trials are, if there was no line for a minute."""
        if progress.trials:
            self._waits_for = ""
        if not self._waits_for and self._is_quiet():
            self.say(f"{progress_line(history)}; {running_line(progress)}")

    def _is_quiet(self) -> bool:
        return self._clock() - self._said_at >= _QUIET_S

    def _remind_until_end(self) -> None:
        """The main thread may be busy, for example while Ray starts or the games are read."""
        while not self._ended.wait(_REMIND_S):
            self.remind()


class LiveProgress:
    """A view that is redrawn in place, with the running trials and the last decisions."""

    def __init__(
        self,
        canvas: Canvas,
        say: Callable[[str], None],
        max_positions: int,
        clock: Callable[[], float],
    ) -> None:
        self._canvas, self._say_above = canvas, say
        self._max_positions, self._clock = max_positions, clock
        self._due_at = -math.inf
        self._started = clock()
        self._decisions: deque[str] = deque(maxlen=_KEPT)
        self._progress = StudyProgress()

    def __enter__(self) -> LiveProgress:
        self._canvas.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self._canvas.close()

    def say(self, line: str) -> None:
        """Print a line above the live view."""
        self._say_above(line)

    def wait(self, what: str) -> None:
        """Show what the study waits for."""
        elapsed = clock_time(self._clock() - self._started)
        self._canvas.draw(Text(f"waiting for {what}  {elapsed}"))

    def record(self, event: Event, history: StudyHistory) -> None:
        """Keep a decision. Failures, retries and ends of phases are printed as lines."""
        line = describe_event(event, history)
        if isinstance(event, (Failed, Retried, Compared, Chosen)):
            self.say(line)
        if isinstance(event, DECISIONS) and line:
            self._decisions.append(line)
        self._draw_if_due(history)

    def beat(self, history: StudyHistory, progress: StudyProgress) -> None:
        """Redraw a few times a second."""
        self._progress = progress
        self._draw_if_due(history)

    def _draw_if_due(self, history: StudyHistory) -> None:
        now = self._clock()
        if now < self._due_at:
            return
        shown = Shown(history, self._progress, self._max_positions, tuple(self._decisions))
        self._canvas.draw(live_view(shown, now - self._started, self._canvas.width))
        took = self._clock() - now
        self._due_at = now + max(_REFRESH_S, _PAUSE * took)


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
    """One line about an event, or an empty text if it does not matter to a person."""
    if isinstance(event, TrialEvent):
        return _describe_trial(event, history.trials[event.trial])
    if isinstance(event, (Finished, Interrupted)):
        return f"study {event.event}: {progress_line(history)}"
    if isinstance(event, Compared):
        return event.sentence
    if isinstance(event, Chosen):
        names = ", ".join(place.name for place in event.places)
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
    return ", ".join(
        f"{name} {stages[name].value_loss:.3f}" for name in LIVE_STAGES if name in stages
    )
