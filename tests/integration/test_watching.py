"""A real study that is watched from another process while its driver lives, and when it dies."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.progress import read_progress
from tests.integration.test_command_line import command, games, launch
from tests.report.dashboard.serving import Events, served, wait_for

__all__ = ["games"]  # a fixture
FAR = ["scheduler.max_t=640000", "scheduler.grace_period=320000", "trial.batch_size=32"]


def test_positions_move_between_reports_and_a_killed_driver_is_missed(
    games: Path, tmp_path: Path
) -> None:
    settings = [part for setting in (*FAR, "run.max_concurrent=1") for part in ("--set", setting)]
    log = tmp_path / "log"
    with open(log, "wb") as file:
        driver = subprocess.Popen(
            command(*launch(games, tmp_path, "far", *settings)), stderr=file, stdout=file
        )
    folder = StudyFolder(tmp_path / "far")

    def positions() -> int:
        assert driver.poll() is None, log.read_text()
        return max((one.positions_seen for one in read_progress(folder.progress).trials.values()),
                   default=0)  # fmt: skip

    try:
        wait_for(lambda: positions() > 0, seconds=240)
        first, ledger = positions(), folder.ledger.read_bytes()
        wait_for(lambda: positions() > first)
        assert folder.ledger.read_bytes() == ledger and b'"reported"' not in ledger
        with served(tmp_path) as port:
            events = Events(port, "/study/far/events")
            assert 'data-trial="t0000"' in events.until("live", "in ")
            driver.kill()
            driver.wait(60)
            events.until("live", "its process has ended without a record")
            events.close()
    finally:
        driver.kill()
        driver.wait(60)
    text = log.read_text()
    assert "waiting for Ray to start" in text and "\r" not in text
