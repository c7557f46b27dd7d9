"""Checks which positions an evaluation is about: all of the validation games, each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import all_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.truth import Flags, Ints, Truth, truth_of
from hexsearch.doctor.networks import TrainedNetwork
from hexsearch.doctor.samples import position_keys
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.metrics import Evaluation

_MORE = 60  # games that are evaluated to find out which positions are left out


def with_few_games(dataset: Dataset, count: int) -> Dataset:
    """The same data set with at most `count` validation games."""
    few = dataset.config.model_copy(update={"validation_games": count})
    return Dataset(dataset.archive, few)


def evaluated(trial: WatchedTrial, dataset: Dataset) -> tuple[Evaluation, float]:
    """What a report of the trial would be about if this were its data set."""
    whole, trial.dataset = trial.dataset, dataset
    try:
        return trial.evaluate()
    finally:
        trial.dataset = whole


def chosen_findings(
    trial: WatchedTrial, evaluation: Evaluation, dataset: Dataset
) -> Iterator[Finding]:
    """Compare the positions of an evaluation with those of the validation games."""
    if not _is_complete(evaluation, dataset):
        more = with_few_games(trial.dataset, _MORE)
        yield from _wrong_choice(trial, evaluated(trial, more)[0], more)


def _is_complete(evaluation: Evaluation, dataset: Dataset) -> bool:
    keys = position_keys(*_wanted(dataset))
    return np.array_equal(np.sort(keys), np.sort(position_keys(evaluation.game, evaluation.ply)))


def _wanted(dataset: Dataset) -> tuple[Ints, Ints]:
    positions = all_positions(dataset.archive, dataset.validation_games)
    return positions.at(np.arange(len(positions)))


def _wrong_choice(
    trial: WatchedTrial, evaluation: Evaluation, dataset: Dataset
) -> Iterator[Finding]:
    wanted = _wanted(dataset)
    keys, own = position_keys(*wanted), position_keys(evaluation.game, evaluation.ply)
    strange = ~np.isin(evaluation.game, dataset.validation_games)
    if strange.any():
        yield _of_other_games(evaluation, dataset, strange)
        return
    missing = ~np.isin(keys, own)
    again = len(own) - len(np.unique(own))
    place = ""
    if missing.any():
        truth = truth_of(dataset.archive, *wanted)
        place = region(missing, _columns(trial, truth))
    yield Finding.error(
        "evaluation",
        f"evaluation gives {len(own):,} answers for {len(keys):,} positions; {missing.sum():,} "
        f"positions have none, and {again:,} answers are for a position that has one already",
        "evaluation leaves positions out"
        + (f", {place}" if place else "")
        + (": the report is about a subset of the validation positions" if missing.any() else "")
        if missing.any()
        else "evaluation counts some positions several times",
        "evaluate every position of the validation games once",
    )


def _of_other_games(evaluation: Evaluation, dataset: Dataset, strange: Flags) -> Finding:
    splits = {
        "training": dataset.train_games,
        "test": dataset.games("test"),
        "other validation": dataset.games("validation"),
    }
    shares = {n: float(np.isin(evaluation.game[strange], g).mean()) for n, g in splits.items()}
    most = max(shares, key=lambda name: shares[name])
    return Finding.error(
        "evaluation",
        f"{strange.mean():.0%} of {len(strange):,} evaluated positions are not of the games that "
        f"were to be evaluated; {shares[most]:.0%} of these are {most} games",
        f"the report is about {most} games, not about the validation games: "
        + (
            "its figures show what the network has memorised"
            if most == "training"
            else "trials are compared on other games than configured"
        ),
        "evaluate dataset.validation, every position once",
        root="evaluated on others",
    )


def _columns(trial: WatchedTrial, truth: Truth) -> dict[str, NDArray[Any]]:
    """Numbers of each position, and the network's own answer to it."""
    records = {int(game): truth.archive.game(int(game)).moves for game in np.unique(truth.game)}
    moves = [
        records[int(game)][: int(ply)] for game, ply in zip(truth.game, truth.ply, strict=True)
    ]
    positions = positions_of_moves(moves, truth.size)
    network = TrainedNetwork.of_trial(trial)
    answers = network.reported(network.respond(network.planes(positions))[1], positions)
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    return {
        "ply": truth.ply,
        "number of plies to the end": lengths - truth.ply,
        "length of the game": lengths,
        "number of the game": truth.game,
        "number of the position": np.arange(len(truth.game)),
        "network's answer": answers.double().numpy(),
        "distance of the network's answer from 0.5": np.abs(answers.double().numpy() - 0.5),
        "where the game is finished": truth.finished,
        "where Red wins": truth.red_won,
    }
