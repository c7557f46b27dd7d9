"""Property tests in two lengths: some examples in every run, and fresh ones for minutes.

`HEXSEARCH_FUZZ_MINUTES=10 pytest -m slow -s -k for_minutes` says how many inputs were tried.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

MINUTES = float(os.environ.get("HEXSEARCH_FUZZ_MINUTES", "10"))
_AT_ONCE = 500  # examples that hypothesis draws in one go
_MOST_GROWTH_MIB = 500  # of the process, over all examples

SHORT = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def for_minutes(
    name: str, check: Callable[..., None], at_once: int = _AT_ONCE, **drawn: SearchStrategy[Any]
) -> None:
    """Fresh examples until the time is over; how many there were, and the peak of memory.

    Args:
        at_once: examples between two looks at the clock; fewer where each takes long.
    """
    inputs, before, began = 0, peak_mib(), time.monotonic()

    @settings(
        max_examples=at_once,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(**drawn)
    def once(**example: Any) -> None:
        nonlocal inputs
        inputs += 1
        check(**example)

    while time.monotonic() - began < 60.0 * MINUTES:
        once()
    minutes = (time.monotonic() - began) / 60.0
    print(f"\n{name}: {inputs:,} inputs in {minutes:.1f} minutes, peak {peak_mib():.0f} MiB")
    assert peak_mib() - before < _MOST_GROWTH_MIB


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
