"""The machine of a driver is lost, and the study goes on on another host.

The two tests take seven and five minutes on two busy cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.stored_study import (
    Store,
    of_the_study,
    records,
    reports,
    store_behind_proxy,
    wait_until,
)

pytest.importorskip("moto.server", reason="wants the extra `s3test`, without constraints.txt")
pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "store"
    folder.mkdir()
    with store_behind_proxy(folder) as running:
        yield running


def trained(ledger: Path) -> list[tuple[str, int]]:
    """Trials and points of all reports."""
    return [
        (record["trial"], record["report"]["positions_seen"])
        for record in records(ledger)
        if record["event"] == "reported"
    ]


def test_a_study_whose_driver_is_lost_is_resumed_from_its_url_on_another_host(
    store: Store, tmp_path: Path
) -> None:
    straight = store.launch("straight", tmp_path / "straight")
    try:
        assert straight.wait() == 0, straight.said
    finally:
        straight.kill()
    first = tmp_path / "first host"
    driver = store.launch("lost", first)
    ledger = first / "study" / "ledger.jsonl"
    try:
        wait_until(lambda: reports(ledger) >= 10)
        refused = store.run(tmp_path / "third host", "resume", store.study_url("lost"))
        assert refused.wait() == 2
        assert f"process {driver.process.pid} on " in refused.said
        assert "is running this study; stop it there" in refused.said
        wait_until(lambda: reports(ledger) >= 14)
    finally:
        driver.kill()
    lost = trained(ledger)
    (first / "study").rename(tmp_path / "gone")
    second = tmp_path / "second host"
    arguments = ("resume", store.study_url("lost"), "--results", str(second))
    again = store.run(second, *arguments)
    try:
        assert again.wait() == 0, again.said
    finally:
        again.kill()
    assert "waiting 90 s for a sign of life" in again.said
    found = second / "study" / "ledger.jsonl"
    assert of_the_study(found) == of_the_study(tmp_path / "straight" / "study" / "ledger.jsonl")
    assert trained(found)[: len(lost)] == lost
    # What storage has last is the end of the study, and nobody holds it.
    third = store.run(
        tmp_path / "fourth host",
        *("resume", store.study_url("lost"), "--results", str(tmp_path / "fourth host")),
    )
    assert third.wait() == 0 and "study is finished" in third.said
    assert "waiting" not in third.said


def test_the_same_command_starts_a_study_and_resumes_it_after_its_pod_has_died(
    store: Store, tmp_path: Path
) -> None:
    """Two pods one after the other, with nothing in common but storage."""
    first = store.launch("pod", tmp_path / "pod 1", "--or-resume")
    try:
        wait_until(lambda: reports(tmp_path / "pod 1" / "study" / "ledger.jsonl") >= 6)
    finally:
        first.kill()
    second = store.launch("pod", tmp_path / "pod 2", "--or-resume")
    try:
        assert second.wait() == 0, second.said
    finally:
        second.kill()
    assert "was started before and is resumed" in second.said
    events = [record["event"] for record in records(tmp_path / "pod 2" / "study" / "ledger.jsonl")]
    assert (events.count("resumed"), events[-1]) == (1, "finished")
