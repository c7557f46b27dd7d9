"""Kills the driver at moments that random times hardly meet, once in each copy of the study."""

from __future__ import annotations

import fcntl
import os
import random
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from functools import partial

from chaos_processes import finish, wait_for
from chaos_study import CALM, MOMENTS, Study

from hexsearch.ledger.events import Record

_DELAY_S = 0.05  # longest time from the detection of a moment to the kill
_PIPE = 4096  # bytes of the smallest pipe of Linux


def kill_at_moments(
    study: Study, instants: random.Random, rounds: int, calm_s: float
) -> Iterator[None]:
    """Run a copy for each round, kill it at one moment, and resume it to its end."""
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
    """Whether the worker has trained the last interval, and now stores and sends the report."""
    last = [record for record in study.records(CALM) if record["event"] == "reported"][-1]
    losses = study.losses(last["trial"], last["report"]["positions_seen"])
    return lambda: losses.exists() or None


def _between_phases(study: Study) -> Callable[[], bool | None]:
    """Whether the search is over and the confirmation has not begun."""
    records = study.records(CALM)
    first = next(index for index, record in enumerate(records) if record["event"] == "chosen")
    before = max(index for index, record in enumerate(records[:first]) if _ends_trial(record))
    return lambda: study.lines() > before or None


def _ends_trial(record: Record) -> bool:
    return bool(record["event"] == "told")


_MOMENT = {"report": _last_report, "phases": _between_phases}


def _kill_in_table(study: Study, delay_s: float) -> None:
    """Kill the driver while it prints the leaderboard, which is longer than the pipe's buffer."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
    process = study.launch(study.copy, "--format", "json", stdout=writer)
    os.close(writer)
    if wait_for(partial(_is_full, reader), process) is None:
        raise SystemExit("the study ended before its table was printed")
    _kill(process, delay_s)
    os.close(reader)


def _is_full(reader: int) -> bool | None:
    held: int = struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]
    return held >= _PIPE or None


def _kill(process: subprocess.Popen[bytes], delay_s: float) -> None:
    time.sleep(delay_s)
    process.kill()
    process.wait()
