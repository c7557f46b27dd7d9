"""Listed slips in answers, in evaluations and in the calibration of norms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.data.position_set import position_set
from hexsearch.model.many_heads import ManyHeads
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import AVERAGED, all_of, in_answers, occupied_cells
from tests.doctor.slips import Slip, in_reported, patched

_TOGETHER = 256  # positions that are answered together


def _sigmoid_again(answers: Tensor, batch: Batch) -> Tensor:
    own = torch.where(batch.complement, 1.0 - answers, answers).sigmoid()
    return torch.where(batch.complement, 1.0 - own, own)


def _inverted_mask(sound: Any) -> Any:
    def answer(self: Evaluator, network: ManyHeads, batch: Batch) -> Any:
        raws, logits = sound(self, network, batch)
        empty = ~occupied_cells(batch.planes, math.isqrt(logits.shape[1]))
        return raws, logits - 1e9 * empty.flatten(1).to(logits.dtype)

    return answer


def _shifted(evaluation: Evaluation) -> NDArray[Any]:
    answers = evaluation.win_prob_red
    return np.roll(answers, 1) if len(answers) > _TOGETHER else answers


def _smoothed(evaluation: Evaluation) -> NDArray[Any]:
    """The mean of the answers to a position and its two neighbours on each side in its game."""
    answers, games = evaluation.win_prob_red, evaluation.game
    beside = np.abs(evaluation.ply[:, None] - evaluation.ply) <= 2
    near = (beside & (games[:, None] == games)).astype(float)
    smooth: NDArray[Any] = near @ answers / near.sum(axis=1)
    return smooth


def _on_final_positions(sound: Any) -> Any:
    def calibrate(self: Evaluator, network: ManyHeads) -> None:
        games = np.unique(self.stream.positions.games).astype(np.int64)
        ends = self.stream.builder.archive.lengths_of(games)
        stream = replace(self.stream, positions=position_set(games, ends, ends))
        sound(replace(self, stream=stream), network)

    return calibrate


def _trained_network(sound: Any) -> Any:
    """The trained network is calibrated, whichever network answers."""

    def prepare(self: Trial, *given: Any) -> None:
        sound(self, *given)
        calibrate, body = self.evaluator.calibrate, self.body
        object.__setattr__(self.evaluator, "calibrate", lambda _: calibrate(body))

    return prepare


SLIPS: dict[str, Slip] = {
    "sigmoid of the probability": Slip(
        in_reported(_sigmoid_again),
        "evaluation reports the sigmoid of the answer: a sigmoid is applied twice",
        cause="Evaluation applies a sigmoid to the probability, so answers lie between 0.5 and "
        "0.73.",
    ),
    "mask of moves inverted in evaluation": Slip(
        patched(Evaluator, "_answer", _inverted_mask),
        "policy loss of evaluation is masked the wrong way round: free cells are masked",
        cause="In evaluation, policy logits of empty cells are masked in place of those of "
        "occupied cells.",
    ),
    "answers smoothed within a game": Slip(
        in_answers(_smoothed),
        r"averages answers over neighbouring positions of a game \(smoothed\)",
        cause="Reported answers are means over five positions of the game, later ones included.",
    ),
}
SLOW: dict[str, Slip] = {
    "answers shifted by one position": Slip(
        all_of(
            lambda patch: patch.setitem(evaluation_module._BATCH, "cpu", _TOGETHER),
            in_answers(_shifted),
        ),
        "shifted: each is that of the position 1 row",
        cause="The answers of an evaluation of several batches are shifted by one position.",
    ),
    "norms calibrated on final positions": Slip(
        patched(Evaluator, "calibrate", _on_final_positions),
        "not computed over training positions .*those of final positions only",
        cause="The batch-norm statistics for evaluation are computed on final positions only.",
    ),
    "trained network calibrated in place of the average": Slip(
        patched(Trial, "_prepare", _trained_network),
        r"never computed: .*in the network that is evaluated \(the average of the weights\)",
        AVERAGED,
        cause="Norm statistics are computed for the trained network, but the averaged network "
        "answers, with those of the start.",
    ),
}
