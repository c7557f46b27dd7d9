"""What a long loop says now and then: how far it is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

_SAY_EVERY_S = 3.0
_SURE_AFTER_S = 10.0  # before that, an estimate of the time left is worth little

Watch = Callable[[int, int], None]  # called with what is done and with all that there is


def at_intervals(
    say: Callable[[str], None],
    what: str = "files read",
    every_s: float = _SAY_EVERY_S,
    clock: Callable[[], float] = time.monotonic,
) -> Watch:
    """A progress function that calls `say` now and then.

    It says `12 of 40 files read`, and after ten seconds `, about 3 min left` as well.
    """
    began = said_at = clock()

    def watch(done: int, total: int) -> None:
        nonlocal said_at
        now = clock()
        if now - said_at < every_s:
            return
        said_at = now
        left = ""
        if 0 < done < total and now - began >= _SURE_AFTER_S:
            left = f", about {duration((now - began) * (total - done) / done)} left"
        say(f"{done:,} of {total:,} {what}{left}")

    return watch


def duration(seconds: float) -> str:
    """The largest fitting unit: `45 s`, `12 min`, `3.4 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
