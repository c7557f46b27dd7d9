"""Keeps a user's training from overwriting files while it is watched."""

from __future__ import annotations

import builtins
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

_WRITING = frozenset("wax+")
_open, _save = builtins.open, torch.save


@contextmanager
def files_aside() -> Iterator[None]:
    """In this context open() and torch.save() write to a temporary folder.

    What was written is read back, looked for, moved and removed there. Other ways to write files,
    and the user's own files that are moved or removed, are not looked after.
    """
    with tempfile.TemporaryDirectory(prefix="hexsearch-") as folder, ExitStack() as stack:
        aside = _Aside(folder)
        replaced: list[tuple[Any, str, Callable[..., Any]]] = [
            (builtins, "open", aside.open),
            (io, "open", aside.open),
            (torch, "save", aside.save),
            *((os, name, aside.looked_up(getattr(os, name))) for name in ("stat", "remove")),
            (os, "unlink", aside.looked_up(os.unlink)),
            *((os, name, aside.moving(getattr(os, name))) for name in ("replace", "rename")),
        ]
        for owner, name, by in replaced:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, by)
        yield


class _Aside:
    """Functions on files that keep what is written in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder, self._count = folder, 0
        self._written: dict[str, str] = {}  # where each file is kept, by its path

    def open(self, file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        if not _is_path(file) or _path(file).startswith("/dev/"):
            return _open(file, mode, *given, **named)
        path = _path(file)
        if not _WRITING & set(mode):
            return _open(self._written.get(path, file), mode, *given, **named)
        if path not in self._written and os.path.isfile(path):
            if "x" in mode:
                return _open(file, mode, *given, **named)  # raises FileExistsError
            if "w" not in mode:
                with _open(path, "rb") as old, _open(self._place(path), "wb") as new:
                    shutil.copyfileobj(old, new)
        return _open(self._place(path), mode, *given, **named)

    def save(self, obj: Any, f: Any, *given: Any, **named: Any) -> None:
        _save(obj, self._place(_path(f)) if _is_path(f) else f, *given, **named)

    def looked_up(self, sound: Callable[..., Any]) -> Callable[..., Any]:
        """A function of a path that is asked about the file that is kept."""

        def of_kept(name: Any, *given: Any, **named: Any) -> Any:
            kept = self._written.get(_path(name)) if _is_path(name) else None
            return sound(name if kept is None else kept, *given, **named)

        return of_kept

    def moving(self, sound: Callable[..., Any]) -> Callable[..., Any]:
        """A function that gives a file another path."""

        def moved(source: Any, target: Any, *given: Any, **named: Any) -> None:
            if _is_path(source) and os.path.isfile(self._written.get(_path(source), "")):
                self._written[_path(target)] = self._written.pop(_path(source))
            else:
                sound(source, target, *given, **named)

        return moved

    def _place(self, path: str) -> str:
        self._count += 1
        kept = str(Path(self._folder) / f"{self._count}-{Path(path).name}")
        return self._written.setdefault(path, kept)


def _is_path(name: Any) -> bool:
    return isinstance(name, str | bytes | os.PathLike)


def _path(name: Any) -> str:
    return os.path.abspath(os.fsdecode(name))
