"""What a driver leaves that was killed: nothing that runs, and nothing that stays."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.test_command_line import LONG, command, launch, run, wait_for
from tests.integration.test_command_line import games as games

pytestmark = pytest.mark.slow
_SECONDS = 10.0  # within which every process of a killed driver has gone


def started_by(ancestor: int) -> dict[int, str]:
    """The living descendants of a process and what they are."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                names[int(entry.name)] = (entry / "cmdline").read_bytes().decode()

    def ancestors(process: int) -> Iterator[int]:
        while process > 1:
            process = parents.get(process, 0)
            yield process

    return {process: name for process, name in names.items() if ancestor in ancestors(process)}


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_every_process_ends_within_seconds_of_a_killed_driver_and_its_folder_goes_later(
    games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = Path("/tmp") / f"hk{os.getpid()}"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    driver = subprocess.Popen(
        command(*launch(games, tmp_path, "s", *LONG, "run.max_concurrent=1", "--no-doctor")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(tmp_path / "s" / "ledger.jsonl", "reported", driver)
        left = started_by(driver.pid)
    finally:
        driver.kill()
        driver.communicate()
    assert any("raylet" in name for name in left.values())
    assert any("gcs_server" in name for name in left.values())
    ends = time.monotonic() + _SECONDS
    while (living := [left[p] for p in left if alive(p)]) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not living
    (session,) = temporary.glob("hexs-*")
    done = run("resume", tmp_path / "s")
    assert done.returncode == 0, done.stderr
    assert not session.exists() and not list(temporary.glob("hexs-*"))
    with suppress(OSError):
        temporary.rmdir()
