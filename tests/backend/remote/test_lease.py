"""One driver at a time runs a study whose files are in storage."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hexsearch.backend.remote.lease import LEASE, Holder, Lease, Watch, held_lease
from hexsearch.backend.storage import Storage
from hexsearch.errors import DiskError, LedgerError


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of_path(tmp_path / "bucket")


FIRST = Holder("node-a", 11, "token-a")
SECOND = Holder("node-b", 22, "token-b")


class Waiting:
    """A clock for a watch. `during` is called at each look."""

    def __init__(self, during: Callable[[float], object] = lambda seconds: None) -> None:
        self.seconds = 0.0
        self.said: list[str] = []
        self._during = during

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self._during(self.seconds)

    @property
    def watch(self) -> Watch:
        return Watch(self.said.append, self.sleep)


def test_a_driver_that_renews_its_lease_keeps_the_study(storage: Storage) -> None:
    lease = Lease.take(storage, "study", FIRST, Watch())
    waiting = Waiting(lambda seconds: seconds >= 15 and lease.renew())
    with pytest.raises(LedgerError, match="process 11 on node-a is running this study; stop it"):
        Lease.take(storage, "study", SECOND, waiting.watch)
    assert waiting.seconds <= 20  # a driver that lives is recognised at its next renewal
    assert waiting.said == [
        "process 11 on node-a ran this study and did not end it; waiting 90 s for a sign of life"
    ]
    assert lease.renew()


def test_a_driver_that_is_silent_for_90_seconds_loses_the_study(storage: Storage) -> None:
    dead = Lease.take(storage, "study", FIRST, Watch())
    waiting = Waiting()
    alive = Lease.take(storage, "study", SECOND, waiting.watch)
    assert waiting.seconds == 90
    assert not dead.renew()  # it was not dead, but cut off
    assert "process 22 on node-b has taken the study over" in str(dead.lost)
    assert alive.renew()  # which the other one did not disturb
    dead.release()
    assert alive.renew() and storage.names("study") == [LEASE]


def test_a_driver_that_ends_while_it_is_watched_hands_the_study_over(storage: Storage) -> None:
    lease = Lease.take(storage, "study", FIRST, Watch())
    waiting = Waiting(lambda seconds: lease.release())
    Lease.take(storage, "study", SECOND, waiting.watch)
    assert waiting.seconds == 5


def test_a_folder_takes_its_own_lease_again_at_once(storage: Storage, tmp_path: Path) -> None:
    """Its driver was killed: the lock of its ledger says so."""
    folder = tmp_path / "study"
    holder = Holder.of_folder(folder)
    Lease.take(storage, "study", holder, Watch()).remember(folder)
    waiting = Waiting()
    again = Holder.of_folder(folder)
    assert again.token == holder.token
    Lease.take(storage, "study", replace(again, process=99), waiting.watch)
    assert waiting.seconds == 0
    # A copy of the folder on another host is another driver's.
    elsewhere = replace(again, host="node-b")
    Lease.take(storage, "study", elsewhere, waiting.watch)
    assert waiting.seconds == 90


def test_a_lease_that_is_damaged_is_watched_as_any_other(storage: Storage) -> None:
    storage.write(f"study/{LEASE}", b"{")
    waiting = Waiting()
    Lease.take(storage, "study", FIRST, waiting.watch)
    assert waiting.seconds == 90


def test_a_study_that_ends_leaves_no_lease(storage: Storage, tmp_path: Path) -> None:
    with held_lease(tmp_path / "study", storage.url, print) as lease:
        assert lease is not None and storage.names("study") == [LEASE]
    assert storage.names("study") == []
    with held_lease(tmp_path / "study", None, print) as none:
        assert none is None


def test_a_lease_is_renewed_while_something_long_is_done(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexsearch.backend.remote.lease.RENEW_EVERY_S", 0.01)
    lease = Lease.take(storage, "study", FIRST, Watch())
    with lease.kept():
        wait_until(lambda: b'"renewals": 2' in (storage.read(f"study/{LEASE}") or b""))
    taken = pytest.raises(DiskError, match="process 22 on node-b has taken the study over")
    with taken, lease.kept():
        Lease(storage, "study", SECOND)._write()
        wait_until(lambda: lease.lost is not None)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
