"""Checks before the first trial: contracts of components, resources, and baselines."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.config.policy_head import PolicyHeadConfig
from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import build, is_import_path
from hexsearch.config.study import StudyConfig
from hexsearch.config.trunk import NetworkConfig, TrunkConfig
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import stage_of
from hexsearch.errors import ConfigError, ContractError, PluginError
from hexsearch.game.board import RED
from hexsearch.ledger.report import Baseline, MetricsSummary
from hexsearch.model.policy_head import build_policy_head, check_policy_head
from hexsearch.model.readout import build_readout
from hexsearch.model.trunk import build_trunk, check_trunk
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.model.whole_network import check_whole
from hexsearch.search.placement import Machine, without_measuring
from hexsearch.search.schedules import PhaseSchedules
from hexsearch.search.space import SearchSpace
from hexsearch.training.machine import usable_cpus
from hexsearch.training.metrics import Evaluation, GameLosses

_MEASURED = 2_000  # configurations whose memory is estimated
_TRIED_NETWORKS = 12  # networks of the user's own whose contract is checked
_FEW_JUDGED = 20_000  # validation positions that are judged in seconds
_SIZE = 13  # side of the board on which components are tested
_MAP_SIDE = 2  # rows of the feature map on which heads are tested


def check_components(space: SearchSpace, size: int = _SIZE) -> None:
    """Build each trunk, head, network and read-out of the space, and check its contract.


    Args:
        size: of the board, which a whole network is built for.
    Raises:
        ContractError: a component breaks its contract; lists all faults.
        PluginError: the code of a component raised an error.
    """
    encoder = PositionEncoder.of(space.default.encoder, _SIZE)
    planes, side = encoder.planes, encoder.side
    checks: dict[str, Callable[[Any], list[str]]] = {
        "trunk": lambda raw: _trunk_problems(build(TrunkConfig, raw, "trunk"), planes, side),
        "value_head": lambda raw: _value_head_problems(build(ValueHeadConfig, raw, "value_head")),
        "policy_head": lambda raw: _policy_head_problems(
            build(PolicyHeadConfig, raw, "policy_head"), space.default.trunk.features
        ),
        "readout": lambda raw: _readout_problems(build(ReadoutConfig, raw, "readout")),
    }
    problems: list[str] = []
    kind = ContractError
    inside = PositionEncoder.of(space.default.encoder, size).side
    for network in _networks(space):
        try:
            problems += check_whole(network, planes, inside, size)
        except ContractError as error:
            problems.append(str(error))
            if isinstance(error, PluginError):
                kind = PluginError
    if space.default.network is not None:
        del checks["trunk"], checks["value_head"], checks["policy_head"]
    for section, check in checks.items():
        for raw in _named(space, section):
            try:
                problems += check(raw)
            except ContractError as error:
                problems.append(str(error))
                if isinstance(error, PluginError):
                    kind = PluginError
    if problems:
        raise kind("\n".join(problems))


def _networks(space: SearchSpace) -> list[NetworkConfig]:
    """Distinct networks of the user's own that the space may build, the first few of them."""
    found: dict[str, NetworkConfig] = {}
    searched = any(dimension.name.partition(".")[0] == "network" for dimension in space.dimensions)
    if space.default.network is not None:
        found[space.default.network.name] = space.default.network
    for values in islice(space.configurations(), _MEASURED if searched else 0):
        network = space.resolve(values).network
        if network is not None and len(found) < _TRIED_NETWORKS:
            found.setdefault(network.name, network)
    return list(found.values())


def _trunk_problems(config: TrunkConfig, planes: int, side: int) -> list[str]:
    if not is_import_path(config.family):
        return []  # built-in trunks have their own tests, and building large ones takes seconds
    return check_trunk(build_trunk(config, planes, side), config, planes, side)


def _value_head_problems(config: ValueHeadConfig) -> list[str]:
    head = build_value_head(config, _MAP_SIDE)
    return check_value_head(head, config.inputs, _MAP_SIDE, config.name)


def _policy_head_problems(config: PolicyHeadConfig, features: int) -> list[str]:
    head = build_policy_head(config, features, _SIZE, _MAP_SIDE)
    return check_policy_head(head, features, _SIZE, _MAP_SIDE, config.name)


def _readout_problems(config: ReadoutConfig) -> list[str]:
    build_readout(config)  # raises an error if the contract is broken
    return []


def _named(space: SearchSpace, section: str) -> list[Any]:
    """Every value that a whole section may have: the choices, or the default."""
    for dimension in space.dimensions:
        if dimension.name == section:
            return list(dimension.choices)
    return [getattr(space.default, section).model_dump()]


def with_local_resources(config: StudyConfig) -> StudyConfig:
    """The study with the CPUs and GPUs of one trial on this machine, before Ray is started.

    `auto` is replaced by numbers, unless trials on a GPU have to be measured.

    Raises:
        ConfigError: a trial needs more CPUs or GPUs than this process may use.
    """
    cpus, gpus = usable_cpus(), torch.cuda.device_count()
    run = without_measuring(config.run, [Machine(cpus, gpus)]) or config.run
    if run.gpus and not gpus:
        raise ConfigError(
            "run.gpus_per_trial: torch finds no GPU here; install a CUDA build of torch, "
            "train on the CPU with --set run.gpus_per_trial=0, or join a cluster with --address"
        )
    for name, needed, available in (
        ("cpus_per_trial", run.cpus, cpus),
        ("gpus_per_trial", run.gpus, gpus),
    ):
        if needed > available:
            raise ConfigError(
                f"run.{name}: a trial needs {needed:g}, but this process may use {available}; "
                "lower it, or join a larger cluster with --address"
            )
    return config.model_copy(update={"run": run})


def require_memory(space: SearchSpace, config: StudyConfig) -> None:
    """Check that the training of every network fits into this machine's memory.

    Raises:
        ConfigError: it does not fit; states the estimate.
    """
    if config.run.gpus_per_trial or not hasattr(os, "sysconf"):
        return
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for values in islice(space.configurations(), _MEASURED):
        needed = space.resolve(values).estimated_bytes(config.data.board_size)
        if needed > available:
            raise ConfigError(
                f"training needs about {needed / 1e9:,.0f} GB, but this machine has "
                f"{available / 1e9:,.0f} GB; lower channels, features or batch_size, or set "
                "micro_batch"
            )


def costly_reports(config: StudyConfig, space: SearchSpace, dataset: Dataset) -> list[str]:
    """A hint if a trial's first report judges more positions than it has trained on by then."""
    first = PhaseSchedules.of(config, space).points(config.phases[0])[0]
    judged = len(dataset.validation)
    if judged <= max(first, _FEW_JUDGED):
        return []
    games = max(1, round(dataset.validation_games.size * first / judged / 2))
    return [
        f"each report judges {judged:,} validation positions, but a trial trains on {first:,} "
        f"before the first one; --set data.validation_games={games} would cost less"
    ]


def baseline_rows(dataset: Dataset) -> list[tuple[Baseline, GameLosses]]:
    """Baselines for the leaderboard with per-game losses, evaluated in the same way as trials."""
    rows = []
    archive, validation = dataset.archive, dataset.validation
    games, plies = validation.at(np.arange(len(validation), dtype=np.int64))
    lengths = archive.lengths[games]
    red_won = (archive.winners[games] == RED).astype(np.float64)
    stage = stage_of(plies, dataset.config.board_size, dataset.config.stages)
    final = (plies == lengths) & archive.finished[games].astype(bool)
    predictions: dict[str, NDArray[np.float64]] = baseline_predictions(
        archive, dataset.train_games, validation
    )
    for name, win_prob_red in predictions.items():
        evaluation = Evaluation(win_prob_red, red_won, stage, lengths - plies, final, games, plies)
        row = Baseline(name, MetricsSummary.of(evaluation.metrics()))
        rows.append((row, evaluation.game_losses()))
    return rows
