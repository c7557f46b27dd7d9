"""Finds the study that a path or a name means."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

_RESULTS = Path("results")  # where studies are, unless another folder was named
_DESCRIPTION = "study.yaml"


def find_study(path: Path) -> Path:
    """The folder of a study. A plain name without a study here is looked up in `results`."""
    in_results = _RESULTS / path
    is_plain = path.name == str(path)
    try:
        if is_plain and not (path / _DESCRIPTION).exists() and (in_results / _DESCRIPTION).exists():
            return in_results
    except (OSError, ValueError):  # too long, or with a NUL: an error is raised when it is read
        pass
    return path


def no_study(path: Path) -> str:
    """A message about a path that is not a study's, with the study that was probably meant."""
    if path.is_dir():
        lacks = [name for name in (_DESCRIPTION, "ledger.jsonl") if not (path / name).exists()]
        return f"{path}: has no {' and no '.join(lacks)}; is this a study folder?"
    candidates = {
        study.parent.name: study.parent
        for folder in (_RESULTS, path.parent)
        for study in folder.glob(f"*/{_DESCRIPTION}")
    }
    close = get_close_matches(path.name, candidates, n=1)
    hint = f"; did you mean {candidates[close[0]]}?" if close else ""
    return f"{path}: no such study folder{hint}"
