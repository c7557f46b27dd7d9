"""How far each running trial is between its reports, and how fast; kept for those who watch."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from hexsearch.ledger.events import Event, Reported, Retried, Started, Told
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.progress import StudyProgress, TrialProgress, remove_progress, store_progress
from hexsearch.search.schedules import PhaseSchedules

_SPEED_S = 30.0  # over which a trial's speed is a mean
_STORE_S = 1.0
_READ_S = 0.25  # a thousand trials take milliseconds, and Tune's loop turns at every message


class _Track:
    """The last positions of one trial, with their times."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, positions: int) -> None:
        self._seen.append((now, positions))
        while now - self._seen[0][0] > _SPEED_S and len(self._seen) > 2:
            self._seen.popleft()

    def begin(self, now: float, positions: int) -> None:
        """Leave out the time that an evaluation took."""
        self._seen.clear()
        self.add(now, positions)

    @property
    def has_begun(self) -> bool:
        return bool(self._seen)

    @property
    def positions(self) -> int:
        return self._seen[-1][1] if self._seen else 0

    @property
    def speed(self) -> float | None:
        if len(self._seen) < 2:
            return None
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return round((after - before) / (last - first), 1) if last > first else None


class ProgressMeter:
    """Takes in what workers say between reports; writes it beside the ledger."""

    def __init__(
        self,
        folder: StudyFolder,
        schedules: PhaseSchedules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._schedules, self._clock = folder.progress, schedules, clock
        self._tracks: dict[str, _Track] = {}
        self._stored_at: float | None = None
        self._read_at = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether the last reading is a quarter of a second old."""
        return self._clock() - self._read_at >= _READ_S

    def note(self, trials: list[TrialHistory], positions: int) -> None:
        """A worker has come so far with the trials of its job."""
        for trial in trials:
            self._tracks.setdefault(trial.trial, _Track()).add(self._clock(), positions)

    def apply(self, event: Event) -> None:
        """A trial begins, reports, or is no longer with a worker."""
        if isinstance(event, Started):
            self._tracks[event.trial] = _Track()
        elif isinstance(event, Reported) and event.trial in self._tracks:
            self._tracks[event.trial].begin(self._clock(), event.report.positions_seen)
        elif isinstance(event, (Told, Retried)):
            self._tracks.pop(event.trial, None)

    def read(self, history: StudyHistory) -> StudyProgress:
        """Where the running trials are."""
        self._read_at = self._clock()
        trials = {
            name: self._of(history.trials[name], track) for name, track in self._tracks.items()
        }
        return StudyProgress(round(time.time(), 3), trials)

    def store(self, progress: StudyProgress) -> None:
        """Write it, at most once a second."""
        now = self._clock()
        if self._stored_at is None or now - self._stored_at >= _STORE_S:
            self._stored_at = now
            store_progress(self._path, progress)

    def close(self) -> None:
        """Nothing runs any more."""
        remove_progress(self._path)

    def _of(self, trial: TrialHistory, track: _Track) -> TrialProgress:
        points = self._schedules.points(trial.phase)
        reported, seen = trial.positions_seen, track.positions
        following = [point for point in points if point > reported]
        # A confirmation passes points at which it only saves.
        due = next((point for point in following if point >= seen), points[-1])
        return TrialProgress(
            max(seen, reported), due, points[-1], track.speed, is_starting=not track.has_begun
        )
