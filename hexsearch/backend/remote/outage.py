"""Says once that storage fails or is slow, however many requests do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_QUIET_S = 60.0  # without a sign of a fault, after which the next sign is of another fault
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
        self._signed_at, self._failed_at = float("-inf"), float("-inf")
        self._lock = threading.Lock()

    def failed(self, error: Exception) -> None:
        """Note a failure. It is said if it is the first sign of a fault."""
        self._failed_at = self._clock()
        if self._is_new():
            why = str(error).partition("\n")[0]
            self._say(f"warning: storage cannot be used for now, and the study goes on: {why}")

    def took(self, seconds: float) -> None:
        """Note how long a small file took to be read and written.

        A request that is made while storage comes back takes long, and is part of that fault.
        """
        if seconds > _SLOW_S and self._is_new():
            self._say(
                f"warning: storage is slow: {seconds:.0f} s to read and write a hundred bytes; "
                "trials wait for it at each report"
            )

    @property
    def is_resting(self) -> bool:
        """Whether storage has failed a moment ago, so that work that can wait should wait."""
        return self._clock() - self._failed_at < _REST_S

    def _is_new(self) -> bool:
        """Whether there was no sign of a fault for a while. Notes this one."""
        now = self._clock()
        with self._lock:
            before, self._signed_at = self._signed_at, now
        return now - before > _QUIET_S
