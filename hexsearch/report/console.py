"""What a study shows while it runs: a live view on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
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
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.ledger.report import ReportSummary

_REFRESH_S = 0.25
_SPEED_TRIALS = 8
_STAGES = ("early", "middle", "late", "final")
# Why a trial is run, where the search did not propose it.
_WHY = {origin: why for trials in PHASE_TRIALS.values() for origin, why in trials.origins.items()}


class PlainProgress:
    """One line an event, for pipes, logs and CI."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def record(self, event: Event, history: StudyHistory) -> None:
        """Print what a person wants to know of an event."""
        line = describe_event(event, history)
        if line:
            self.say(line)

    def beat(self, history: StudyHistory) -> None:
        """Lines appear with events only."""


class LiveProgress:
    """A view that is redrawn in place: running trials, rungs, best so far, speed, time left."""

    def __init__(self, console: Console, max_positions: int, clock: Callable[[], float]) -> None:
        self._console, self._max_positions, self._clock = console, max_positions, clock
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn_at = 0.0
        self._started = clock()

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, value, traceback)

    def say(self, line: str) -> None:
        """A line above the live view."""
        self._console.print(Text(line))

    def record(self, event: Event, history: StudyHistory) -> None:
        """Failures, retries and ends of phases stay on the screen; the rest shows in the view."""
        if isinstance(event, (Failed, Retried, Compared, Chosen)):
            self.say(describe_event(event, history))
        self._draw(history)

    def beat(self, history: StudyHistory) -> None:
        """Redraw a few times a second."""
        if self._clock() - self._drawn_at >= _REFRESH_S:
            self._draw(history)

    def _draw(self, history: StudyHistory) -> None:
        self._drawn_at = self._clock()
        elapsed = self._clock() - self._started
        self._live.update(live_view(history, self._max_positions, elapsed), refresh=True)


Progress = PlainProgress | LiveProgress


def make_progress(console: Console, max_positions: int) -> Progress:
    """A live view where the console is a terminal, plain lines elsewhere."""
    if console.is_terminal:
        return LiveProgress(console, max_positions, time.monotonic)
    return PlainProgress(lambda line: console.print(Text(line), soft_wrap=True))


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


def progress_line(history: StudyHistory) -> str:
    """Counts of trials by what became of them."""
    counts = {
        status: sum(trial.status == status for trial in history.trials.values())
        for status in ("completed", "paused", "pruned", "stopped", "failed")
    }
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    planned = len(history.trials) - history.searched
    further = f" and {planned} further" if planned else ""
    trials = f"{history.searched} of {history.target_trials} trials{further}"
    if not history.target_trials:
        trials = f"{planned} trials"
    return f"{trials}; {told or 'none ended yet'}"


def live_view(history: StudyHistory, max_positions: int, elapsed: float) -> RenderableType:
    """The whole view after `elapsed` seconds of this session."""
    ended = [trial for trial in history.trials.values() if trial.status in ENDED]
    running = [trial for trial in history.trials.values() if trial.status == "running"]
    speed = len(running) * _mean_speed(history)
    left = seconds_left(history, ended, running, speed)
    head = Text(f"{progress_line(history)}  {speed:,.0f} positions/s  {_clock_time(elapsed)}")
    head.append(f"  about {_clock_time(left)} left" if left is not None else "  ")
    bar = Table.grid()  # a bar of its own ends in no line break
    total = max(history.target_trials, len(history.trials), 1)
    bar.add_row(ProgressBar(total=total, completed=len(ended), width=60))
    return Group(
        bar,
        head,
        _running_table(running, max_positions),
        _rung_line(history),
        _best_line(history),
    )


def seconds_left(
    history: StudyHistory,
    ended: list[TrialHistory],
    running: list[TrialHistory],
    speed: float,
) -> float | None:
    """An estimate from what an ended trial has cost on average; None before there is one."""
    if not ended or not speed:
        return None
    mean_cost = sum(trial.positions_seen for trial in ended) / len(ended)
    target = max(history.target_trials, len(history.trials))
    waiting = max(0, target - len(ended) - len(running))
    half_way = sum(max(0.0, mean_cost - trial.positions_seen) for trial in running)
    return (waiting * mean_cost + half_way) / speed


_WRAPPED = ("variant", "verdict")  # columns that give way, without losing anything


def _running_table(running: list[TrialHistory], max_positions: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("trial", "variant", "seen", "value loss", *_STAGES, "verdict"):
        left = title in ("trial", "variant", "verdict")
        table.add_column(
            title,
            justify="left" if left else "right",
            no_wrap=title not in _WRAPPED,
            overflow="fold",
        )
    for trial in running:
        last = trial.last_report
        stages = {} if last is None else last.metrics.stages
        losses = [f"{stages[stage].value_loss:.3f}" if stage in stages else "" for stage in _STAGES]
        table.add_row(
            trial.trial,
            Text(variant_name(trial)),
            f"{trial.positions_seen / max_positions:.0%}",
            f"{last.value_loss:.4f}" if last else "",
            *losses,
            last.verdict.replace("_", " ") if last else "",
        )
    return table


def _rung_line(history: StudyHistory) -> Text:
    rungs = [
        f"{level / 1000:,.0f}k: {sum(went_on)} of {len(went_on)} went on"
        for level, went_on in sorted(history.rungs.items())
    ]
    return Text("rungs  " + ("   ".join(rungs) or "none reached yet"))


def _best_line(history: StudyHistory) -> Text:
    reported = [trial for trial in history.trials.values() if trial.curve]
    if not reported:
        return Text("best   no report yet")
    furthest = max(trial.positions_seen for trial in reported)
    best = min(
        (trial for trial in reported if trial.positions_seen == furthest),
        key=lambda trial: trial.value_loss or 0.0,
    )
    return Text(
        f"best   {best.value_loss:.4f} at {furthest:,} positions: "
        f"{best.trial} {variant_name(best)}",
        style="bold",
    )


def _mean_speed(history: StudyHistory) -> float:
    """Positions a second of one trial, over the latest reports."""
    reports = [trial.last_report for trial in history.trials.values() if trial.last_report]
    speeds = [report.timings.positions_per_s for report in reports[-_SPEED_TRIALS:]]
    return sum(speeds) / len(speeds) if speeds else 0.0


def _stage_losses(report: ReportSummary) -> str:
    stages = report.metrics.stages
    return ", ".join(f"{name} {stages[name].value_loss:.3f}" for name in _STAGES if name in stages)


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
