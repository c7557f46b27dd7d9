"""What is said of a folder that should be a study's and is not."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

_RESULTS = Path("results")  # where studies are, unless another folder was named


def no_study(path: Path) -> str:
    """One line, with the study that was probably meant."""
    if path.is_dir():
        lacks = [name for name in ("study.yaml", "ledger.jsonl") if not (path / name).exists()]
        return f"{path}: has no {' and no '.join(lacks)}; is this a study folder?"
    candidates = {
        study.parent.name: study.parent
        for folder in (_RESULTS, path.parent)
        for study in folder.glob("*/study.yaml")
    }
    close = get_close_matches(path.name, candidates, n=1)
    hint = f"; did you mean {candidates[close[0]]}?" if close else ""
    return f"{path}: no such study folder{hint}"
