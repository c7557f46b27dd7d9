"""A trial as its checkpoint describes it, before anything is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.encoder import ENCODER_VERSION
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.training.checkpoint import load_checkpoint

_NEEDED = ("config", "data", "archive", "encoder_version", "network", "positions_seen", "seed")


@dataclass(frozen=True)
class StoredTrial:
    """What a checkpoint of `train` (model.pt) or of a study's trial (checkpoint.pt) holds.

    Attributes:
        content: everything in the file; state: what `Trial.state()` wrote.
        data: board size, split and stages that it was trained and judged with.
    """

    content: dict[str, Any]
    state: dict[str, Any]
    config: TrialConfig
    data: DataConfig


def read_stored_trial(path: Path) -> StoredTrial:
    """Read a trial's checkpoint.

    Raises:
        CheckpointError: no checkpoint, damaged, or from another encoder.
    """
    content = load_checkpoint(path)
    state = content.get("state")
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path}: holds no trial; name the model.pt that `train` writes, or a checkpoint.pt"
        )
    missing = [name for name in _NEEDED if name not in state]
    if missing:
        raise CheckpointError(f"{path}: its trial lacks {', '.join(missing)}; it is damaged")
    version = state["encoder_version"]
    if version != ENCODER_VERSION:
        raise CheckpointError(
            f"{path}: was trained with encoder version {version}, this is hexsearch with version "
            f"{ENCODER_VERSION}: the same position would be shown as other planes"
        )
    try:
        config = build(TrialConfig, state["config"], f"{path}: config")
        data = build(DataConfig, state["data"], f"{path}: data")
    except ConfigError as error:
        raise CheckpointError(error.problems) from error
    return StoredTrial(content, state, config, data)
