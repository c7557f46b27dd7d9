"""The work as a study of the real command, and the memory of its worker after each trial."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from overhead_work import Work
from process_tree import memory_of

from hexsearch.errors import LedgerError
from hexsearch.ledger.ledger import read_ledger

HERE = Path(__file__).parent
_EARLY, _LATE = 3, 30  # trials after which a worker's memory is compared
_LOOK_S = 0.01


def launch(work: Work, name: str, *settings: str) -> subprocess.Popen[bytes]:
    """Start a study of the work."""
    return subprocess.Popen(
        [
            sys.executable,
            str(HERE.parent / "run_search.py"),
            "launch",
            str(work.write_space()),
            *("--games", work.games, "--results", work.directory, "--name", name),
            *(part for setting in settings for part in ("--set", setting)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ledger_of(work: Work, name: str) -> Path:
    return Path(work.directory) / name / "ledger.jsonl"


def worker_memory(work: Work, trials: int) -> dict[str, float]:
    """Memory of the only worker of a study of many short trials, after each trial."""
    short = replace(work, trials=trials, positions=1280, reports=1)
    process = launch(short, "memory", "run.max_concurrent=1")
    after: list[dict[str, float]] = []
    pids: set[int] = set()
    ledger, size = ledger_of(short, "memory"), 0
    while process.poll() is None:
        time.sleep(_LOOK_S)
        if not ledger.exists() or ledger.stat().st_size == size:
            continue
        size = ledger.stat().st_size
        ended, pid = ended_trials(ledger)
        if ended > len(after) and pid is not None:
            pids.add(pid)
            after += [memory_of(pid)] * (ended - len(after))
    require(process.returncode == 0 and len(after) >= trials - 1, "the memory study failed")
    require(len(pids) == 1, f"trials ran in {len(pids)} processes; there is nothing to compare")
    resident = [round(look["resident_mib"]) for look in after]
    print(f"worker's resident MiB after each trial: {resident}")
    early, late = round_about(after, _EARLY), round_about(after, min(_LATE, len(after) - 1))
    return {
        "worker_growth": round(late["resident_mib"] / early["resident_mib"], 3),
        "worker_private_growth": round(late["private_mib"] / early["private_mib"], 3),
        "worker_mib": round(early["resident_mib"]),
    }


def round_about(after: list[dict[str, float]], trial: int) -> dict[str, float]:
    """The median of three looks, since one of them may fall into the next trial."""
    looks = after[trial - 2 : trial + 1]
    return {name: statistics.median(look[name] for look in looks) for name in looks[0]}


def ended_trials(ledger: Path) -> tuple[int, int | None]:
    """Number of ended trials, and the process that ran the last one."""
    try:
        records = read_ledger(ledger)
    except LedgerError:
        return 0, None
    reports = [record["report"] for record in records if record["event"] == "reported"]
    ended = sum(record["event"] == "told" for record in records)
    return ended, reports[-1]["timings"]["pid"] if reports else None


def require(condition: bool, otherwise: str) -> None:
    """Check that the work was equal and has succeeded."""
    if not condition:
        raise SystemExit(otherwise)
