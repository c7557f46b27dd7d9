"""Turns errors into messages of one line and into an exit status. It is the only place for this.

Status 0: done. 1: the work failed. 2: wrong usage, configuration or input. 130: interrupted.
Typed errors themselves state the fault, the place and the remedy. Messages for errors of the
operating system are made here. Every other exception is a bug of hexsearch, whose traceback is
saved.
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
from typing import Any

from hexsearch import __version__
from hexsearch.errors import (
    DiagnosisError,
    FaultyInput,
    HexsearchError,
    PluginError,
    one_line,
    printable,
)

ISSUES = "the project's issue tracker"
_INTERRUPTED = 130
# Error of the operating system -> remedy.
_REMEDIES = {
    errno.ENOSPC: "free some disk space, or write elsewhere",
    errno.EDQUOT: "free some space of your quota, or write elsewhere",
    errno.ENAMETOOLONG: "choose a shorter name or path",
    errno.EACCES: "choose a place for which you have the permission",
    errno.EPERM: "choose a place for which you have the permission",
    errno.EROFS: "choose a place that is not read-only",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files",
    errno.ENOMEM: "free memory, or run fewer trials at once",
    errno.EAGAIN: "end other processes, or raise the limit of processes (ulimit -u)",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder, not a file",
    errno.ELOOP: "its symbolic links form a circle",
    errno.EIO: "check the disk",
}


def guarded(run: Callable[[], int], arguments: Sequence[str] = ()) -> int:
    """The exit status of `run`, or of an error that it raises. The error is printed on stderr.

    Args:
        arguments: arguments of the command line, for the report of a bug.
    """
    tolerate_narrow_encodings()
    try:
        status = run()
        sys.stdout.flush()  # a full device gives an error only now
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
        # The reader of a pipe has closed it, as `| head` does. A message would have no reader.
        _give_up(sys.stdout)
        return 1
    except OSError as error:
        _give_up_if_broken(sys.stdout)
        fault = _fault_of_plugin(error)
        _say(one_line(describe_os_error(error)) if fault is None else str(fault))
        return 1 if fault is None else fault.exit_status
    except MemoryError:
        _say("memory ran out; use fewer games, a smaller network, or fewer trials at once")
        return 1
    except (Exception, SystemExit) as error:  # only here: a plug-in may raise anything
        fault = _fault_of_plugin(error)
        if fault is not None:
            _say(str(fault))
            return fault.exit_status
        if isinstance(error, SystemExit):
            raise  # a help text, or wrong options
        _report_bug(error, arguments)
        return 1


def _fault_of_plugin(error: BaseException) -> PluginError | None:
    # Without this module, which imports torch, no plug-in can have been used.
    plugins: Any = sys.modules.get("hexsearch.model.plugins")
    fault: PluginError | None = plugins and plugins.fault_of_plugin(error)
    return fault


def tolerate_narrow_encodings() -> None:
    """Print replacements for characters that a terminal or pipe cannot show, such as boxes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "replace":
            with suppress(OSError, ValueError):  # a closed stream
                stream.reconfigure(errors="replace")


def describe_os_error(error: OSError) -> str:
    """One line about an error of the operating system: place, fault and remedy.

    >>> describe_os_error(OSError(28, "No space left on device", "out.csv"))
    'out.csv: No space left on device; free some disk space, or write elsewhere'
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
    """Discard Python's last flush of a stream, which would give a second error."""
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
