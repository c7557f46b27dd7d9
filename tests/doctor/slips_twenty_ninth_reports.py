"""Slips in the evaluation and the reports, of the twenty-ninth set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.training import metrics as metrics_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors import verdict as verdict_module
from tests.doctor.slips import Patch, Slip, patched


def _train_mode(sound: Any) -> Any:
    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        network.train()
        network.eval = lambda: network
        try:
            return sound(self, network, positions)
        finally:
            del network.eval

    return evaluate


def _in_order_of_stones(sound: Any) -> Any:
    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        evaluations, policy_loss = sound(self, network, positions)
        mixed = tuple(
            replace(each, win_prob_red=each.win_prob_red[np.argsort(each.ply, kind="stable")])
            for each in evaluations
        )
        return mixed, policy_loss

    return evaluate


def _colours_exchanged(sound: Any) -> Any:
    def masks(columns: Any) -> Any:
        found = sound(columns)
        blue = len(found) - 3
        return torch.cat([found[:blue], found[[blue + 1, blue]], found[blue + 2 :]])

    return masks


def _not_learning_is_healthy(patch: Patch) -> None:
    for name in ("_by_gradient", "_by_answers"):
        sound = getattr(verdict_module, name)

        def found(*arguments: Any, sound: Any = sound) -> Any:
            verdict = sound(*arguments)
            return None if verdict is not None and verdict.name == "not_learning" else verdict

        patch.setattr(verdict_module, name, found)


SLIPS: dict[str, Slip] = {
    "evaluation in train mode": Slip(
        patched(Evaluator, "evaluate", _train_mode),
        "(train|eval)\\w* mode|eval\\(\\)|dropout|batch.?norm|batch statistics|running|random|"
        "determinis|differ\\w* (each|every|from) (time|call)|rest of the batch|repeat",
        {"value_head": "512->64->1 dropout 0.1"},
        cause="The network is evaluated in train mode: dropout is active, and batch norms use the "
        "statistics of the batch and change their running ones.",
    ),
    "answers in order of stones": Slip(
        patched(Evaluator, "evaluate", _in_order_of_stones),
        "order|shuffl|another position|other position|permut|sorted|misalign|belong|answers?.*"
        "(not|other|differ)",
        cause="Positions are sorted by their number of stones for the evaluation, and the answers "
        "are not put back: each answer is compared with the result of another position.",
    ),
    "slices of Blue and Red exchanged": Slip(
        patched(metrics_module, "slice_masks", _colours_exchanged),
        "to_move|to move|slice|exchang|swapped|blue|parity",
        cause="The slices of a report by the side to move are exchanged: what is reported for Blue "
        "to move is that of the positions with Red to move, and the other way round.",
    ),
    "not learning is called healthy": Slip(
        _not_learning_is_healthy,
        "verdict|not_learning|not learning|healthy",
        cause="The verdict not_learning is lost: a trial whose weights hardly move, or that is no "
        "better than the prior, is reported as healthy.",
    ),
}
