from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_trackio_holds_a_run_of_every_trial(tmp_path: Path) -> None:
    """In a process of its own: trackio takes its folder from the environment when imported."""
    pytest.importorskip("trackio")
    script = (
        "import hexsearch as hs, sys; from pathlib import Path\n"
        "from tests.interface.trackers.told import tell_two_trials\n"
        "tell_two_trials(Path(sys.argv[1]), hs.TrackioCallback())\n"
    )
    folder = tmp_path / "trackio"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "mine")],
        cwd=ROOT,
        env={**_environment(), "TRACKIO_DIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (database,) = folder.glob("mine*.db")
    with sqlite3.connect(database) as store:
        rows = store.execute("SELECT run_name, step FROM metrics ORDER BY run_name, step")
        steps = [(name, step) for name, step in rows]
    assert steps == [("t0000", 64), ("t0000", 192), ("t0000", 576), ("t0000", 1728), ("t0001", 32)]


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)
