"""Trains one network to the end of its budget, with reports, checkpoints and a progress bar."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hexsearch.errors import ConfigError
from hexsearch.report.terminal import Console
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.report import TrialReport
from hexsearch.training.trial import Trial

_STEPS = 10  # steps between two tests for signals, and updates of the progress bar


def train_to_end(
    trial: Trial, points: tuple[int, ...], path: Path, console: Console, events: Path | None
) -> bool:
    """Train, report at each point, and save the latest state in `path`.

    Args:
        points: positions seen at which it reports. The last one is the budget.
        events: folder for TensorBoard.
    Returns:
        False if SIGINT or SIGTERM has stopped it. Then `path` holds the last full step.
    Raises:
        ConfigError: TensorBoard is requested, but not installed.
        TrialError: training diverged; `path` holds the state of the last report.
    """
    write = _event_writer(events) if events is not None else lambda report: None
    with _stop_flag() as stopped, _view(trial, console) as show:
        for point in points:
            while trial.positions_seen < point and not stopped():
                stride = _STEPS * trial.config.batch_size
                trial.train_to(min(point, trial.positions_seen + stride))
                show(trial.positions_seen)
            if trial.positions_seen < point:
                save_checkpoint(path, {"state": trial.state(), "games": _games(trial)})
                return False
            if trial.positions_seen > point:
                continue
            report = trial.report()
            recorded = {"positions_seen": report.positions_seen, "value_loss": report.value_loss}
            save_checkpoint(
                path,
                {
                    "state": trial.state(),
                    "report": json.dumps(recorded),
                    "games": _games(trial),
                },
            )
            write(report)
            console.print(Text(describe(report)), soft_wrap=True)
    return True


def _games(trial: Trial) -> torch.Tensor:
    """Hashes of the archive, from which `analyze` tells the games of training."""
    return torch.from_numpy(trial.dataset.archive.hashes.view(np.int64).copy())


def describe(report: TrialReport) -> str:
    """A report as one line."""
    overall = report.metrics.overall
    stages = ", ".join(
        f"{name} {part.value_loss:.3f}" for name, part in report.metrics.stages.items()
    )
    norms = ", ".join(f"{name} {norm:.2g}" for name, norm in report.gradients.norms.items())
    trained = {
        "value": report.train_value_loss,
        "policy": report.train_policy_loss,
        **report.train_auxiliary_losses,
    }
    verdict = report.verdict
    return (
        f"{report.positions_seen:>9,}  value loss {overall.value_loss:.4f} ({stages})  "
        f"accuracy {overall.accuracy:.1%}  policy loss {report.policy_loss:.3f}  "
        f"{_losses(report.auxiliary_losses)}in training {_losses(trained)}"
        f"gradients {norms}  {verdict.name}{': ' + verdict.evidence if verdict.evidence else ''}  "
        f"{report.timings['positions_per_s']:,.0f} positions/s"
    )


def _losses(losses: Mapping[str, float]) -> str:
    """Unweighted losses by name as text; empty without losses."""
    text = ", ".join(f"{name.replace('_', ' ')} {loss:.3f}" for name, loss in losses.items())
    return f"{text}  " if text else ""


@contextmanager
def _stop_flag() -> Iterator[Callable[[], bool]]:
    """Make the first SIGINT or SIGTERM set a flag. A second one has its usual effect."""
    caught: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, note)
    try:
        yield lambda: bool(caught)
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextmanager
def _view(trial: Trial, console: Console) -> Iterator[Callable[[int], None]]:
    """A progress bar with the remaining time on a terminal; nothing in a pipe."""
    progress = Progress(
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} positions"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = progress.add_task("", total=trial.max_positions, completed=trial.positions_seen)
    with progress if console.is_terminal else nullcontext():
        yield lambda seen: progress.update(task, completed=seen)


def _event_writer(folder: Path) -> Callable[[TrialReport], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f"--tensorboard: the package tensorboard is not installed ({error}); "
            "pip install 'hexsearch[tensorboard]'"
        ) from error
    writer = SummaryWriter(str(folder))

    def write(report: TrialReport) -> None:
        for name, value in _scalars(report).items():
            writer.add_scalar(name, value, report.positions_seen)
        writer.flush()

    return write


def _scalars(report: TrialReport) -> dict[str, float]:
    """The figures for TensorBoard, by name."""
    found = {
        "validation/value_loss": report.value_loss,
        "validation/accuracy": report.metrics.overall.accuracy,
        "validation/calibration_error": report.metrics.overall.calibration_error,
        "validation/policy_loss": report.policy_loss,
        "train/value_loss": report.train_value_loss,
        "train/policy_loss": report.train_policy_loss,
    }
    for name, loss in report.auxiliary_losses.items():
        found[f"validation/{name}_loss"] = loss
    for name, loss in report.train_auxiliary_losses.items():
        found[f"train/{name}_loss"] = loss
    for name, part in report.metrics.stages.items():
        found[f"stages/{name}"] = part.value_loss
    for name, norm in report.gradients.norms.items():
        found[f"gradient_norm/{name}"] = norm
    for name, ratio in report.gradients.update_ratio.items():
        found[f"update_ratio/{name}"] = ratio
    return found
