"""One file with all that a trial needs to be resumed; written atomically, read without pickle."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from hexsearch.errors import CheckpointError
from hexsearch.training.atomic import write_atomically

FORMAT = "hexsearch checkpoint"
FORMAT_VERSION = 2


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, text, lists and mappings beside `path`, sync, and rename.

    Raises:
        CheckpointError: the folder cannot be written; what was there before is still there.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "format_version": FORMAT_VERSION, **content}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, tensors on the CPU; nothing in the file is executed.

    Raises:
        CheckpointError: missing, damaged, not of hexsearch, or of another version.
    """
    try:
        with warnings.catch_warnings():
            # torch warns of foreign pickle protocols before it refuses them.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except pickle.UnpicklingError as error:  # whose advice is to run what the file says
        raise CheckpointError(
            f"{path}: damaged, or no checkpoint: it holds more than tensors and plain values"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or no checkpoint: {first}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is no hexsearch checkpoint")
    if content["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {content['format_version']}, this is hexsearch for "
            f"version {FORMAT_VERSION}"
        )
    return content
