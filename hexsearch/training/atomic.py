"""Files that are whole or not there. Apart from checkpoints: who needs no torch loads none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hexsearch.errors import CheckpointError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content, whole or not at all.

    Raises:
        CheckpointError: it cannot be written; an older file is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error
