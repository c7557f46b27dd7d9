"""Answers of the leaders' networks on validation games: calibration, and boards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer, reliability_bins
from hexsearch.data.dataset import Dataset
from hexsearch.errors import HexsearchError
from hexsearch.leaderboard.rows import Row
from hexsearch.report.analysis_pictures import draw_boards
from hexsearch.report.board_answers import boards_of_a_game
from hexsearch.report.html.study import Study

_NETWORKS = 2  # networks that answer
_POSITIONS = 1200  # approximate number of positions for each network


@dataclass(frozen=True)
class CalibrationBin:
    """Answers in one tenth of the scale: their mean, how often Red won, and its 95% interval."""

    answer: float
    red_won: float
    low: float
    high: float
    positions: int


@dataclass(frozen=True)
class Calibration:
    """Calibration of one network."""

    name: str
    bins: list[CalibrationBin]


@dataclass(frozen=True)
class Answers:
    """Answers of the networks whose checkpoints were kept.

    Attributes:
        boards: an SVG of one game with the first network's answers; empty without a checkpoint.
        note: number of positions, or the reason why there are no answers.
    """

    calibrations: list[Calibration]
    boards: str
    note: str


def answers_of(study: Study, rows: list[Row]) -> Answers:
    """Answers of the first two leaders with a checkpoint, on some of the validation games."""
    kept = [
        (row, path)
        for row in rows
        for path in [study.folder.checkpoint(trial) for trial in row.trial_ids]
        if path.exists()
    ]
    kept = list({row.name: (row, path) for row, path in reversed(kept)}.values())[::-1][:_NETWORKS]
    dataset = study.games
    if not kept:
        return Answers([], "", "No checkpoint of a leader is in the study's folder.")
    if not isinstance(dataset, Dataset):
        return Answers([], "", dataset)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    calibrations, boards, positions = [], "", 0
    try:
        games = _some(dataset)
        for row, path in kept:
            network = load_network(path)
            analyzer = ValueHeadAnalyzer(
                network.predictor,
                dataset.archive,
                games,
                dataset.train_games,
                dataset.config.stages,
            )
            evaluation = analyzer.evaluate()
            positions = len(evaluation.win_prob_red)
            bins = reliability_bins(evaluation)
            calibrations.append(
                Calibration(
                    row.name,
                    [
                        CalibrationBin(
                            part.answer,
                            part.red_won,
                            *_bounds(part.red_won, part.standard_error),
                            part.positions,
                        )
                        for part in bins
                        if part.positions
                    ],
                )
            )
            if not boards:
                boards = draw_boards(
                    boards_of_a_game(evaluation, network.predictor, dataset.archive)
                )
    except HexsearchError as error:
        return Answers(calibrations, boards, f"The networks could not answer: {error}")
    return Answers(
        calibrations,
        boards,
        f"Answers on {positions:,} positions of {len(games)} validation games; for all of them: "
        "hexsearch analyze.",
    )


def _some(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Validation games that have about `_POSITIONS` positions together."""
    games = dataset.validation_games
    total = np.cumsum(dataset.archive.lengths[games] + 1)
    return games[: max(2, int(np.searchsorted(total, _POSITIONS)))]


def _bounds(red_won: float, standard_error: float) -> tuple[float, float]:
    half = 1.96 * standard_error if standard_error == standard_error else 0.0
    return max(0.0, red_won - half), min(1.0, red_won + half)
