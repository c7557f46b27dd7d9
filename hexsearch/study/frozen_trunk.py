"""A frozen trunk on its way into a comparison: fitted to the space, checked, kept in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hexsearch.config.study import StudyConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.split import split_games
from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.training.atomic import write_atomically
from hexsearch.training.frozen_trunk import FrozenTrunk, read_frozen_trunk


def take_frozen_trunk(config: StudyConfig) -> tuple[StudyConfig, list[str]]:
    """A study's configuration on the frozen trunk that it names, if it names one.

    Trunk, encoder and policy head are the checkpoint's: weights fit nothing else.

    Returns:
        Also a line about what that replaces in the space, where it does; none the second time.
    Raises:
        CheckpointError: no such checkpoint, damaged, or not the one that `trunk_hash` names.
        ConfigError: it was trained on boards of another size, or the heads do not fit it.
    """
    trunk = named_trunk(config)
    if trunk is None:
        return config, []
    trial = trunk.beneath(config.trial)
    trunk.require_fit(trial, config.data.board_size)
    said = [
        f"{trunk.path}: {name} comes with the frozen trunk: {_differences(config, trunk, name)}"
        for name in trunk.replaced(config.trial)
    ]
    if config.trial.auxiliary.weights:
        said.append(f"{trunk.path}: learns no more, so auxiliary heads are left out")
    comparison = config.compare.model_copy(update={"trunk_hash": trunk.content_hash})
    return config.model_copy(update={"trial": trial, "compare": comparison}), said


def refuse_frozen_trunk(config: StudyConfig) -> None:
    """A study's first stage trains its trunk, as the search after it does.

    Raises:
        ConfigError: the configuration names a frozen one.
    """
    if config.compare.trunk is not None:
        raise ConfigError(
            "compare.trunk: a frozen trunk is for the command `compare`; a study with the "
            "stage comparison trains its own: leave it out"
        )


def named_trunk(config: StudyConfig) -> FrozenTrunk | None:
    """The frozen trunk that a configuration names.

    Raises:
        CheckpointError: it cannot be used.
    """
    named = config.compare
    return None if named.trunk is None else read_frozen_trunk(Path(named.trunk), named.trunk_hash)


def check_games(trunk: FrozenTrunk, dataset: Dataset) -> list[str]:
    """What of a comparison's games the trunk may have been trained on, as warnings.

    The split goes by each game's own hash, so under equal shares and salt a game that is held out
    here was held out there, whatever other games were about.

    Raises:
        ConfigError: it was trained on games that are held out here.
    """
    split = trunk.data.split
    trained = split_games(dataset.archive, "train", split.validation, split.test, split.salt)
    held_out = np.union1d(dataset.validation_games, dataset.games("test"))
    seen = np.intersect1d(trained, held_out)
    same_games = trunk.archive_hash == dataset.archive.content_hash
    remedy = (
        f"take its split: --set data.split.validation={split.validation:g} --set "
        f"data.split.test={split.test:g} --set data.split.salt={split.salt}"
    )
    if len(seen) and same_games:
        raise ConfigError(
            f"{trunk.path}: {len(seen):,} of {len(held_out):,} validation and test games are games "
            f"that this trunk was trained on, and would flatter every head; {remedy}"
        )
    if len(seen):
        return [
            f"{trunk.path}: was trained on other games than these and split otherwise: up to "
            f"{len(seen):,} of {len(held_out):,} validation and test games may be among its "
            f"training games and flatter every head; {remedy}"
        ]
    if not same_games:
        return [
            f"{trunk.path}: was trained on other games than these (none that is held out here: "
            "the split is the same)"
        ]
    return []


def store_trunk(config: StudyConfig, folder: StudyFolder) -> None:
    """Copy the checkpoint of a frozen trunk into the comparison's folder."""
    if config.compare.trunk is not None:
        write_atomically(folder.trunk, Path(config.compare.trunk).read_bytes())
        require_trunk(config, folder)


def require_trunk(config: StudyConfig, folder: StudyFolder) -> Path | None:
    """The folder's own copy of the frozen trunk; None where the trunk is trained.

    Raises:
        CheckpointError: it is gone, damaged, or another one.
    """
    if config.compare.trunk is None:
        return None
    read_frozen_trunk(folder.trunk, config.compare.trunk_hash)
    return folder.trunk


def _differences(config: StudyConfig, trunk: FrozenTrunk, section: str) -> str:
    """`preset resnet18 instead of small, ...`"""
    mine = getattr(config.trial, section).model_dump(mode="json")
    its = getattr(trunk.config, section).model_dump(mode="json")
    return ", ".join(
        f"{name} {its[name]} instead of {mine[name]}" for name in its if its[name] != mine[name]
    )
