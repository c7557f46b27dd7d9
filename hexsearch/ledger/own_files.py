"""The files of a study's folder, which nothing but the study itself may replace."""

from __future__ import annotations

import os
from pathlib import Path

from hexsearch.errors import ConfigError

STUDY_FILES = (
    "study.yaml",
    "ledger.jsonl",
    "games.archive",
    "trunk.pt",
    "trials",
    "match.json",
    "match",
    "optuna.journal",
    "ray",
)
_TOLD_BY = STUDY_FILES[:2]  # a folder with one of them is a study's


def require_not_of_study(path: Path) -> None:
    """Check that a file that is to be written for the user would not replace one of a study.

    Raises:
        ConfigError: it would; names the study.
    """
    target = Path(os.path.realpath(path))
    for folder in target.parents:
        inside = target.relative_to(folder).parts[0]
        if inside in STUDY_FILES and any((folder / name).exists() for name in _TOLD_BY):
            raise ConfigError(
                f"{path}: is a file of the study {folder}, which would be damaged; give another "
                "--output"
            )
