"""Unusual but sound pipelines beside the blind set, which must raise no error."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import position_set as position_set_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import step as step_module
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.optimisation.schedule import set_learning_rate
from tests.doctor.slips import Slip, in_optimiser, nothing, patched


def _by_logsumexp(_: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        wide = logits.float()
        each = wide.logsumexp(1) - wide.gather(1, target[:, None])[:, 0]
        return torch.where(has_move, each, 0.0).sum() / has_move.sum().clamp(min=1)

    return loss


def _cleared_to_zero(_: Any) -> Any:
    def prepare(self: Any, progress: float) -> None:
        set_learning_rate(self.optimiser, self._config, progress)
        self.optimiser.zero_grad(set_to_none=False)

    return prepare


def _in_double(_: Any) -> Any:
    def answer(readout: Any, raw: Tensor, complement: Tensor) -> Tensor:
        probability = readout.win_prob(raw.double())
        return torch.where(complement, 1.0 - probability, probability).float()

    return answer


def _by_numpy(_: Any) -> Any:
    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        parts, done = [], 0
        while done < count:
            number, offset = divmod(cursor + done, size)
            taken = min(count - done, size - offset)
            whole = np.random.default_rng([seed, number]).permutation(size)
            parts.append(whole[offset : offset + taken].astype(np.int64))
            done += taken
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    return order


def _reversed(archive: GameArchive) -> GameArchive:
    return build_archive(archive.game(index) for index in range(len(archive) - 1, -1, -1))


CONTROLS: dict[str, Slip] = {
    "policy loss by logsumexp": Slip(
        patched(step_module, "policy_loss", _by_logsumexp),
        "$^",
        cause="Sound: the cross-entropy of the policy, written as logsumexp minus the logit.",
    ),
    "gradients cleared to zero": Slip(
        patched(Owner, "prepare", _cleared_to_zero),
        "$^",
        cause="Sound: gradients are set to zeros and not to None before a step.",
    ),
    "answers in float64": Slip(
        patched(evaluation_module, "win_prob_red", _in_double),
        "$^",
        cause="Sound: probabilities are computed in float64 and then rounded.",
    ),
    "permutations of numpy": Slip(
        patched(position_set_module, "without_replacement", _by_numpy),
        "$^",
        cause="Sound: each pass has a permutation of numpy's, from the seed and the pass.",
    ),
    "groups of the optimiser reversed": Slip(
        in_optimiser(lambda optimiser: optimiser.param_groups.reverse()),
        "$^",
        cause="Sound: the optimiser holds its groups in reversed order.",
    ),
    "games in reversed order": Slip(
        nothing,
        "$^",
        games=_reversed,
        cause="Sound: the archive holds the same games in reversed order.",
    ),
}
