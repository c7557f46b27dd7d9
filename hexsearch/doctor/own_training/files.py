"""Keeps a user's training from overwriting files while it is watched."""

from __future__ import annotations

import builtins
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

_WRITING = frozenset("wax+")


@contextmanager
def files_aside() -> Iterator[None]:
    """In this context open() and torch.save() write to a temporary folder.

    What was written is read back from there. Other ways to write files, and files that are moved
    or removed, are not looked after.
    """
    with tempfile.TemporaryDirectory(prefix="hexsearch-") as folder, ExitStack() as stack:
        written: dict[str, str] = {}
        sound, save = builtins.open, torch.save

        def aside(name: Any) -> str:
            path = os.path.abspath(os.fsdecode(name))
            return written.setdefault(path, str(Path(folder) / f"{len(written)}-{Path(path).name}"))

        def is_path(name: Any) -> bool:
            return isinstance(name, str | bytes | os.PathLike)

        def opened(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if not is_path(file) or os.path.abspath(os.fsdecode(file)).startswith("/dev/"):
                return sound(file, mode, *given, **named)
            path = os.path.abspath(os.fsdecode(file))
            if _WRITING & set(mode):
                if path not in written and os.path.isfile(path):
                    if "x" in mode:
                        return sound(file, mode, *given, **named)  # raises FileExistsError
                    if "w" not in mode:
                        with sound(path, "rb") as old, sound(aside(path), "wb") as new:
                            shutil.copyfileobj(old, new)
                return sound(aside(path), mode, *given, **named)
            return sound(written.get(path, file), mode, *given, **named)

        def saved(obj: Any, f: Any, *given: Any, **named: Any) -> None:
            save(obj, aside(f) if is_path(f) else f, *given, **named)

        for owner, name, by, kept in (
            (builtins, "open", opened, sound),
            (io, "open", opened, sound),
            (torch, "save", saved, save),
        ):
            setattr(owner, name, by)
            stack.callback(setattr, owner, name, kept)
        yield
