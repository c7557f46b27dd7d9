"""Compares the planes of an evaluation with the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from hexsearch.config.trial import EncoderConfig
from hexsearch.doctor.checks.data.ring import wrong_ring
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.recency import ages_of, history_cause, shows_history
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.planes import plane_scores
from hexsearch.doctor.hypotheses.reported import ONE_NETWORK
from hexsearch.doctor.hypotheses.table import clear_winner, where
from hexsearch.doctor.hypotheses.truth import SWAPS, Planes, Truth, inside_ring, same

_FINISHED = 16  # finished boards of which chance does not show all from one side
_FEW, _MOST = 0.02, 0.97  # shares of positions: a mistake by chance, and nearly all


def plane_findings(planes: Tensor, truth: Truth, encoder: EncoderConfig) -> Iterator[Finding]:
    """Every position must be encoded as the encoder's settings say.

    Args:
        planes: [B, C, N, N] planes at the input of the network.
        truth: the same positions, computed from the games.
    """
    mover_view = encoder.perspective == "mover"
    if len(planes) != len(truth.game):
        return
    whole = inside_ring(planes.float().cpu().contiguous().numpy(), truth.size)
    stones = whole[:, :2]
    fits = np.any([same(stones, truth.stone_planes(s)) for s in range(4)], axis=0)
    if not fits.all():
        swapped = mover_view & truth.red_to_move & ~truth.finished
        scores = plane_scores(stones, truth, len(stones), ~fits, swapped, encoder.edge_ring)
        best = clear_winner(scores)
        yield Finding.error(
            "evaluation",
            f"when the network is evaluated, {(~fits).sum():,} of {len(fits):,} positions are "
            "encoded as another board",
            f"in evaluation, and not in training, {best.hypothesis.cause}"
            if best
            else "the planes of evaluation are not those of the games",
            ONE_NETWORK,
            root="boards",
        )
        return
    turned = list(_turned(stones, truth, mover_view))
    yield from turned
    if turned:
        return
    if encoder.edge_ring:
        yield from wrong_ring(planes.float().cpu().numpy(), truth.size, "evaluation")
    if encoder.history:
        yield from _history(whole[:, -1], stones, truth)
    if mover_view:
        yield from _other_side(stones, truth)
        return
    wanted = np.stack([truth.mover_plane(0), truth.mover_plane(2)])[:, :, None, None]
    gaps = np.abs(whole[None, :, 2] - wanted).max(axis=(2, 3)) > 1e-3
    # On a finished board, where nobody is to move, either symmetry is right.
    wrong = gaps.all(axis=0) | (gaps[0] & ~truth.finished)
    if wrong.any():
        plane = whole[wrong, 2].mean(axis=(1, 2))
        how = (
            "the side to move is inverted"
            if np.abs(plane - 1 + truth.mover_plane(0)[wrong]).max() < 1e-3
            else f"the side-to-move plane has values from {plane.min():.2g} to {plane.max():.2g}"
        )
        yield Finding.error(
            "evaluation",
            f"when the network is evaluated, {wrong.sum():,} of {len(wrong):,} positions have "
            f"another side to move than the game, {where(wrong, affected(truth))}",
            f"in evaluation, and not in training, {how}: their planes are not the same",
            ONE_NETWORK,
            root="boards",
        )


def _history(shown: Planes, stones: Planes, truth: Truth) -> Iterator[Finding]:
    """Report history planes that do not show all stones by their ages."""
    ages = ages_of(truth)
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    complete = np.count_nonzero(shown, axis=(1, 2)) == (ages >= 0).sum(axis=(1, 2))
    wrong = ~shows_history(shown, ages, images) | ~complete
    if wrong.any():
        cause = history_cause(shown[wrong], ages[wrong], images[wrong], truth.rows(wrong))
        yield Finding.error(
            "evaluation",
            f"when the network is evaluated, {wrong.sum():,} of {len(wrong):,} positions have a "
            f"history plane that is not the game's, {where(wrong, affected(truth))}",
            f"in evaluation, and not in training, {cause}",
            ONE_NETWORK,
            root="boards",
        )


def _turned(stones: Planes, truth: Truth, mover_view: bool) -> Iterator[Finding]:
    """Report boards that are turned, as only training turns them, or reflected without need."""
    allowed = [same(stones, truth.stone_planes(s)) for s in range(4)]
    straight = allowed[0] | (allowed[2] if mover_view else False)
    half = allowed[1] | (allowed[3] if mover_view else False)
    wrong = ~straight
    if wrong.mean() < _FEW:
        return
    how = "by a half turn" if half[wrong].mean() > _MOST else "by a reflection or a half turn"
    yield Finding.error(
        "evaluation",
        f"when the network is evaluated, {wrong.sum():,} of {len(wrong):,} positions are encoded "
        f"as boards that are turned {how}",
        f"in evaluation boards are turned {how}, as augmentation does in training, and the moves "
        "that the policy is judged by are not turned with them",
        "evaluate without augmentation, or turn the policy back before it is compared with moves",
        root="boards",
    )


def _other_side(stones: Planes, truth: Truth) -> Iterator[Finding]:
    """Report boards that are not encoded from the perspective of the side to move."""
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    side = SWAPS[None] == truth.red_to_move[:, None]
    wrong = ~truth.finished & ~(images & side).any(axis=1)
    if wrong.any():
        yield Finding.error(
            "evaluation",
            f"when the network is evaluated, {wrong.sum():,} of {len(wrong):,} positions are "
            "encoded from the perspective of the side that is not to move, "
            f"{where(wrong, affected(truth))}",
            "in evaluation, and not in training, boards are not reflected and recoloured for the "
            "side to move (another perspective; the canonical form is left out)",
            ONE_NETWORK,
            root="boards",
        )
        return
    yield from finished_side(stones, truth)


def finished_side(stones: Planes, truth: Truth) -> Iterator[Finding]:
    """Report finished boards that are always encoded from the winner's side, or the loser's.

    Args:
        stones: [B, 2, N, N] planes of the stones, encoded for a side.
    """
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    over = truth.finished & (images.sum(axis=1) == 1)
    reflected = np.any(images[over] & SWAPS[None], axis=1)
    of_red = reflected == truth.red_won[over]  # it is shown from the winner's side
    share = float(of_red.mean()) if len(of_red) >= _FINISHED else 0.5
    if share in (0.0, 1.0):
        whose = "winner" if share else "loser"
        yield Finding.error(
            "evaluation",
            f"when the network is evaluated, all {over.sum():,} finished boards are encoded from "
            f"the {whose}'s side",
            f"in evaluation finished boards are always encoded from the {whose}'s side, so their "
            "label is always the same: figures on finished boards tell nothing of the stones",
            "choose the side of a finished board at random, or by a hash of its game",
            root="finished side",
        )
