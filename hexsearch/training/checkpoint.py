"""Checkpoints: one file with everything that resuming a trial needs.

It is written atomically, and reading it never executes code of the file.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import torch

from hexsearch.errors import CheckpointError
from hexsearch.training.atomic import write_atomically

FORMAT = "hexsearch checkpoint"
FORMAT_VERSION = 2
MODEL = "model.pt"  # file of a network that `train` or `export` has written
STARTER_NETWORK = "starter.pt"  # names the network that comes with the package
Resumed = TypeVar("Resumed")
# Exceptions that faulty content of a checkpoint raises when a trial continues from it.
_MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)


def find_checkpoint(path: Path) -> Path:
    """The path itself, or where the network lies that comes with the package under this name."""
    if str(path) != STARTER_NETWORK or path.exists():
        return path
    with as_file(files("hexsearch.data") / "starter") as folder:
        return folder / STARTER_NETWORK


def previous_of(path: Path) -> Path:
    """The path of the checkpoint before the newest one."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, text, lists and mappings to a temporary file, sync, and rename.

    The previous checkpoint is kept, in case the new file is damaged later.

    Raises:
        CheckpointError: the folder cannot be written; older files are unchanged.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "format_version": FORMAT_VERSION, **content}, buffer)
    write_atomically(path, buffer.getvalue(), keep_as=previous_of(path))


def load_last_good(
    path: Path, resumed: Callable[[dict[str, Any]], Resumed]
) -> tuple[Resumed | None, list[str]]:
    """What continues from the newest checkpoint that can be used, and warnings about others.

    Args:
        resumed: function that makes something which continues from the content of a checkpoint, or
            raises an error. It makes it anew each time, since a damaged checkpoint may be read in
            part.
    Returns:
        None if there is no checkpoint that can be used.
    """
    warnings: list[str] = []
    for candidate in (path, previous_of(path)):
        if not candidate.exists():
            continue
        try:
            return resumed(load_checkpoint(candidate)), warnings
        except torch.OutOfMemoryError:
            raise  # the file is not the cause
        except CheckpointError as error:
            warnings.append(f"{candidate.name} is not used: {error}")
        except _MISFITS as error:
            why = str(error).partition("\n")[0]
            if isinstance(error, KeyError):
                why = f"it holds no {why}"
            warnings.append(f"{candidate.name} is not used: damaged ({why})")
    return None, warnings


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, with tensors on the CPU. No code of the file is executed.

    Raises:
        CheckpointError: the file is missing, damaged, not of hexsearch, or of another version.
    """
    try:
        with warnings.catch_warnings():
            # torch warns of other pickle protocols before it raises an error.
            warnings.simplefilter("ignore", UserWarning)
            found = find_checkpoint(path)
            _require_whole(found)
            content = torch.load(found, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except pickle.UnpicklingError as error:  # its message advises to execute the file's code
        raise CheckpointError(
            f"{path}: damaged, or not a checkpoint: it holds more than tensors and plain values"
        ) from error
    except (*_MISFITS, OSError, EOFError, zipfile.BadZipFile, OverflowError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or not a checkpoint: {first}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a hexsearch checkpoint")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {version}, but this hexsearch reads version "
            f"{FORMAT_VERSION}"
        )
    return content


def _require_whole(path: Path) -> None:
    """Test the checksums of all parts, since torch does not.

    Raises:
        ValueError: a part is damaged.
        zipfile.BadZipFile: it is not a zip file.
    """
    if not path.is_file():
        raise FileNotFoundError(path) if not path.exists() else ValueError("is not a file")
    with zipfile.ZipFile(path) as parts:
        spoilt = parts.testzip()
        if spoilt is not None:
            raise ValueError(f"{spoilt} does not match its checksum")
