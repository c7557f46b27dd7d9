"""What a user gives for a study: settings, games, a time budget, a name and a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexsearch.config.run import MAX_SECONDS, parse_duration
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder, require_name

Games = str | Path | Sequence[str | Path]


def time_budget_of(text: str | float | None) -> float | None:
    """Seconds of a time budget, which may be text such as `10m`.

    Raises:
        ConfigError: it is not a duration, or out of range.
    """
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--time-budget: {error}") from error
    if not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise ConfigError(f"--time-budget: must be above 0 and at most ten years, got {text}")
    return float(seconds)


def settings_of(fixed: Mapping[str, Any]) -> list[str]:
    """The texts for `--set` from a mapping.

    Raises:
        ConfigError: a value is neither a number, a text, a list nor a mapping.
    """
    texts = []
    for key, value in fixed.items():
        try:
            texts.append(f"{key}={json.dumps(value)}")
        except (TypeError, ValueError) as error:  # ValueError: a list that holds itself
            raise ConfigError(
                f"set: {key} is a {type(value).__name__}; give a number, a text, a list or a "
                "mapping"
            ) from error
    return texts


def paths_of(games: Games | None) -> list[str]:
    """The given paths, or the starter games."""
    if games is None:
        return [STARTER_GAMES]
    if isinstance(games, str | Path):
        return [str(games)]
    return [str(path) for path in games]


def dated_name(space: Path) -> str:
    """The default name of a study."""
    return f"{space.stem}-{time.strftime('%Y%m%d-%H%M%S')}"


def new_folder(results: str | Path, name: str) -> StudyFolder:
    """The folder of a new study.

    Raises:
        ConfigError: a study exists there, nothing can be written there, or the name is a path.
    """
    if "://" in str(results):
        raise ConfigError(
            f"--results {results}: the ledger needs a folder on a disk; keep the trials' files "
            f"elsewhere with --set run.trial_files={results}"
        )
    require_name(name)
    folder = StudyFolder(Path(results) / name)
    folder.require_new()
    folder.require_writable()
    return folder
