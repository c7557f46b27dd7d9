"""Does a network read the winner of a finished board off the side to move?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import respond_in_parts, take
from hexsearch.doctor.pipeline import ExaminedPipeline

_FEW = 20  # finished boards that are needed


def check_mover_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Finished boards as they are, with the loser shown as the side to move, and without stones.

    Only answers that survive without stones are held against a network. That they turn round with
    a plane is not enough: a value of the side to move does so, too.
    """
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    final = np.flatnonzero(observed.positions.finished)
    if len(final) < _FEW:
        return
    over = take(observed.positions, final)
    going = replace(over, finished=np.zeros(len(over), dtype=bool))
    won = observed.evaluation.red_won[final] == 1
    everywhere = examined.planes(observed.positions)
    constant = (everywhere.flatten(2).std(dim=2) < 1e-6).all(dim=0)
    if not bool(constant.any()):
        return  # nothing beside the stones tells who is to move
    background = everywhere.amin(dim=0)  # what every position shows, a painted ring say
    majority = max(won.mean(), 1 - won.mean())
    for shown, how in ((over, "as they are"), (going, "with the loser shown as the side to move")):
        planes = examined.planes(shown)
        with_stones = _answers(pipeline, planes, shown)
        bare = planes.clone()
        bare[:, ~constant] = background[~constant]
        without = _answers(pipeline, bare, shown)
        right, survives = _accuracy(with_stones, won), _accuracy(without, won)
        sure = float(np.abs(without - 0.5).mean()) > 0.4 * float(np.abs(with_stones - 0.5).mean())
        if right < 0.8 or survives < max(0.85, majority + 0.15) or not sure:
            continue
        flipped = planes.clone()
        flipped[:, constant] = 1.0 - flipped[:, constant]
        other = _accuracy(_answers(pipeline, flipped, shown), won)
        yield Finding(
            "reads the mover",
            "error",
            f"finished boards: {right:.1%} right {how}, {survives:.1%} with every stone removed, "
            f"{other:.1%} with the side-to-move plane flipped",
            "the network reads the winner off the side-to-move plane, not off the board: on a "
            "finished board the mover is by construction the loser",
            "show finished boards without a mover (plane at 0.5), and train again",
            root="reads the mover",
        )
        return


def _answers(
    pipeline: ExaminedPipeline, planes: torch.Tensor, positions: Positions
) -> NDArray[np.float64]:
    assert pipeline.examined is not None
    _, raw = respond_in_parts(pipeline.examined, planes)
    answers: NDArray[np.float64] = pipeline.examined.reported(raw, positions).double().numpy()
    return np.clip(np.nan_to_num(answers, nan=0.5), 0.0, 1.0)


def _accuracy(answers: NDArray[np.float64], won: NDArray[np.bool_]) -> float:
    return float(np.where(answers == 0.5, 0.5, (answers > 0.5) == won).mean())
