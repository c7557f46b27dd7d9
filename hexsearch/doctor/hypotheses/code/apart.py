"""Runs code of a user in a process of its own, which can read and compute and do nothing else.

Edited code may do what nobody meant: it may fill caches, wait for ever, recurse until the process
dies, or take the branch that deletes files. So it runs in a fork of this process. What it changes
in memory is gone with it. The kernel (Landlock, Linux 5.13) refuses to change files, to whatever
library asks; audit hooks of Python refuse the rest, such as the network and signals. Where the
kernel has no Landlock, nothing runs apart.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import mmap
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import torch

_SILENT = 60.0  # seconds without a sign of life after which the process is ended
_MEMORY = 4 * 2**30  # bytes that it may take beside those that it has
# Landlock's rights to execute, write, remove and make files, and of later versions to move them
# between folders, and to cut them off.
_RIGHTS = {1: 0b1_1111_1111_0011, 2: 1 << 13, 3: 1 << 14}
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # system calls, the same on all processors
_VERSION, _NO_NEW_PRIVILEGES = 1, 38
# Audit events of Python that change more than memory, and that Landlock lets pass.
_REFUSED = (
    *("os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr", "os.kill", "os.killpg"),
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "subprocess.Popen"),
    *("signal.pthread_kill",),
)
_pipe: int | None = None  # in the process apart, where its signs of life go


class TooLong(BaseException):
    """Code took longer than it may; no `except Exception` of a user's code takes it."""


def can_run_apart(*modules: torch.nn.Module) -> bool:
    """Whether a process can be forked that computes with these: not with memory of a GPU."""
    on_cpu = all(p.device.type == "cpu" for module in modules for p in module.parameters())
    return sys.platform == "linux" and on_cpu and _landlock() > 0


def apart(job: Callable[[], Any]) -> Any:
    """What a job returns in a process of its own, as JSON can hold it; None if it did not end."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other threads do not take part
        child = os.fork()
    if child == 0:
        os.close(reading)
        _work(job, writing)
    os.close(writing)
    received, ended = b"", False
    try:
        while select.select([reading], [], [], _SILENT)[0]:
            if not (part := os.read(reading, 1 << 16)):
                ended = True
                break
            received += part
    finally:
        os.close(reading)
        # Where a user ignores SIGCHLD, nobody waits for a child.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    _, line, result = received.partition(b"\n")
    try:
        return json.loads(result) if ended and line else None
    except ValueError:  # it died while it wrote
        return None


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer, in a process apart; elsewhere it may take its time.

    Raises:
        TooLong: it does.
    """
    if _pipe is None:
        yield
        return
    os.write(_pipe, b".")
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _work(job: Callable[[], Any], writing: int) -> NoReturn:
    """Do the job, write the result, and end without any of the clean-up of this process."""
    global _pipe
    try:
        _pipe = writing
        _confine()
        text = b"\n" + json.dumps(job()).encode()
        while text:
            text = text[os.write(writing, text) :]
    finally:  # whatever code of a user raises: the result is missing, and nothing else goes on here
        os._exit(0)


def _confine() -> None:
    """Let this process compute and read only."""
    import resource  # Unix alone has it

    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)  # the threads of OpenMP do not live on in a fork
    signal.signal(signal.SIGALRM, _interrupt)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, most))
    _forbid_writing()
    _protect_shared_memory()
    # Nobody at the other end of a pipe, and no file that is open, hears of what is tried here.
    for held in map(int, os.listdir("/proc/self/fd")):
        if held > 2 and held != _pipe:
            with contextlib.suppress(OSError):
                os.close(held)
    sys.addaudithook(_audited)


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise TooLong


def _audited(event: str, args: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        raise PermissionError("edited code does nothing but compute")


def _landlock() -> int:
    """Version of the kernel's Landlock; -1 where there is none."""
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _VERSION))


def _forbid_writing() -> None:
    """Let the kernel refuse to change any file, and to start any program."""
    library = ctypes.CDLL(None, use_errno=True)
    rights = ctypes.c_uint64(sum(n for version, n in _RIGHTS.items() if version <= _landlock()))
    rules = library.syscall(_CREATE_RULESET, ctypes.byref(rights), ctypes.sizeof(rights), 0)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if rules < 0 or library.syscall(_RESTRICT_SELF, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock")


def _protect_shared_memory() -> None:
    """Let what writes to memory that is a file, or another process's as well, end this process."""
    library = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        held = [line.split(maxsplit=2)[:2] for line in file]
    for area, rights in held:
        if rights[1] == "w" and rights[3] == "s":
            begin, end = (int(each, 16) for each in area.split("-"))
            size = ctypes.c_size_t(end - begin)
            if library.mprotect(ctypes.c_void_p(begin), size, mmap.PROT_READ) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")


def over(began: float, wall: float, seconds: float) -> bool:
    """Whether so many seconds of CPU time of this thread are over, or four times as many in all.

    Args:
        began, wall: `time.thread_time()` and `time.perf_counter()` at the beginning.
    """
    return time.thread_time() - began > seconds or time.perf_counter() - wall > 4.0 * seconds
