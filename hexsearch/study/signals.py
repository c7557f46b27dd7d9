"""Ctrl-C and SIGTERM: the first lets what runs come to its next report, the second leaves.

Before trials run and after, either one leaves.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Drainable(Protocol):
    """Whatever starts things, and can be told to start no more."""

    draining: bool

    def drain(self) -> None:
        """Start nothing more and let each running thing go after its next report."""


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does, so that what was begun is cleaned up and said."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def draining_signals(target: Drainable, say: Callable[[str], None]) -> Iterator[None]:
    """First SIGINT or SIGTERM: drain. A second one leaves at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if target.draining:
            raise KeyboardInterrupt
        target.drain()
        say("stopping: running trials are kept at their next report; once more leaves at once")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
