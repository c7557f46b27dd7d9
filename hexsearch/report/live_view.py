"""The live view of a study: its progress, its running trials, its last decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hexsearch.leaderboard.promising import most_promising
from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.history import ENDED, StudyHistory, TrialHistory
from hexsearch.ledger.progress import StudyProgress, TrialProgress

_SPEED_TRIALS = 8
LIVE_STAGES = ("early", "middle", "late", "final")
_WIDE_FROM = 110  # characters of width
_BAR = 40
_WRAPPED = ("variant", "verdict")  # columns that may take several lines


@dataclass(frozen=True)
class Shown:
    """The content of the view.

    Attributes:
        progress: progress of the running trials between their reports.
        max_positions: budget of a trial of the search.
        decisions: the last decisions in words.
    """

    history: StudyHistory
    progress: StudyProgress = field(default_factory=StudyProgress)
    max_positions: int = 1
    decisions: Sequence[str] = ()

    @property
    def running(self) -> list[TrialHistory]:
        """The trials that workers train."""
        return [trial for trial in self.history.trials.values() if trial.status == "running"]

    def seen(self, trial: TrialHistory) -> int:
        """Positions seen by a trial, also between reports."""
        one = self.progress.trials.get(trial.trial)
        return max(trial.positions_seen, one.positions_seen if one else 0)

    def budget(self, trial: TrialHistory) -> int:
        """Positions after which a trial is finished."""
        one = self.progress.trials.get(trial.trial)
        return one.max_positions if one else self.max_positions

    @property
    def share(self) -> float:
        """Share of the study's work that is done; a running trial counts in part."""
        history, running = self.history, self.running
        ended = sum(trial.status in ENDED for trial in history.trials.values())
        half_way = sum(min(1.0, self.seen(trial) / self.budget(trial)) for trial in running)
        return (ended + half_way) / max(1, self.total)

    @property
    def total(self) -> int:
        """Number of trials of the whole search, and of those that other phases have planned."""
        planned = len(self.history.trials) - self.history.searched
        return planned + max(self.history.target_trials, self.history.searched)

    @property
    def speed(self) -> float:
        """Positions per second of all running trials."""
        usual = _mean_speed(self.history)
        tracks = [self.progress.trials.get(trial.trial) for trial in self.running]
        return sum(
            track.positions_per_s if track and track.positions_per_s else usual for track in tracks
        )


def progress_line(history: StudyHistory) -> str:
    """Number of trials by status."""
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


def running_line(progress: StudyProgress) -> str:
    """One line with the positions of the running trials."""
    trials = ", ".join(
        f"{name} at {one.positions_seen:,} of {one.max_positions:,} positions ({until_report(one)})"
        for name, one in progress.trials.items()
    )
    return f"running: {trials or 'none'}"


def live_view(shown: Shown, elapsed: float, width: int = 120) -> RenderableType:
    """The view after `elapsed` seconds of this session."""
    history = shown.history
    left = seconds_left(shown)
    head = Text(f"{progress_line(history)}  {shown.speed:,.0f} positions/s  {clock_time(elapsed)}")
    if left is not None:
        head.append(f"  about {clock_time(left)} left")
    bar = Table.grid(padding=(0, 1))  # a bar outside of a table would not end in a line break
    bar.add_row("study ", ProgressBar(total=1.0, completed=shown.share, width=_BAR),
                f"{shown.share:.0%}")  # fmt: skip
    return Group(
        bar,
        head,
        _running_table(shown, width),
        _rung_line(history),
        _best_line(history),
        *_decision_lines(shown.decisions),
    )


def seconds_left(shown: Shown) -> float | None:
    """An estimate from the mean cost of ended trials; None if no trial has ended."""
    history, speed, running = shown.history, shown.speed, shown.running
    ended = [trial for trial in history.trials.values() if trial.status in ENDED]
    if not ended or not speed:
        return None
    mean_cost = sum(trial.positions_seen for trial in ended) / len(ended)
    waiting = max(0, shown.total - len(ended) - len(running))
    half_way = sum(max(0.0, mean_cost - shown.seen(trial)) for trial in running)
    return (waiting * mean_cost + half_way) / speed


def clock_time(seconds: float) -> str:
    """Such as 0:45 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _running_table(shown: Shown, width: int) -> RenderableType:
    running = shown.running
    if not running:
        return Text("\nno trial is running; workers start, or a phase is planned\n")
    stages = LIVE_STAGES if width >= _WIDE_FROM else ()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("trial", "variant", "positions", "seen", "report", "value loss", *stages,
                  "verdict"):  # fmt: skip
        left = title in ("trial", "variant", "verdict")
        table.add_column(
            title,
            justify="left" if left else "right",
            no_wrap=title not in _WRAPPED,
            overflow="fold",
        )
    for trial in running:
        last, one = trial.last_report, shown.progress.trials.get(trial.trial)
        found = {} if last is None else last.metrics.stages
        seen = shown.seen(trial)
        table.add_row(
            trial.trial,
            Text(variant_name(trial)),
            f"{seen:,}",
            f"{seen / shown.budget(trial):.0%}",
            until_report(one) if one else "",
            f"{last.value_loss:.4f}" if last else "",
            *(f"{found[name].value_loss:.3f}" if name in found else "" for name in stages),
            last.verdict.replace("_", " ") if last else "",
        )
    return table


def until_report(one: TrialProgress) -> str:
    """Time to the next report, or what the worker does if it does not train."""
    seconds = one.seconds_to_report
    if one.doing != "training":
        return one.doing
    return "training" if seconds is None else f"in {clock_time(seconds)}"


def _rung_line(history: StudyHistory) -> Text:
    rungs = [
        f"{level / 1000:,.0f}k: {sum(went_on)} of {len(went_on)} went on"
        for level, went_on in sorted(history.rungs.items())
    ]
    return Text("rungs  " + ("   ".join(rungs) or "none reached yet"))


def _best_line(history: StudyHistory) -> Text:
    best = most_promising(history)
    if best is None:
        return Text("best   no report yet")
    name = variant_name(history.trials[best.trial])
    return Text(
        f"best   {best.value_loss:.4f} at {best.positions_seen:,} positions: {best.trial} {name}",
        style="bold",
    )


def _decision_lines(decisions: Sequence[str]) -> list[Text]:
    """The last decisions, the latest first."""
    heads = ["last   ", *["       "] * len(decisions)]
    return [Text(head + line) for head, line in zip(heads, reversed(decisions), strict=False)]


def _mean_speed(history: StudyHistory) -> float:
    """Positions per second of one trial, from the latest reports."""
    reports = [trial.last_report for trial in history.trials.values() if trial.last_report]
    speeds = [report.timings.positions_per_s for report in reports[-_SPEED_TRIALS:]]
    return sum(speeds) / len(speeds) if speeds else 0.0
