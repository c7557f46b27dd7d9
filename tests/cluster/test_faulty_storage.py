"""Studies of every phase whose object storage is away, slow, overloaded or refuses credentials.

Each test takes three to five minutes on two busy cores; the last one eight.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.ledger.events import Record
from tests.cluster.stored_study import (
    Driver,
    Store,
    of_the_study,
    reports,
    store_behind_proxy,
    wait_until,
)

pytest.importorskip("moto.server", reason="wants the extra `s3test`, without constraints.txt")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with store_behind_proxy(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(store: Store) -> Iterator[None]:
    yield
    proxy = store.proxy
    proxy.away, proxy.revoked, proxy.delay_s, proxy.overloaded_every = False, False, 0.0, 0


@pytest.fixture(scope="module")
def expected(store: Store, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The records of a study whose storage has no fault."""
    results = tmp_path_factory.mktemp("straight")
    driver = store.launch("straight", results)
    try:
        assert driver.wait() == 0, driver.said
    finally:
        driver.kill()
    assert driver.warnings == []
    return of_the_study(results / "study" / "ledger.jsonl")


def in_the_middle(driver: Driver, results: Path) -> None:
    """Wait until a study has trained a while."""
    ledger = results / "study" / "ledger.jsonl"
    wait_until(lambda: reports(ledger) >= 8 or driver.process.poll() is not None)
    assert driver.process.poll() is None, driver.said


def test_a_server_that_is_away_for_a_minute_costs_a_minute_and_a_line(
    store: Store, expected: list[Record], tmp_path: Path
) -> None:
    driver = store.launch("away", tmp_path)
    try:
        in_the_middle(driver, tmp_path)
        store.proxy.away = True
        time.sleep(60.0)
        store.proxy.away = False
        assert driver.wait() == 0, driver.said
    finally:
        driver.kill()
    (line,) = driver.warnings
    assert "storage cannot be used for now, and the study goes on: s3://studies/away" in line
    assert of_the_study(tmp_path / "study" / "ledger.jsonl") == expected


def test_a_server_that_takes_two_seconds_a_request_costs_time_and_a_line(
    store: Store, expected: list[Record], tmp_path: Path
) -> None:
    driver = store.launch("slow", tmp_path)
    try:
        in_the_middle(driver, tmp_path)
        store.proxy.delay_s = 2.0
        time.sleep(60.0)
        store.proxy.delay_s = 0.0
        assert driver.wait() == 0, driver.said
    finally:
        driver.kill()
    (line,) = driver.warnings
    assert "storage is slow: " in line
    assert of_the_study(tmp_path / "study" / "ledger.jsonl") == expected


def test_a_server_that_answers_503_to_one_request_in_ten_costs_at_most_a_line(
    store: Store, expected: list[Record], tmp_path: Path
) -> None:
    store.proxy.overloaded_every, before = 10, store.proxy.refused
    driver = store.launch("overloaded", tmp_path)
    try:
        assert driver.wait() == 0, driver.said
    finally:
        driver.kill()
    assert store.proxy.refused - before > 20
    assert len(driver.warnings) <= 1  # the client's own retries hide nearly all
    assert of_the_study(tmp_path / "study" / "ledger.jsonl") == expected


def test_credentials_that_are_revoked_and_given_back_cost_a_line(
    store: Store, expected: list[Record], tmp_path: Path
) -> None:
    driver = store.launch("given-back", tmp_path)
    try:
        in_the_middle(driver, tmp_path)
        store.proxy.revoked = True
        time.sleep(45.0)
        store.proxy.revoked = False
        assert driver.wait() == 0, driver.said
    finally:
        driver.kill()
    (line,) = driver.warnings
    assert "storage cannot be used for now" in line
    # Which of them it is depends on the request that was refused first.
    assert "ACCESS_DENIED" in line or "INVALID_ACCESS_KEY_ID" in line
    assert of_the_study(tmp_path / "study" / "ledger.jsonl") == expected


def test_credentials_that_stay_revoked_stop_a_study_that_can_be_resumed(
    store: Store, expected: list[Record], tmp_path: Path
) -> None:
    driver = store.launch("revoked", tmp_path)
    try:
        in_the_middle(driver, tmp_path)
        store.proxy.revoked = True
        assert driver.wait() == 1, driver.said
        assert len(driver.warnings) == 1
        (line,) = [line for line in driver.said.splitlines() if line.startswith("error: ")]
        assert "the key does not exist" in line and "No file was lost" in line and "resume" in line
        assert "Traceback" not in driver.said
        store.proxy.revoked = False
        again = store.run(tmp_path, "resume", str(tmp_path / "study"))
        try:
            assert again.wait() == 0, again.said
        finally:
            again.kill()
    finally:
        driver.kill()
    assert of_the_study(tmp_path / "study" / "ledger.jsonl") == expected
