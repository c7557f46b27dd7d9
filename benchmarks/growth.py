"""Measures whether the driver grows over hundreds of trials: memory, descriptors, threads, `/tmp`.

`python benchmarks/growth.py [--trials 300]` runs one study of tiny trials by the command line and
looks at its driver, and at the folder of temporary files, after every 25 trials that have ended.
Exit status 1 if the driver has more descriptors or threads at the end than early on, or a tenth
more memory, or if the study leaves anything behind.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from chaos_study import SMALL_SIDE, small_games
from process_tree import memory_of

from hexsearch.errors import LedgerError
from hexsearch.ledger.ledger import read_ledger

ROOT = Path(__file__).parents[1]
_EVERY = 25  # trials between two looks
_EARLY = 50  # trials after which all imports and caches of the driver are made
_MEMORY = 1.10  # limit relative to the early figure; the history of trials needs some memory
_LOOK_S = 0.2
_CACHE = "torchinductor_"  # torch makes this empty folder once for each user, and keeps it
_SHOWN = 2000  # characters of a failed study's messages


@dataclass(frozen=True)
class Look:
    """Figures of the driver after a number of trials, and of the folder of temporary files."""

    trials: int
    seconds: float
    memory_mib: int
    descriptors: int
    threads: int
    files: int
    file_mib: float


def main() -> int:
    """Run the study, and print each look and what has grown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--positions", type=int, default=256, help="that a whole trial sees")
    arguments = parser.parse_args()
    # Ray's folder is in `t` only if its path is short.
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        results, temporary = Path(folder) / "r", Path(folder) / "t"
        temporary.mkdir()
        looks = watched(arguments, results, temporary)
        left = sorted(p.name for p in temporary.iterdir() if not p.name.startswith(_CACHE))
    print(json.dumps({"looks": [asdict(look) for look in looks], "left_behind": left}))
    faults = grown(looks) + [f"left behind: {name}" for name in left]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def watched(arguments: argparse.Namespace, results: Path, temporary: Path) -> list[Look]:
    """The looks of one study."""
    began = time.monotonic()
    looks: list[Look] = []
    log = temporary.with_name("log")
    with open(log, "wb") as messages:
        process = _launch(arguments, results, temporary, messages)
    while process.poll() is None:
        time.sleep(_LOOK_S)
        ended = _ended(results / "grow" / "ledger.jsonl")
        if ended >= _EVERY * (len(looks) + 1):
            with suppress(OSError):  # the driver may end at any time
                looks.append(_look(process.pid, ended, time.monotonic() - began, temporary))
                print(looks[-1], file=sys.stderr, flush=True)
    if process.returncode or _ended(results / "grow" / "ledger.jsonl") < arguments.trials:
        print(log.read_text(errors="replace")[-_SHOWN:], file=sys.stderr)
        raise SystemExit(f"the study ended with status {process.returncode}")
    return looks


def _launch(
    arguments: argparse.Namespace, results: Path, temporary: Path, messages: BinaryIO
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "run_search.py"),
            *("launch", str(ROOT / "search_spaces" / "smoke.yaml"), "--no-doctor"),
            *("--games", str(small_games(temporary.parent))),
            *("--set", f"data.board_size={SMALL_SIDE}"),
            *("--results", str(results), "--name", "grow", "--trials", str(arguments.trials)),
            *("--set", f"scheduler.max_t={arguments.positions}"),
            *("--set", f"scheduler.grace_period={arguments.positions // 4}"),
            *("--set", "run.keep_checkpoints=3"),
        ],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=messages,
    )


def grown(looks: list[Look]) -> list[str]:
    """The figures that are larger at the last look than at an early one."""
    early = next((look for look in looks if look.trials >= _EARLY), looks[0])
    late, faults = looks[-1], []
    for name, allowed in (
        ("descriptors", early.descriptors),
        ("threads", early.threads),
        ("files", early.files),
        ("memory_mib", round(early.memory_mib * _MEMORY)),
    ):
        if getattr(late, name) > allowed:
            faults.append(
                f"{name}: {getattr(late, name)} after {late.trials} trials, "
                f"{getattr(early, name)} after {early.trials}"
            )
    return faults


def _look(pid: int, trials: int, seconds: float, temporary: Path) -> Look:
    process = Path(f"/proc/{pid}")
    files = [path for path in temporary.rglob("*") if path.is_file()]
    return Look(
        trials=trials,
        seconds=round(seconds, 1),
        memory_mib=round(memory_of(pid)["resident_mib"]),
        descriptors=len(os.listdir(process / "fd")),
        threads=len(os.listdir(process / "task")),
        files=len(files),
        file_mib=round(sum(path.stat().st_size for path in files) / 2**20, 1),
    )


def _ended(ledger: Path) -> int:
    try:
        # A trial that goes on after a pause ends twice.
        return len({r["trial"] for r in read_ledger(ledger) if r["event"] == "told"})
    except LedgerError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
