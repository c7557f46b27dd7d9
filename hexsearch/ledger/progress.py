"""Progress of the running trials between their reports, in a file beside the ledger.

The file is for processes that watch the study. It is written about every second, and no decision
depends on it. It is removed when the study stops, unless the driver was killed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hexsearch.ledger.kinds import checked
from hexsearch.training.atomic import read_whole


@dataclass(frozen=True)
class TrialProgress:
    """Where a trial stands that a worker has begun.

    Attributes:
        next_report: positions at which it reports, or only saves, next.
        max_positions: its whole budget.
        positions_per_s: over the last half minute; None where nothing is known yet.
        is_starting: before the worker has trained.
    """

    positions_seen: int
    next_report: int
    max_positions: int
    positions_per_s: float | None = None
    is_starting: bool = False

    @property
    def seconds_to_report(self) -> float | None:
        """Of training; None where nothing is known of its speed."""
        if not self.positions_per_s:
            return None
        return max(0, self.next_report - self.positions_seen) / self.positions_per_s

    @property
    def doing(self) -> str:
        """`starting`, `training`, or `evaluating` what it has come to."""
        if self.is_starting:
            return "starting"
        return "evaluating" if self.positions_seen >= self.next_report else "training"


@dataclass(frozen=True)
class StudyProgress:
    """Trials that workers have begun, by name.

    Attributes:
        at: when it was noted, in Unix seconds.
    """

    at: float = 0.0
    trials: dict[str, TrialProgress] = field(default_factory=dict)


def store_progress(path: Path, progress: StudyProgress) -> None:
    """Replace the file as a whole. A disk that takes no more is the ledger's business, not ours."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with suppress(OSError):
        partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        os.replace(partial, path)


def remove_progress(path: Path) -> None:
    """Nothing runs any more."""
    with suppress(OSError):
        path.unlink()


def read_progress(path: Path) -> StudyProgress:
    """What was stored last; nothing where nothing was, or where the file is no such file."""
    try:
        raw = json.loads(read_whole(path))
        trials = {name: checked(TrialProgress(**one)) for name, one in raw["trials"].items()}
        return StudyProgress(float(raw["at"]), trials)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return StudyProgress()
