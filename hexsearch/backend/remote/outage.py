"""Says once that storage fails or is slow, however many requests do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_QUIET_S = 60.0  # without a failure, after which the next failure is another fault
_REST_S = 10.0  # after a failure, before work that can wait is tried again
_SLOW_S = 3.0  # for reading and writing a file of a hundred bytes


class Outage:
    """The state of a study's storage as its driver sees it. Threads may share it.

    Args:
        say: called with one line for each fault.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._clock = say, clock
        self._at: dict[str, float] = {}  # kind of fault -> time of its last sign
        self._lock = threading.Lock()

    def failed(self, error: Exception) -> None:
        """Note a failure. It is said if it is the first one of a fault."""
        if self._is_new("failure"):
            why = str(error).partition("\n")[0]
            self._say(f"warning: storage cannot be used for now, and the study goes on: {why}")

    def took(self, seconds: float) -> None:
        """Note how long a small file took to be read and written."""
        if seconds > _SLOW_S and self._is_new("slowness"):
            self._say(
                f"warning: storage is slow: {seconds:.0f} s to read and write a hundred bytes; "
                "trials wait for it at each report"
            )

    @property
    def is_resting(self) -> bool:
        """Whether storage has failed a moment ago, so that work that can wait should wait."""
        with self._lock:
            return self._clock() - self._at.get("failure", float("-inf")) < _REST_S

    def _is_new(self, kind: str) -> bool:
        """Whether there was no sign of this kind of fault for a while. Notes this one."""
        now = self._clock()
        with self._lock:
            before = self._at.get(kind)
            self._at[kind] = now
        return before is None or now - before > _QUIET_S
