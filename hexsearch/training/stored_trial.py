"""A trial as its checkpoint describes it, before anything is built from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.encoder import ENCODER_VERSION
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.training.checkpoint import load_checkpoint

_SAME = ("mode", "trunk", "archive", "encoder_version", "max_positions", "seed")
_NEEDED: dict[str, type | tuple[type, ...]] = {
    "configs": (list, tuple),
    "data": dict,
    "archive": str,
    "encoder_version": int,
    "network": dict,
    "positions_seen": int,
    "seed": int,
}


@dataclass(frozen=True)
class StoredTrial:
    """What a checkpoint of `train` (model.pt) or of a study's trial (checkpoint.pt) holds.

    Attributes:
        content: everything in the file; state: what `Trial.state()` or `head_states()` wrote.
        data: board size, split and stages that it was trained and evaluated with.
    """

    content: dict[str, Any]
    state: dict[str, Any]
    config: TrialConfig
    data: DataConfig

    @property
    def answering_weights(self) -> dict[str, Tensor]:
        """The weights that were evaluated."""
        return answering_weights(self.state)


def answering_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a trial's state that were evaluated: the average where there is one."""
    weights: dict[str, Tensor] = state.get("average", state["network"])
    return weights


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
    odd = [name for name, kind in _NEEDED.items() if not isinstance(state[name], kind)]
    if odd:
        raise CheckpointError(f"{path}: {', '.join(odd)} of its trial make no sense; it is damaged")
    version = state["encoder_version"]
    if version != ENCODER_VERSION:
        raise CheckpointError(
            f"{path}: was trained with encoder version {version}, this is hexsearch with version "
            f"{ENCODER_VERSION}: the same position would be shown as other planes"
        )
    if len(state["configs"]) != 1:
        raise CheckpointError(
            f"{path}: holds {len(state['configs'])} value heads on one trunk; name the checkpoint "
            "of one of them"
        )
    try:
        config = build(TrialConfig, state["configs"][0], f"{path}: config")
        data = build(DataConfig, state["data"], f"{path}: data")
    except ConfigError as error:
        raise CheckpointError(error.problems) from error
    return StoredTrial(content, state, config, data)


def require_same_trial(
    stored: Mapping[str, Any], own: Mapping[str, Any], configs: Sequence[TrialConfig]
) -> None:
    """Whether a trial can go on from a stored state.

    A setting that the stored configurations do not have, at any depth, was at its default: it came
    later than the checkpoint.

    Args:
        own: state of the trial; configs: of its heads.
    Raises:
        CheckpointError: names what the stored state lacks, or in what it differs.
    """
    absent = [name for name in own if name not in stored]
    if absent:
        raise CheckpointError(
            f"checkpoint lacks {', '.join(absent)}: it was written by hexsearch "
            f"{stored.get('code_version', 'of another version')} and cannot be resumed"
        )
    different = [name for name in _SAME if stored[name] != own[name]]
    try:
        began_as = [build(TrialConfig, raw, "checkpoint: config") for raw in stored["configs"]]
    except ConfigError as error:
        raise CheckpointError(error.problems) from error
    if began_as != list(configs):
        different.insert(0, "configuration")
    if different:
        raise CheckpointError(
            f"checkpoint differs from this trial in {', '.join(different)}; it cannot be resumed"
        )
