"""What the network is shown when it is evaluated, against the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.planes import plane_scores
from hexsearch.doctor.hypotheses.table import clear_winner, where
from hexsearch.doctor.hypotheses.truth import SWAPS, Planes, Truth, inside_ring, same

REMEDY = "let evaluation, training and predict share one encoder, one read-out and one network"


def shown_findings(planes: Tensor, truth: Truth, mover_view: bool, ring: bool) -> Iterator[Finding]:
    """In training and in evaluation a position must be shown alike."""
    if len(planes) != len(truth.game):
        return
    whole = inside_ring(planes.float().cpu().contiguous().numpy(), truth.size)
    stones = whole[:, :2]
    fits = np.any([same(stones, truth.stone_planes(s)) for s in range(4)], axis=0)
    if not fits.all():
        swapped = mover_view & truth.red_to_move & ~truth.finished
        scores = plane_scores(stones, truth, len(stones), ~fits, swapped, ring)
        best = clear_winner(scores)
        yield Finding(
            "evaluation",
            "error",
            f"{(~fits).sum():,} of {len(fits):,} positions are shown to the network as another "
            "board when it is evaluated",
            f"in evaluation, and not in training, {best.hypothesis.cause}"
            if best
            else "planes are built in another way in evaluation than the games say",
            REMEDY,
            root="boards",
        )
        return
    if mover_view:
        yield from _other_side(stones, truth)
        return
    if whole.shape[1] < 3:
        return
    # Nobody is to move on a finished board.
    wanted = np.stack([truth.mover_plane(0), truth.mover_plane(2)])[:, :, None, None]
    told = np.abs(whole[None, :, 2] - wanted).max(axis=(2, 3)).min(axis=0) > 1e-3
    exact = np.abs(whole[:, 2] - wanted[0]).max(axis=(1, 2)) > 1e-3
    wrong = told | (exact & ~truth.finished)
    if wrong.any():
        plane = whole[wrong, 2].mean(axis=(1, 2))
        how = (
            "the side to move is inverted"
            if np.abs(plane - 1 + truth.mover_plane(0)[wrong]).max() < 1e-3
            else f"the side-to-move plane runs from {plane.min():.2g} to {plane.max():.2g}"
        )
        yield Finding(
            "evaluation",
            "error",
            f"{wrong.sum():,} of {len(wrong):,} positions are evaluated with another side to move "
            f"than the game's, {where(wrong, affected(truth, np.zeros(len(wrong), dtype=int)))}",
            f"in evaluation, and not in training, {how}: planes are not the same in both",
            REMEDY,
            root="boards",
        )


def _other_side(stones: Planes, truth: Truth) -> Iterator[Finding]:
    """Boards that should be shown from the side that is to move, and are not."""
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    side = SWAPS[None] == truth.red_to_move[:, None]
    wrong = ~truth.finished & ~(images & side).any(axis=1)
    if wrong.any():
        place = where(wrong, affected(truth, np.zeros(len(wrong), dtype=np.int64)))
        yield Finding(
            "evaluation",
            "error",
            f"{wrong.sum():,} of {len(wrong):,} positions are shown from the side that is not to "
            f"move when they are evaluated, {place}",
            "in evaluation, and not in training, boards are not reflected and recoloured for the "
            "side to move (another perspective, the canonical form left out)",
            REMEDY,
            root="boards",
        )
