"""Running code that is under examination: whatever it raises becomes a message with its own lines.

This is the one place that catches every exception: a user's network, encoder or plug-in may raise
anything, and what it raises is a result of the examination, not a failure of the doctor.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hexsearch.errors import ContractError, HexsearchError

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


class UserCodeError(ContractError):
    """Code under examination raised.

    Attributes:
        kind: name of the exception's class.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def examined_code(role: str) -> Iterator[None]:
    """Turn what is raised inside into a UserCodeError; our own errors pass as they are.

    Args:
        role: whose code it is, such as `--encoder my_net:encode`.
    """
    try:
        yield
    except HexsearchError:
        raise
    except Exception as error:
        kind = type(error).__name__
        text = " ".join(str(error).split())[:300]
        raise UserCodeError(f"{role} raised {kind}: {text}{_frames(error)}", kind) from error


def _frames(error: BaseException) -> str:
    """The last lines of the user's own files that the exception came through."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)
    ]
    if not frames:
        return ""
    lines = [
        f"{Path(frame.filename).name} line {frame.lineno} in {frame.name}(): {frame.line}"
        for frame in frames[-3:]
    ]
    return f" (at {'; '.join(lines)})"


def _is_users(filename: str) -> bool:
    path = Path(filename)
    outside = not str(path).startswith(_LIBRARIES) and not path.is_relative_to(_PACKAGE)
    return outside and path.suffix == ".py"
