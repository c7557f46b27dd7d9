"""Kills of the driver at the moments that chance hardly meets: once in each copy of the study."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos_processes import finish, wait_for
from chaos_study import CALM, MOMENTS, Study

from hexsearch.ledger.events import Record

_DELAY_S = 0.05  # at most, from when a moment is seen to the kill
_STILL_S = 3.0  # without CPU time, on a busy machine


def kill_at_moments(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """A copy for each round, killed at one moment and resumed to its end."""
    for number in range(rounds):
        moment = MOMENTS[number % len(MOMENTS)]
        study.begin_another(f"{moment}-{number}")
        delay_s = instants.uniform(0.0, _DELAY_S)
        if moment == "table":
            _kill_in_table(study, delay_s)
        else:
            process = study.launch(study.copy)
            reached = _MOMENT[moment](study)
            if wait_for(reached, process, every_s=0.001) is None:
                raise SystemExit(f"the study ended before its moment '{moment}'")
            _kill(process, delay_s)
        study.note_kill()
        study.outcome[f"kills_at_{moment}"] += 1
        yield
        finish(study.go_on())
        study.settle()


def _last_report(study: Study) -> Callable[[], bool | None]:
    """Its worker has trained the last interval, and stores and sends what it measured."""
    last = [record for record in study.records(CALM) if record["event"] == "reported"][-1]
    losses = study.losses(last["trial"], last["report"]["positions_seen"])
    return lambda: losses.exists() or None


def _between_phases(study: Study) -> Callable[[], bool | None]:
    """The search is over, and the confirmation has not begun."""
    records = study.records(CALM)
    first = next(index for index, record in enumerate(records) if record["event"] == "chosen")
    before = max(index for index, record in enumerate(records[:first]) if _ends_trial(record))
    return lambda: study.lines() > before or None


def _ends_trial(record: Record) -> bool:
    return bool(record["event"] == "told")


_MOMENT = {"report": _last_report, "phases": _between_phases}


def _kill_in_table(study: Study, delay_s: float) -> None:
    """Kill the driver while it waits for the table's reader: the pipe is full already."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    os.write(writer, bytes(size - 1))
    process = study.launch(study.copy, stdout=writer)
    os.close(writer)
    finished = len(study.records(CALM))
    if wait_for(lambda: study.lines() >= finished or None, process) is None:
        raise SystemExit("the study ended without a word")
    if wait_for(_Still(process.pid).once, process) is None:
        raise SystemExit("the study ended before its table was printed")
    _kill(process, delay_s)
    os.close(reader)


class _Still:
    """Whether a process has used no CPU time for a while, as one that waits to write."""

    def __init__(self, pid: int) -> None:
        self._path, self._used, self._since = Path(f"/proc/{pid}/stat"), -1, 0.0

    def once(self) -> bool | None:
        """True once it has."""
        fields = self._path.read_text().rpartition(")")[2].split()
        used = int(fields[11]) + int(fields[12])
        if used > self._used + 1:  # a tick is nothing: threads of Ray look round
            self._used, self._since = used, time.monotonic()
        return time.monotonic() - self._since > _STILL_S or None


def _kill(process: subprocess.Popen[bytes], delay_s: float) -> None:
    time.sleep(delay_s)
    process.kill()
    process.wait()
