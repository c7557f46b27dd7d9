"""One file with all that a trial needs to be resumed; written atomically, read without pickle."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from hexsearch.errors import CheckpointError
from hexsearch.training.atomic import write_atomically

FORMAT = "hexsearch checkpoint"
FORMAT_VERSION = 2
STARTER_NETWORK = "starter.pt"  # names the network that comes with the package
# What missing or foreign parts raise where a trial goes on from them.
_MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)


def find_checkpoint(path: Path) -> Path:
    """The path itself, or where the network lies that comes with the package under this name."""
    if str(path) != STARTER_NETWORK or path.exists():
        return path
    with as_file(files("hexsearch.data") / "starter") as folder:
        return folder / STARTER_NETWORK


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the newest one is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, text, lists and mappings beside `path`, sync, and rename.

    The checkpoint before it is kept: what a disk spoils later costs the training since then.

    Raises:
        CheckpointError: the folder cannot be written; what was there before is still there.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "format_version": FORMAT_VERSION, **content}, buffer)
    write_atomically(path, buffer.getvalue(), keep_as=previous_of(path))


def load_last_good(
    path: Path, accept: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest checkpoint that can be read and used, or None, and why newer ones are not it.

    Args:
        accept: goes on from the content; what it raises says that it cannot. Where None comes back
            with warnings, it may have begun to, and whatever it changed has to be made anew.
    """
    warnings = []
    for candidate in (path, previous_of(path)):
        if not candidate.exists():
            continue
        try:
            content = load_checkpoint(candidate)
            accept(content)
        except torch.OutOfMemoryError:
            raise  # no fault of the file
        except CheckpointError as error:
            warnings.append(f"{candidate.name} is not used: {error}")
        except _MISFITS as error:
            kind = type(error).__name__
            first = str(error).partition("\n")[0]
            warnings.append(f"{candidate.name} is not used: damaged ({kind}: {first})")
        else:
            return content, warnings
    return None, warnings


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, tensors on the CPU; nothing in the file is executed.

    Raises:
        CheckpointError: missing, damaged, not of hexsearch, or of another version.
    """
    try:
        with warnings.catch_warnings():
            # torch warns of foreign pickle protocols before it refuses them.
            warnings.simplefilter("ignore", UserWarning)
            found = find_checkpoint(path)
            _require_whole(found)
            content = torch.load(found, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except pickle.UnpicklingError as error:  # whose advice is to run what the file says
        raise CheckpointError(
            f"{path}: damaged, or no checkpoint: it holds more than tensors and plain values"
        ) from error
    except (*_MISFITS, OSError, EOFError, zipfile.BadZipFile, OverflowError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or no checkpoint: {first}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is no hexsearch checkpoint")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {version}, this is hexsearch for version {FORMAT_VERSION}"
        )
    return content


def _require_whole(path: Path) -> None:
    """Compare the checksums of every part, which torch leaves out.

    Raises:
        ValueError: a part is damaged.
        zipfile.BadZipFile: it is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(path) if not path.exists() else ValueError("is no file")
    with zipfile.ZipFile(path) as parts:
        spoilt = parts.testzip()
        if spoilt is not None:
            raise ValueError(f"{spoilt} does not match its checksum")
