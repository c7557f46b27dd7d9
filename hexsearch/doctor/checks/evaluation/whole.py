"""Checks an evaluation of all validation games, by a network that costs nothing.

Other checks evaluate a few games with the real network. A fault that begins beyond them (a buffer
that is full, a second batch, a number that overflows) shows here: a fixed sum over the planes
stands where the network does, so that only positions, results and the order of the answers matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.doctor.checks.evaluation.chosen import chosen_findings
from hexsearch.doctor.checks.evaluation.metrics import metric_findings
from hexsearch.doctor.checks.evaluation.planes import finished_side
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.regions import region
from hexsearch.doctor.hypotheses.truth import Flags, Truth, inside_ring, truth_of
from hexsearch.doctor.networks import TrainedNetwork
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.training.metrics import Evaluation

_COMPARED = 600  # positions whose answers are compared
_CLOSE = 1e-3
_LAGS, _MOST = 4, 0.9  # rows that answers may be shifted by, and share of them that is


class _Sum(nn.Module):
    """Stands where a network with its heads does: the value is a fixed sum over the planes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.keys = torch.empty(0)
        self.stones: list[Tensor] = []  # the first two planes of all positions

    def shared(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        if self.keys.shape != planes.shape[1:]:
            generator = torch.Generator().manual_seed(SEED)
            self.keys = torch.randn(planes.shape[1:], generator=generator)
        self.stones.append((planes[:, :2] != 0).cpu())
        raw = (planes.float() * self.keys).flatten(1).sum(dim=1)
        return raw / planes[0, 0].numel() ** 0.5, planes.new_zeros(len(planes), self.size**2)

    def value_raw(self, number: int, features: Tensor) -> Tensor:
        return features


def check_whole(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare positions, results and answers of an evaluation of all validation games."""
    trial, dataset = needed(pipeline.watched), needed(pipeline.brief_dataset)
    size = dataset.config.board_size
    stub: Any = _Sum(size)
    evaluation = trial.evaluator.evaluate(stub, dataset.validation)[0][0]
    found = list(chosen_findings(trial, evaluation, dataset))
    if found:
        yield replace(found[0], root="beyond")
        return
    truth = truth_of(dataset.archive, evaluation.game, evaluation.ply)
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    columns = {
        "results (red_won)": (evaluation.red_won > 0.5) != truth.red_won,
        "moves to the end": evaluation.to_end != lengths - truth.ply,
        "finished boards": evaluation.final != truth.finished,
    }
    for name, wrong in columns.items():
        if wrong.any():
            yield _finding(name, wrong, truth)
            return
    shown = torch.cat(stub.stones).numpy()
    over = truth.finished
    if trial.encoder.perspective == "mover" and len(shown) == len(over) and over.any():
        sided = list(finished_side(inside_ring(shown[over], size), truth.rows(over)))
        yield from sided
        if sided:
            return
    findings = list(_answers(pipeline, stub, evaluation, truth))
    yield from findings or metric_findings(evaluation)


def _answers(
    pipeline: ExaminedPipeline, stub: _Sum, evaluation: Evaluation, truth: Truth
) -> Iterator[Finding]:
    trial = needed(pipeline.watched)
    going = np.flatnonzero(~truth.finished)
    chosen = going[:: max(len(going) // _COMPARED, 1)]
    moves = [
        truth.archive.game(int(game)).moves[: int(ply)]
        for game, ply in zip(truth.game[chosen], truth.ply[chosen], strict=True)
    ]
    positions = positions_of_moves(moves, truth.size)
    kept = np.flatnonzero(~positions.finished)  # a game may go on after a connection
    network = TrainedNetwork.of_trial(trial)
    with torch.no_grad():
        raw = stub.shared(trial.execution.show(network.planes(positions)))[0]
    ours = network.reported(raw, positions).double().numpy()[kept]
    wrong = np.abs(ours - evaluation.win_prob_red[chosen][kept]) > _CLOSE
    if wrong.any():
        flags = np.zeros(len(truth.ply), dtype=bool)
        flags[chosen[kept]] = wrong
        theirs, rows = evaluation.win_prob_red, chosen[kept]
        first = int(rows[wrong][0])  # or the one before it, if its two answers are alike
        batches = range(max(first - _LAGS, _LAGS + 1), first + 1)
        for lag in (*range(-_LAGS, 0), *range(1, _LAGS + 1), *batches):
            inside = (rows + lag >= 0) & (rows + lag < len(theirs)) & (wrong | (abs(lag) <= _LAGS))
            told, own = theirs[rows[inside] + lag], ours[inside]
            # Each raw value is reported from the side of the row that gets it.
            same = np.minimum(np.abs(told - own), np.abs(1 - told - own)) < _CLOSE
            if inside.any() and lag and same.mean() > _MOST:
                yield _shifted(lag, len(theirs))
                return
        yield _finding("answers", flags, truth, chosen[kept])


def _shifted(lag: int, count: int) -> Finding:
    return Finding.error(
        "evaluation",
        f"in an evaluation of {count:,} positions nearly every answer is that of another row",
        f"answers of an evaluation of several batches are shifted: each is that of the position "
        f"{abs(lag)} row(s) {'earlier' if lag > 0 else 'later'}"
        + (" (of another batch)" if abs(lag) > _LAGS else ""),
        "look at how batches of an evaluation are put together and cut",
        root="beyond",
    )


def _finding(
    name: str, wrong: Flags, truth: Truth, among: NDArray[np.int64] | None = None
) -> Finding:
    rows = np.arange(len(wrong)) if among is None else among
    numbers = {
        "number of the position in the evaluation": rows,
        "number of the game": truth.game[rows],
        "place of the game among those evaluated": np.unique(truth.game, return_inverse=True)[1][
            rows
        ],
        "ply": truth.ply[rows],
    }
    place = region(wrong[rows], numbers)
    return Finding.error(
        "evaluation",
        f"in an evaluation of all {len(np.unique(truth.game))} validation games {name} are wrong "
        f"for {wrong[rows].mean():.0%} of {len(rows):,} positions{f', {place}' if place else ''}; "
        "in one of few games they are right",
        f"{name} of an evaluation go wrong beyond the first games"
        + (f", {place}" if place else "")
        + " (a later batch, a buffer of fixed size, a number that overflows)",
        "look at how batches of an evaluation are put together and cut",
        root="beyond",
    )
