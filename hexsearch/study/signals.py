"""Signals: the first lets what runs come to its next report, the second leaves at once.

Before trials run and after, any of them leaves. A signal that was ignored when the command began
stays ignored: `nohup` means that a closed terminal is to change nothing.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol

# What a terminal, a batch system and a closed terminal send; QUIT asks for the stacks as well.
STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)  # Windows has two of them
)
_Handler = Callable[[int, FrameType | None], Any]


class Drainable(Protocol):
    """Whatever starts things, and can be told to start no more."""

    draining: bool

    def drain(self) -> None:
        """Start nothing more and let each running thing go after its next report."""


@contextmanager
def handled(handler: _Handler) -> Iterator[None]:
    """Handle every signal that asks for an end, save those that are ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {}
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Interrupt as Ctrl-C does, so that what was begun is cleaned up and said."""

    def handle(number: int, frame: FrameType | None) -> None:
        print_stacks(number)
        signal.default_int_handler(number, frame)

    with handled(handle):
        yield


@contextmanager
def draining_signals(target: Drainable, say: Callable[[str], None]) -> Iterator[None]:
    """First signal: drain. A second one leaves at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if target.draining:
            raise KeyboardInterrupt
        print_stacks(number)
        target.drain()
        say("stopping: running trials are kept at their next report; once more leaves at once")

    with handled(handle):
        yield


def print_stacks(number: int) -> None:
    """Where every thread is, for QUIT; nothing for other signals."""
    if number == getattr(signal, "SIGQUIT", None):
        with suppress(OSError, ValueError, AttributeError):  # stderr may be no file
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
