"""Takes a frozen trunk into a comparison: fits the space to it, checks and stores it."""

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
    """A study's configuration with its frozen trunk, if it names one.

    Trunk, encoder and policy head become those of the checkpoint, since its weights need them.

    Returns:
        The configuration, and one line for each section of the space that was replaced.
    Raises:
        CheckpointError: the checkpoint is missing, damaged, or has another hash than `trunk_hash`.
        ConfigError: it was trained on another board size, or the heads do not fit it.
    """
    trunk = named_trunk(config)
    if trunk is None:
        return config, []
    trial = trunk.beneath(config.trial)
    trunk.require_fit(trial, config.data.board_size)
    lines = [
        f"{trunk.path}: {name} is that of the frozen trunk: {_differences(config, trunk, name)}"
        for name in trunk.replaced(config.trial)
    ]
    if config.trial.auxiliary.weights:
        lines.append(f"{trunk.path}: is not trained, so auxiliary heads are left out")
    comparison = config.compare.model_copy(update={"trunk_hash": trunk.content_hash})
    return config.model_copy(update={"trial": trial, "compare": comparison}), lines


def refuse_frozen_trunk(config: StudyConfig) -> None:
    """Check that a study with a search has no frozen trunk, since all its phases train trunks.

    Raises:
        ConfigError: the configuration names a frozen trunk.
    """
    if config.compare.trunk is not None:
        raise ConfigError(
            "compare.trunk: a frozen trunk is only for the command `compare`; a study with a "
            "search trains its own trunks: leave it out"
        )


def named_trunk(config: StudyConfig) -> FrozenTrunk | None:
    """The frozen trunk that a configuration names.

    Raises:
        CheckpointError: its checkpoint cannot be used.
    """
    named = config.compare
    return None if named.trunk is None else read_frozen_trunk(Path(named.trunk), named.trunk_hash)


def check_games(trunk: FrozenTrunk, dataset: Dataset) -> list[str]:
    """Warnings about held-out games of a comparison on which the trunk may have been trained.

    The split depends on the hash of each game alone. So with equal shares and salt, a game that is
    held out here was held out in the trunk's training, too.

    Raises:
        ConfigError: the trunk was trained on games that are held out here.
    """
    split = trunk.data.split
    trained = split_games(dataset.archive, "train", split.validation, split.test, split.salt)
    held_out = np.union1d(dataset.validation_games, dataset.games("test"))
    seen = np.intersect1d(trained, held_out)
    same_games = trunk.archive_hash == dataset.archive.content_hash
    remedy = (
        f"use its split: --set data.split.validation={split.validation:g} --set "
        f"data.split.test={split.test:g} --set data.split.salt={split.salt}"
    )
    if len(seen) and same_games:
        raise ConfigError(
            f"{trunk.path}: was trained on {len(seen):,} of {len(held_out):,} validation and test "
            f"games, so all scores would be too good; {remedy}"
        )
    if len(seen):
        return [
            f"{trunk.path}: was trained on other games with another split: up to {len(seen):,} of "
            f"{len(held_out):,} validation and test games may be among its training games, and "
            f"scores may be too good; {remedy}"
        ]
    if not same_games:
        return [
            f"{trunk.path}: was trained on other games, but on none that is held out here, since "
            "the split is the same"
        ]
    return []


def store_trunk(config: StudyConfig, folder: StudyFolder) -> None:
    """Copy the checkpoint of a frozen trunk into the study's folder."""
    if config.compare.trunk is not None:
        write_atomically(folder.trunk, Path(config.compare.trunk).read_bytes())
        require_trunk(config, folder)


def require_trunk(config: StudyConfig, folder: StudyFolder) -> Path | None:
    """The study's copy of the frozen trunk; None if the trunk is trained.

    Raises:
        CheckpointError: the copy is missing, damaged, or another checkpoint.
    """
    if config.compare.trunk is None:
        return None
    read_frozen_trunk(folder.trunk, config.compare.trunk_hash)
    return folder.trunk


def _differences(config: StudyConfig, trunk: FrozenTrunk, section: str) -> str:
    """`preset resnet18 instead of small, ...`"""
    own = getattr(config.trial, section).model_dump(mode="json")
    its = getattr(trunk.config, section).model_dump(mode="json")
    return ", ".join(
        f"{name} {its[name]} instead of {own[name]}" for name in its if its[name] != own[name]
    )
