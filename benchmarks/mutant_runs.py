"""Judges mutants: whether each matters, and whether the doctor and its simplest rival find it.

Each mutant runs in a process forked from one that has only imported the code, so that no cache
holds results of the sound functions.
"""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest
from mutant_trials import CONFIGURATIONS, digests, executed
from mutants import ROOMS, Mutant, install

from hexsearch.data import archive as archives
from hexsearch.errors import printable
from hexsearch.game.record import Game
from tests.doctor.slips import Slip, nothing
from tests.doctor.test_yardstick import findings_on, rival_finds

LIMIT_S = 90.0
_MEMORY = 16 * 2**30  # bytes of addresses that a mutant may ask for
Named = tuple[str, str, str]  # severity, check and cause of a finding
Job = Callable[[Connection], None]


@dataclass(frozen=True)
class Sound:
    """What the sound code does in each configuration.

    Attributes:
        lines: file and line of whatever the small trials execute.
        findings: of the doctor; rival: whether the simplest rival finds a fault.
    """

    digests: dict[str, str]
    lines: frozenset[tuple[str, int]]
    findings: dict[str, list[Named]]
    rival: dict[str, bool]


@dataclass
class Result:
    """What became of a mutant.

    Attributes:
        key: of the mutant.
        outcome: equivalent, crashes, hangs or matters.
        configuration: the first one in which it matters.
        findings: errors and warnings that the sound code does not have.
        rival: whether the simplest rival finds it, and not the sound code too.
        note: an exception that was raised, by a trial or by the doctor.
    """

    key: str
    outcome: str
    configuration: str = ""
    findings: list[Named] = field(default_factory=list)
    rival: bool = False
    note: str = ""
    seconds: float = 0.0

    @property
    def found(self) -> str:
        """The gravest severity of its findings; empty without findings."""
        severities = {severity for severity, _, _ in self.findings}
        return "error" if "error" in severities else "warning" if severities else ""


def sound_code(games: list[Game], names: Sequence[str]) -> Sound:
    """Run the sound code, each part in a process of its own, so that none fills the caches."""

    def digested(out: Connection) -> None:
        seen: set[tuple[str, int]] = set()
        folders = tuple(path for room in ROOMS for path in importlib.import_module(room).__path__)
        with executed(seen, lambda file: file.startswith(folders)):
            out.send((digests(games, list(names)), frozenset(seen)))

    def examined(name: str) -> Job:
        return lambda out: out.send((_findings(name, games), _rival_finds(name, games)))

    own, lines = _alone(digested)
    found = {name: _alone(examined(name)) for name in names}
    findings, rival = ({name: both[n] for name, both in found.items()} for n in (0, 1))
    return Sound(own, lines, findings, rival)


def judge(mutant: Mutant, sound: Sound, games: list[Game], out: Connection) -> None:
    """Send the result on a mutant, in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    result = Result(mutant.key, "matters")
    with pytest.MonkeyPatch.context() as patch:
        try:
            install(mutant, patch)
            own = digests(games, list(sound.digests))
        except Exception as error:  # whatever a mutant may raise
            result.outcome, result.note = "crashes", _said(error)
            return out.send(result)
        changed = [name for name, digest in own.items() if digest != sound.digests[name]]
        if not changed:
            result.outcome = "equivalent"
            return out.send(result)
        name = result.configuration = changed[0]
        known = {(check, cause) for _, check, cause in sound.findings[name]}
        try:
            found = _findings(name, games)
            result.findings = [each for each in found if each[1:] not in known]
            result.rival = _rival_finds(name, games) and not sound.rival[name]
        except Exception as error:
            result.note = _said(error)
        out.send(result)


def _findings(name: str, games: list[Game]) -> list[Named]:
    slip = Slip(nothing, "", CONFIGURATIONS[name])
    found = findings_on(slip, archives.build_archive(games))
    return [(finding.severity, finding.check, finding.cause) for finding in found]


def _rival_finds(name: str, games: list[Game]) -> bool:
    slip = Slip(nothing, "", CONFIGURATIONS[name])
    return rival_finds(slip, archives.build_archive(games))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error)).partition(chr(10))[0]}"


def _alone(job: Job) -> Any:
    """What a job sends from a forked process."""
    process, result = _start(job)
    try:
        return result.recv()
    except EOFError:
        raise SystemExit("the sound code failed; its message is above") from None
    finally:
        process.join()


def _start(job: Job) -> tuple[Any, Connection]:
    context = multiprocessing.get_context("fork")
    result, out = context.Pipe(duplex=False)
    process = context.Process(target=job, args=(out,))
    process.start()
    out.close()
    return process, result


def is_executed(mutant: Mutant, sound: Sound) -> bool:
    """Whether a small trial executes the changed statement. If not, the mutant is equivalent."""
    file = str(sys.modules[mutant.module].__file__)
    return any((file, line) in sound.lines for line in range(mutant.lines[0], mutant.lines[1] + 1))


class Run:
    """Judges mutants in some order, several at a time, until enough of them matter.

    Args:
        known: results of an earlier run by key; keep: called with each new result.
        limit_s: seconds after which a mutant hangs.
    """

    def __init__(
        self,
        order: Sequence[Mutant],
        judged: Callable[[Mutant], Job],
        known: Mapping[str, Result],
        keep: Callable[[Result], None],
        limit_s: float = LIMIT_S,
    ) -> None:
        self.order, self._judged, self._keep, self._limit_s = order, judged, keep, limit_s
        self.results: dict[int, Result] = {
            number: known[mutant.key] for number, mutant in enumerate(order) if mutant.key in known
        }
        self._under_way: dict[Connection, tuple[int, Any, float]] = {}

    def until(self, count: int, workers: int) -> list[tuple[Mutant, Result]]:
        """The mutants up to the last of `count` that matter, in order, with their results."""
        following = 0
        while following < len(self.order) or self._under_way:
            enough = self._that_matter(following) >= count
            if enough and not self._under_way:
                break
            if enough or following >= len(self.order) or len(self._under_way) >= workers:
                self._wait()
                continue
            if following not in self.results:
                process, result = _start(self._judged(self.order[following]))
                self._under_way[result] = (following, process, time.monotonic())
            following += 1
        drawn: list[tuple[Mutant, Result]] = []
        for number in range(following):
            if sum(result.outcome == "matters" for _, result in drawn) < count:
                drawn.append((self.order[number], self.results[number]))
        return drawn

    def _that_matter(self, end: int) -> int:
        done = [self.results[number] for number in range(end) if number in self.results]
        return sum(result.outcome == "matters" for result in done)

    def _wait(self) -> None:
        for ready in wait(list(self._under_way), timeout=0.5):
            assert isinstance(ready, Connection)
            number, process, started = self._under_way.pop(ready)
            try:
                result = ready.recv()
            except EOFError:
                process.join()
                ended = f"its process ended with status {process.exitcode}"
                result = Result(self.order[number].key, "crashes", note=ended)
            process.join()
            self._done(number, result, started)
        for late, (number, process, started) in list(self._under_way.items()):
            if time.monotonic() - started > self._limit_s:
                process.kill()
                process.join()
                del self._under_way[late]
                self._done(number, Result(self.order[number].key, "hangs"), started)

    def _done(self, number: int, result: Result, started: float) -> None:
        result.seconds = round(time.monotonic() - started, 1)
        self.results[number] = result
        self._keep(result)
