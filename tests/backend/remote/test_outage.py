"""A fault of storage is one line, however many requests fail."""

from __future__ import annotations

from hexsearch.backend.remote.outage import Outage
from hexsearch.errors import StorageError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_fault_is_one_line_and_the_next_fault_another() -> None:
    clock = Clock()
    said: list[str] = []
    outage = Outage(said.append, clock)
    for second in range(0, 300, 5):  # away for five minutes
        clock.now = float(second)
        outage.failed(StorageError(f"no route to host ({second})\nand more"))
    assert said == [
        "warning: storage cannot be used for now, and the study goes on: no route to host (0)"
    ]
    clock.now += 61.0
    outage.failed(StorageError("access denied"))
    assert len(said) == 2 and said[1].endswith("access denied")


def test_after_a_failure_storage_is_left_alone_for_a_moment() -> None:
    clock = Clock()
    outage = Outage(lambda line: None, clock)
    assert not outage.is_resting
    outage.failed(StorageError("x"))
    clock.now = 9.0
    assert outage.is_resting
    clock.now = 10.0
    assert not outage.is_resting


def test_what_takes_long_while_storage_comes_back_is_no_fault_of_its_own() -> None:
    clock = Clock()
    said: list[str] = []
    outage = Outage(said.append, clock)
    outage.failed(StorageError("no route to host"))
    clock.now = 30.0
    outage.took(17.0)
    assert len(said) == 1
    clock.now = 95.0
    outage.took(17.0)
    assert len(said) == 2


def test_slow_storage_is_said_once_with_its_time() -> None:
    said: list[str] = []
    outage = Outage(said.append, Clock())
    for seconds in (0.2, 2.9, 4.0, 5.0):
        outage.took(seconds)
    assert len(said) == 1 and "slow: 4 s to read and write" in said[0]
