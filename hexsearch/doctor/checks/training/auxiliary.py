"""The check of auxiliary targets: owners of cells and moves to the end, against the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Flags, Ints, Truth
from hexsearch.doctor.pipeline import ExaminedPipeline

_MAPS = ("ownership", "winning_chain", "future_stones")
_WRONG = 0.02  # share of rows whose symmetry may be mistaken


def check_auxiliary(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whatever a target says of a cell must be so at the end of the game, as it is shown."""
    trial = pipeline.watched
    assert trial is not None
    batch = trial.steps[0].batch if trial.steps else None
    if batch is None or not batch.auxiliary:
        return
    compared = pipeline.compared
    if compared.lost > 0.01:
        return  # without boards there is no telling which symmetry a target belongs to
    rows = np.arange(len(batch))
    truth, symmetry = compared.truth.rows(rows), compared.symmetry[rows]
    for name in _MAPS:
        if name not in batch.auxiliary:
            continue
        target = batch.auxiliary[name].numpy().reshape(len(batch), -1)
        wrong = _disagrees(target, _owners(truth, symmetry))
        if wrong.mean() <= _WRONG:
            continue
        others = {
            "the target is not moved with the board: it belongs to the board before any symmetry": (
                _owners(truth, np.zeros_like(symmetry))
            ),
            "the colours of the target are exchanged": _exchanged(_owners(truth, symmetry)),
            "the target belongs to the next game": _owners(truth.moved(games=1), symmetry),
        }
        best = min(others, key=lambda cause: _disagrees(target, others[cause]).mean())
        fits = _disagrees(target, others[best]).mean() < 0.05
        yield Finding(
            "auxiliary targets",
            "error",
            f"the targets of auxiliary head {name} name other owners than the end of the game in "
            f"{wrong.mean():.0%} of {len(wrong)} samples",
            f"auxiliary head {name}: "
            + (best if fits else "its targets are those of other cells, games or symmetries"),
            "send the target through the symmetry that planes and move went through",
        )
        return
    if "moves_left" in batch.auxiliary:
        yield from _moves_left(batch.auxiliary["moves_left"].numpy(), truth)


def _moves_left(target: Ints, truth: Truth) -> Iterator[Finding]:
    left = truth.archive.lengths[truth.game].astype(np.int64) - truth.ply
    known = (target >= 0) & (truth.archive.finished[truth.game] == 1)
    wrong = known & (target != (left + 1) // 2)
    if wrong.any():
        yield Finding(
            "auxiliary targets",
            "error",
            f"the targets of auxiliary head moves_left are not the pairs of plies to the end in "
            f"{wrong.sum()} of {known.sum()} samples",
            "auxiliary head moves_left: its targets are counted from another end, in another unit "
            "or in another game",
            "let the target be the plies to the end, halved and rounded up",
        )


def _owners(truth: Truth, symmetry: Ints) -> Ints:
    """[B, N*N] colour of each cell at the end of the game as shown: 0, 1 or 2."""
    last = truth.at_the_end()
    each = np.stack([last.stone_planes(s) for s in range(4)])
    planes = each[symmetry, np.arange(len(symmetry))]
    owners: Ints = (planes[:, 0] + 2 * planes[:, 1]).astype(np.int64)
    return owners.reshape(len(symmetry), -1)


def _exchanged(owners: Ints) -> Ints:
    return np.where(owners > 0, 3 - owners, 0)


def _disagrees(target: Ints, owners: Ints) -> Flags:
    """[B] whether a cell is said to have another owner than it has."""
    wrong: Flags = ((target > 0) & (target != owners)).any(axis=1)
    return wrong
