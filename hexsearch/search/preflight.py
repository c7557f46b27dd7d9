"""What is looked at before the first trial: every component's contract, and the floors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import build
from hexsearch.config.value_head import ValueHeadConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.floors import floor_predictions
from hexsearch.data.positions import stage_of
from hexsearch.errors import ContractError
from hexsearch.game.board import RED
from hexsearch.model.readout import build_readout
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.search.space import SearchSpace
from hexsearch.training.metrics import Evaluation, brief


def check_components(space: SearchSpace) -> None:
    """Build every value head and read-out that the space names, and hold it to its contract.

    Raises:
        ContractError: lists what is wrong with each.
    """
    problems: list[str] = []
    for config in _named(space, "value_head"):
        head_config = build(ValueHeadConfig, config, "value_head")
        try:
            head = build_value_head(head_config)
        except ContractError as error:
            problems.append(str(error))
            continue
        problems += check_value_head(head, head_config.inputs, head_config.name)
    for config in _named(space, "readout"):
        try:
            build_readout(build(ReadoutConfig, config, "readout"))
        except ContractError as error:
            problems.append(str(error))
    if problems:
        raise ContractError("\n".join(problems))


def _named(space: SearchSpace, section: str) -> list[Any]:
    """Every value that a section may take as a whole: the choices, or the default."""
    for dimension in space.dimensions:
        if dimension.name == section:
            return list(dimension.choices)
    return [getattr(space.default, section).model_dump()]


def floor_rows(dataset: Dataset) -> list[dict[str, Any]]:
    """What is reached without a network, judged as trials are: rows of the leaderboard."""
    rows = []
    archive, validation = dataset.archive, dataset.validation
    games, plies = validation.at(np.arange(len(validation), dtype=np.int64))
    lengths = archive.lengths[games]
    red_won = (archive.winners[games] == RED).astype(np.float64)
    stage = stage_of(plies, dataset.config.board_size, dataset.config.stages)
    final = (plies == lengths) & archive.finished[games].astype(bool)
    predictions: dict[str, NDArray[np.float64]] = floor_predictions(
        archive, dataset.train_games, validation
    )
    for name, win_prob_red in predictions.items():
        evaluation = Evaluation(win_prob_red, red_won, stage, lengths - plies, final, games, plies)
        rows.append({"name": name, **brief(evaluation.metrics())})
    return rows
