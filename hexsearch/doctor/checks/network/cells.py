"""Checks that the policy's cells lie where the board's are, by the reach of single stones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_CELLS = 96  # cells on which a stone is put or taken away, one at a time
_BOARDS = 150  # boards that are answered, at most, if a board has fewer cells
_HIGH, _CLEAR = 0.75, 0.25  # mean rank of another map of cells, and its lead
_BY_CHANCE = 0.29  # standard deviation of a rank that is drawn at random


def check_cells(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A stone changes the policy most on its own cell and around it, where features are local.

    Heads that connect all cells with all others are not local and are not judged.
    """
    trial = needed(pipeline.finite)
    size = needed(pipeline.compared).truth.size
    if trial.config.policy_head.weight == 0:
        return
    encoder = trial.encoder
    margin = (encoder.side - size) // 2
    cells = np.random.default_rng(SEED).permutation(size * size)[:_CELLS].astype(np.int64)
    samples = torch.from_numpy(needed(pipeline.samples).planes)
    row, column = torch.from_numpy(cells // size), torch.from_numpy(cells % size)
    reaches = []
    for number in range(max(1, _BOARDS // len(cells))):
        board = samples[number : number + 1]
        stones = board.repeat(len(cells), 1, 1, 1)
        plane = stones[:, number % 2]
        where = (torch.arange(len(cells)), row + margin, column + margin)
        plane[where] = 1.0 - plane[where]  # a stone is added, or taken away
        with torch.no_grad(), in_eval_mode(trial.network.modules()):
            shown = trial.execution.show(torch.cat([board, stones]))
            logits = trial.network(shown).policy_logits.float().numpy()
        if logits.shape[1] != size * size:
            return
        reaches.append(np.abs(logits[1:] - logits[:1]))
    reach = np.mean(reaches, axis=0)
    # Cells that a map leaves where they are tell nothing of it.
    others = {
        name: _rank(reach[moved != cells], moved[moved != cells])
        for name, moved in moved_cells(cells, size).items()
    }
    best = max(others, key=lambda name: others[name])
    away = moved_cells(cells, size)[best] != cells
    own = _rank(reach[away], cells[away])
    noise = _BY_CHANCE / np.sqrt(away.sum())
    if others[best] > _HIGH and others[best] - own > max(_CLEAR, 4 * noise):
        yield Finding.error(
            "policy map",
            f"a single stone changes the policy's logit of its own cell more than those of "
            f"{own:.0%} of all cells, and that of the cell that is {best} more than those of "
            f"{others[best]:.0%}, on average over {int(away.sum())} cells",
            f"the policy's cells lie in another order than those of the board: the policy map is "
            f"{best} where it is flattened (for example column by column), so each logit looks at "
            "the wrong part of the board",
            "flatten the policy map row by row, as row * N + column",
            root="policy cells",
        )


def _rank(reach: NDArray[np.floating], cells: NDArray[np.int64]) -> float:
    """Mean share of all cells on which a stone has less effect than on one of them."""
    own = reach[np.arange(len(cells)), cells][:, None]
    ranks = (reach < own).mean(axis=1) + 0.5 * (reach == own).mean(axis=1)
    return float(ranks.mean())
