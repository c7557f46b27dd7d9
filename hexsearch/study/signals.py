"""Signals: after the first one, trials run to their next report; the second one ends at once.

While no trials run, every signal ends the command. A signal that was ignored when the command
began stays ignored, since with `nohup` closing the terminal must not end the command.
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

# Signals of a terminal, of a batch system and of a closed terminal. QUIT also prints stacks.
STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)  # Windows has only two of them
)
_Handler = Callable[[int, FrameType | None], Any]


class Drainable(Protocol):
    """An object that starts jobs and can stop doing so."""

    draining: bool

    def drain(self) -> None:
        """Start no more jobs, and stop each running job after its next report."""


@contextmanager
def handled(handler: _Handler) -> Iterator[None]:
    """Handle every signal that ends a command, except ignored signals."""
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
    """Treat signals like Ctrl-C, so that the command cleans up and prints a message."""

    def handle(number: int, frame: FrameType | None) -> None:
        print_stacks(number)
        signal.default_int_handler(number, frame)

    with handled(handle):
        yield


@contextmanager
def draining_signals(target: Drainable, say: Callable[[str], None]) -> Iterator[None]:
    """The first signal drains the target. A second signal ends the command at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if target.draining:
            raise KeyboardInterrupt
        print_stacks(number)
        target.drain()
        say("stopping: running trials stop at their next report; a second signal ends at once")

    with handled(handle):
        yield


def end_at_once() -> None:
    """Let a further signal end this process without a message. It is for the end of a program.

    Packages clean up after the last line of a program, as Ray does. KeyboardInterrupt would print a
    traceback there.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def print_stacks(number: int) -> None:
    """Print the stacks of all threads for QUIT; do nothing for other signals."""
    if number == getattr(signal, "SIGQUIT", None):
        with suppress(OSError, ValueError, AttributeError):  # stderr may not be a file
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
