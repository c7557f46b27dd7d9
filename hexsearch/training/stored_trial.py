"""Reads the description of a trial from its checkpoint, before a network is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
_CONFIGS = ("configs", "data")  # their faults are found when they are built
_KINDS: tuple[Any, ...] = (Tensor, Mapping, (list, tuple), (int, float), str)
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
    """Content of a checkpoint of `train` (model.pt) or of a study's trial (checkpoint.pt).

    Attributes:
        content: everything in the file.
        state: result of `Trial.state()` or of `head_states()`.
        data: board size, split and stages of its training and evaluation.
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
    """The weights of a trial's state that were evaluated: the averaged ones if there are any."""
    weights: dict[str, Tensor] = state.get("average", state["network"])
    return weights


def read_stored_trial(path: Path) -> StoredTrial:
    """Read a trial's checkpoint.

    Raises:
        CheckpointError: it is not a checkpoint, is damaged, or is from another encoder.
    """
    content = load_checkpoint(path)
    state = content.get("state")
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path}: holds no trial; give the model.pt that `train` writes, or a checkpoint.pt"
        )
    missing = [name for name in _NEEDED if name not in state]
    if missing:
        raise CheckpointError(f"{path}: damaged: its trial has no {', '.join(missing)}")
    odd = [name for name, kind in _NEEDED.items() if not isinstance(state[name], kind)]
    if odd:
        raise CheckpointError(f"{path}: damaged: invalid {', '.join(odd)} of its trial")
    version = state["encoder_version"]
    if version != ENCODER_VERSION:
        raise CheckpointError(
            f"{path}: was trained with encoder version {version}, but this hexsearch has version "
            f"{ENCODER_VERSION}, which gives other planes for the same position"
        )
    if len(state["configs"]) != 1:
        raise CheckpointError(
            f"{path}: holds {len(state['configs'])} value heads on one trunk; give the checkpoint "
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
    """Check that a trial can continue from a stored state.

    A setting that is missing in the stored configurations is newer than the checkpoint, and had
    its default value.

    Args:
        own: state of the trial.
        configs: configurations of its heads.
    Raises:
        CheckpointError: a part is missing in the stored state, is of another kind, or differs;
            names the part.
    """
    absent = [name for name in own if name not in stored]
    if absent:
        raise CheckpointError(
            f"checkpoint lacks {', '.join(absent)}: it was written by hexsearch "
            f"{stored.get('code_version', 'of another version')} and cannot be resumed"
        )
    different = [name for name in _SAME if stored[name] != own[name]]
    _refuse(_misfit(stored["configs"], own["configs"], "configs"))
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
    for name in own:
        _refuse(_misfit(stored[name], own[name], name))
    seen = stored["positions_seen"]
    if type(seen) is not int or not 0 <= seen <= own["max_positions"]:
        _refuse(f"positions_seen is {seen}")


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise CheckpointError(f"checkpoint is damaged: its {fault}")


def _misfit(stored: Any, own: Any, name: str) -> str | None:
    """The first part of a stored state of another kind than the trial's own, or None.

    A part that is None or empty in a new trial may hold anything. Lengths of lists and missing
    names are found where the state is used.
    """
    kind: Any = next((kind for kind in _KINDS if isinstance(own, kind)), None)
    if kind is None or (stored is None and isinstance(own, bool)):  # flags depend on the device
        return None
    if not isinstance(stored, kind):
        return f"{name} is a {type(stored).__name__}"
    if isinstance(own, Tensor):
        # The states of random generators have other lengths on other devices.
        fits = name == "rng" or stored.shape == own.shape
        return None if fits else f"{name} has the shape {tuple(stored.shape)}"
    faults: Iterable[str | None] = ()
    if isinstance(own, Mapping) and name not in _CONFIGS:
        faults = (_misfit(stored[key], own[key], str(key)) for key in own if key in stored)
    elif isinstance(own, (list, tuple)) and name not in _CONFIGS:
        faults = (_misfit(*pair, name) for pair in zip(stored, own, strict=False))
    return next((fault for fault in faults if fault is not None), None)
