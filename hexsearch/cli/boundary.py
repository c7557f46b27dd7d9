"""The one place where errors become a line a fault and an exit status.

Status 0: done. 1: the work failed. 2: wrong usage, configuration or input. 130: interrupted.
Typed errors say themselves what, where and what to do. Errors of the operating system are worded
here. Whatever else arrives is a bug of hexsearch, and is saved with its traceback.
"""

from __future__ import annotations

import errno
import io
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hexsearch import __version__
from hexsearch.errors import DiagnosisError, FaultyInput, HexsearchError, one_line, printable

ISSUES = "the project's issue tracker"
_INTERRUPTED = 130
# What the system says -> what to do about it.
_REMEDIES = {
    errno.ENOSPC: "make room, or write elsewhere",
    errno.EDQUOT: "make room within your quota, or write elsewhere",
    errno.ENAMETOOLONG: "choose a shorter name or path",
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files",
    errno.ENOMEM: "free memory, or run less at once",
    errno.EAGAIN: "end other processes, or raise the limit of processes (ulimit -u)",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EIO: "look after the disk",
}


def guarded(run: Callable[[], int], arguments: Sequence[str] = ()) -> int:
    """What `run` returns, or the exit status of what it raises, which is said on stderr.

    Args:
        arguments: of the command line, for the report of a bug.
    """
    tolerate_narrow_encodings()
    try:
        status = run()
        sys.stdout.flush()  # a full device speaks up only now
        return status
    except DiagnosisError as error:
        _say(*error.problems)
        return error.exit_status
    except FaultyInput as error:
        _say(*(one_line(problem) for problem in error.problems))
        return error.exit_status
    except HexsearchError as error:
        _say(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _print("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone, as `| head` does; nobody is left to tell.
        _give_up(sys.stdout)
        return 1
    except OSError as error:
        _give_up_if_broken(sys.stdout)
        _say(one_line(describe_os_error(error)))
        return 1
    except MemoryError:
        _say("memory ran out; use fewer games, a smaller network, or fewer trials at once")
        return 1
    except Exception as error:  # the one place: a bug of ours must be reported, not shown
        _report_bug(error, arguments)
        return 1


def tolerate_narrow_encodings() -> None:
    """Print a replacement for what a terminal or pipe cannot show, such as a box in ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "replace":
            with suppress(OSError, ValueError):  # a closed stream
                stream.reconfigure(errors="replace")


def describe_os_error(error: OSError) -> str:
    """One line about an error of the operating system: where, what, and what to do.

    >>> describe_os_error(OSError(28, "No space left on device", "out.csv"))
    'out.csv: No space left on device; make room, or write elsewhere'
    """
    why = error.strerror or str(error) or type(error).__name__
    named = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' and '.join(named)}: " if named else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{why}" + (f"; {remedy}" if remedy else "")


def _say(*problems: str) -> None:
    for problem in problems:
        _print(f"error: {printable(problem)}")


def _print(line: str) -> None:
    with suppress(OSError, ValueError):  # stderr may be full or closed as well
        print(line, file=sys.stderr, flush=True)


def _give_up(stream: io.TextIOBase | object) -> None:
    """Let Python's own flush at the end go nowhere, which would be a second error."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


def _give_up_if_broken(stream: io.TextIOBase | object) -> None:
    try:
        stream.flush()  # type: ignore[union-attr]
    except (OSError, ValueError):
        _give_up(stream)


def _report_bug(error: Exception, arguments: Sequence[str]) -> None:
    text = "".join(
        [
            f"hexsearch {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
            f"command: hexsearch {' '.join(arguments)}\n\n",
            *traceback.format_exception(error),
        ]
    )
    name = f"hexsearch-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    kind = f"{type(error).__name__}: {error}".partition("\n")[0]
    for folder in (Path(tempfile.gettempdir()), Path.cwd()):
        try:
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError:
            continue
        _say(
            f"this is a bug of hexsearch, not of your input ({kind}); its traceback is saved in "
            f"{folder / name}. Please report it on {ISSUES} with that file and your command"
        )
        return
    _print(text)
    _say(f"this is a bug of hexsearch ({kind}); report the text above on {ISSUES}")
