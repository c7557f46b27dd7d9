"""Measures CPU time and memory of a command and of all its child processes, from /proc."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK")
_Process = tuple[int, int]  # process id and start time, which together are unique


@dataclass
class ProcessTree:
    """Looks at a process and its descendants at intervals, while the context is open.

    The CPU time of a process between the last look and its end is not counted.
    """

    root: int
    every_s: float = 1.0
    _cpu: dict[_Process, float] = field(default_factory=dict)
    _names: dict[_Process, str] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ProcessTree:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds so far: of the command, of Ray's workers, and of Ray's other processes."""
        seconds = {"command": 0.0, "workers": 0.0, "ray": 0.0}
        for process, used in list(self._cpu.items()):  # the other thread adds to it
            if process[0] == self.root:
                kind = "command"
            else:
                name = self._names[process]
                is_agent = not name.startswith("ray::") or name.rstrip("\0 ").endswith("Agent")
                kind = "ray" if is_agent else "workers"
            seconds[kind] += used
        return seconds

    def _watch(self) -> None:
        while not self._done.wait(self.every_s):
            self._look()

    def _look(self) -> None:
        parents: dict[int, int] = {}
        found: dict[int, tuple[_Process, float]] = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with suppress(OSError):
                    fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                    number = int(entry.name)
                    parents[number] = int(fields[1])
                    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
                    found[number] = (number, int(fields[19])), cpu
        for number, (process, cpu) in found.items():
            if process in self._cpu or self._is_ours(number, parents):
                with suppress(OSError):  # Ray titles its workers once they have work
                    title = Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace")
                    if title:  # a zombie has none
                        self._names[process] = title
                self._names.setdefault(process, "")
                self._cpu[process] = cpu

    def _is_ours(self, number: int, parents: dict[int, int]) -> bool:
        while number > 1:
            if number == self.root:
                return True
            number = parents.get(number, 0)
        return False


def memory_of(pid: int) -> dict[str, float]:
    """Resident and private memory of a process, in MiB.

    Raises:
        OSError: the process has ended.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"resident_mib": kib["Rss"] / 1024, "private_mib": private / 1024}
