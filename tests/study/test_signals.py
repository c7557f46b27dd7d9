"""The first signal drains, the second one ends at once, and ignored signals stay ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hexsearch.study.signals import STOPPING, draining_signals, signals_as_ctrl_c


@pytest.fixture(autouse=True)
def nothing_is_ignored() -> Iterator[None]:
    """What ran the tests may ignore some, as a script in the background does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Target:
    draining = False

    def drain(self) -> None:
        self.draining = True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_first_signal_drains_and_the_second_leaves(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    target, said = Target(), list[str]()
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), draining_signals(target, said.append):
        os.kill(os.getpid(), number)
        assert target.draining and len(said) == 1
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    stacks = "Current thread" in capfd.readouterr().err
    assert stacks == (number == signal.SIGQUIT)


def test_a_closed_terminal_is_ignored_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_before_and_after_trials_any_signal_interrupts() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        with pytest.raises(KeyboardInterrupt), signals_as_ctrl_c():
            os.kill(os.getpid(), number)


def test_a_signal_in_the_last_moments_of_a_program_leaves_no_traceback() -> None:
    program = """
import atexit, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))  # a package that is cleaning up
from hexsearch.cli.main import main
main(["--version"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGINT)
    assert done.stdout.startswith("hexsearch ") and done.stderr == ""
