"""Makes a pipeline of what a user names. Faults of what is named become findings, not errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hexsearch.analysis.loading import load_network
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.collection.importing import ImportReport, import_games, read_games
from hexsearch.data.collection.sources import find_sources
from hexsearch.doctor.foreign import ForeignNetwork, load_foreign
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.errors import GamesError
from hexsearch.model.plugins import import_factory


def admit_configs(
    label: str, configs: Sequence[TrialConfig], data: DataConfig, games: Sequence[str]
) -> ExaminedPipeline:
    """A pipeline of configurations that have not been trained.

    Raises:
        GamesError: a path leads to no file. Games that exist but cannot be used are findings.
    """
    archive, imported, problem = _read(games, data.board_size)
    return ExaminedPipeline(
        label=label,
        archive=archive,
        imported=imported,
        games_problem=problem,
        data=data,
        configs=configs,
    )


def admit_checkpoint(path: Path, games: Sequence[str]) -> ExaminedPipeline:
    """A checkpoint, with the pipeline that its configuration describes.

    It may have learned from values of a search that other games do not hold. On these games its
    targets are the results alone.

    Raises:
        CheckpointError: the file cannot be read.
        GamesError: a path leads to no file.
    """
    loaded = load_network(path, checked=False)
    pipeline = admit_configs(str(path), [loaded.config], loaded.data, games)
    if pipeline.archive is not None and pipeline.archive.search_values is None:
        curriculum = loaded.config.curriculum.model_copy(update={"search_value": 0.0})
        config = loaded.config.model_copy(update={"curriculum": curriculum})
        loaded, pipeline.configs = replace(loaded, config=config), [config]
    pipeline.loaded = loaded
    return pipeline


def admit_foreign(
    model: str, encoder: str, size: int, games: Sequence[str], train: str | None = None
) -> ExaminedPipeline:
    """A user's own model, imported by its path.

    Args:
        model, encoder, train: import paths such as `package.module:load`.
        size: side of the board.
    Raises:
        ContractError: the model or the encoder cannot be imported or called.
        GamesError: a path leads to no file.
    """
    pipeline = admit_configs(model, (), build(DataConfig, {"board_size": size}, ""), games)
    pipeline.foreign = load_foreign(model, encoder, size)
    if train is not None:
        pipeline.foreign.train = import_factory(train, "--train")
    return pipeline


def admit_model(
    model: Callable[..., Any],
    encode: Callable[..., Any],
    size: int,
    games: Sequence[str],
    train: Callable[..., Any] | None = None,
) -> ExaminedPipeline:
    """A user's own model, encoder and training function as Python objects.

    Raises:
        GamesError: a path leads to no file.
    """
    name = type(model).__name__
    pipeline = admit_configs(name, (), build(DataConfig, {"board_size": size}, ""), games)
    pipeline.foreign = ForeignNetwork(model, encode, size, (name, "encoder"))
    pipeline.foreign.train = train
    return pipeline


def _read(paths: Sequence[str], size: int) -> tuple[GameArchive | None, ImportReport | None, str]:
    """Archive, report of the import, and why there is no archive (empty where there is one).

    The report lists the refused games also where no game can be used.
    """
    if not paths:
        return None, None, ""
    find_sources(paths)  # a wrong path is an error of usage, not a finding
    try:
        archive, report = import_games(paths, size)
    except GamesError as error:
        report = ImportReport()
        for _, refused in read_games(paths, report, size):
            report.refuse(refused)
        return None, report, str(error)
    return archive, report, ""
