"""Checks of what training shows: boards, movers, labels and moves, against the games themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.planes import exchanged_channels, plane_scores, reordered
from hexsearch.doctor.hypotheses.table import Flags, clear_winner, excluded, where
from hexsearch.doctor.hypotheses.truth import (
    SWAPS,
    Planes,
    inside_ring,
    ring_planes,
)
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ComparedSamples


def check_boards(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The stones that the network is shown, against the games."""
    compared = pipeline.compared
    truth, planes = compared.truth, compared.samples.planes
    wrong: Flags = ~np.any(compared.images, axis=1)
    if wrong.any():
        yield _lost_boards(compared, wrong)
        return
    if compared.mover_view:
        reflected = SWAPS[None] == truth.red_to_move[:, None]
        side = (compared.images & (truth.finished[:, None] | reflected)).any(axis=1)
        if not side.all():
            yield Finding(
                "boards",
                "error",
                f"side to move: wrong in {(~side).sum():,} of {len(side):,} training samples, "
                f"{where(~side, affected(truth, compared.symmetry))}",
                "the board is shown from the side that is not to move",
                "reflect and recolour exactly where Red is to move",
            )
    else:
        yield from _mover_plane(compared)
    yield from _ring(pipeline, planes, truth.size)


def _lost_boards(compared: ComparedSamples, wrong: Flags) -> Finding:
    """Boards that are no image of the game's, and what they are instead."""
    samples, truth = compared.samples, compared.truth
    evidence = (
        f"{wrong.sum():,} of {len(wrong):,} training samples show a board that is no symmetric "
        f"image of the game's, {where(wrong, affected(truth, compared.symmetry))}"
    )
    complement = samples.batch.complement.numpy()
    swapped = ~complement if compared.mover_view else complement
    order = exchanged_channels(
        inside_ring(samples.planes, truth.size)[wrong], _expected_planes(compared, wrong)
    )
    if order is not None and sorted(order[:2]) != [0, 1]:
        return Finding(
            "boards",
            "error",
            f"{evidence}; with the planes in the order {order} all of them are right",
            f"the planes are swapped: they arrive in the order {_inverse(order)}",
            "give the planes in the order blue, red, side to move",
        )
    ring = samples.planes.shape[-1] == truth.size + 2
    scores = plane_scores(compared.stones, truth, samples.batch_size, wrong, swapped, ring)
    best = clear_winner(scores)
    if best is None:
        order_of_cells = _reordered(compared, wrong)
        return Finding(
            "boards",
            "error",
            f"{evidence}; {excluded(scores)}",
            order_of_cells
            or "the planes are built from other moves, in another order, or changed afterwards",
            "compare the planes of one sample with its game; `games show` draws the board",
        )
    return Finding(
        "boards",
        "error",
        f"{evidence}; this explains {best} of them",
        best.hypothesis.cause,
        best.hypothesis.remedy,
    )


def _reordered(compared: ComparedSamples, wrong: Flags) -> str:
    """Whether the numbers of the planes are right and stand in other places."""
    truth, batch = compared.truth, compared.samples.batch
    moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    complement = batch.complement.numpy()
    swapped = ~complement if compared.mover_view else complement
    fits = (moves == batch.policy_target.numpy()[:, None]) & (SWAPS[None] == swapped[:, None])
    rows = wrong & truth.has_move & (fits.sum(axis=1) == 1)
    shown = inside_ring(compared.samples.planes, truth.size)[rows]
    each = np.stack(_expected_planes(compared, rows))
    symmetry = fits[rows].argmax(axis=1)
    return reordered(shown, each[symmetry, np.arange(len(symmetry))])


def _expected_planes(compared: ComparedSamples, chosen: Flags) -> list[Planes]:
    truth = compared.truth.rows(chosen)
    expected = []
    for s in range(4):
        planes = truth.stone_planes(s)
        if not compared.mover_view:
            mover = np.ones_like(planes[:, :1]) * truth.mover_plane(s)[:, None, None, None]
            planes = np.concatenate([planes, mover], axis=1)
        expected.append(planes)
    return expected


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(channel) for channel in range(len(order)))


def _mover_plane(compared: ComparedSamples) -> Iterator[Finding]:
    truth, planes = compared.truth, compared.samples.planes
    shown = inside_ring(planes, truth.size)[:, 2].reshape(len(planes), -1)
    expected = np.stack([truth.mover_plane(s) for s in range(4)], axis=1)
    going = ~truth.finished
    fits = (np.abs(shown[:, None] - expected[:, :, None]) < 1e-3).all(axis=2)
    wrong = going & ~(compared.images & fits).any(axis=1)
    if not wrong.any():
        return
    right = expected[np.arange(len(planes)), compared.symmetry]
    value = shown.mean(axis=1)
    place = where(wrong[going], only(affected(truth, compared.symmetry), going))
    spread = float(value[going].std())
    if spread < 1e-6:
        cause = f"the side-to-move plane is {value[going][0]:.3g} in every position"
        remedy = "fill the plane with 0 where Blue and 1 where Red is to move"
    elif np.abs(value - (1 - right))[going].max() < 1e-3:
        cause = "the side-to-move plane is inverted: it shows who has just moved"
        remedy = "fill the plane with 0 where Blue and 1 where Red is to move"
    elif "colours are exchanged" in place:
        cause = "the side-to-move plane is not exchanged together with the colours"
        remedy = "exchange the mover wherever the colours are exchanged; never count it from stones"
    elif np.corrcoef(value[going], right[going])[0, 1] > 0.999:
        cause = f"the side-to-move plane is scaled to {value.min():.3g} and {value.max():.3g}"
        remedy = "fill the plane with 0 where Blue and 1 where Red is to move"
    else:
        cause = f"the side-to-move plane shows the wrong side {place}"
        remedy = "exchange the mover wherever the colours are exchanged; never count it from stones"
    yield Finding(
        "boards",
        "error",
        f"side to move: wrong in {wrong.sum():,} of {going.sum():,} training samples, {place}",
        cause,
        remedy,
    )


def _ring(pipeline: ExaminedPipeline, planes: Planes, size: int) -> Iterator[Finding]:
    margin = (planes.shape[-1] - size) // 2
    wanted = pipeline.trial_config is not None and pipeline.trial_config.encoder.edge_ring
    if not wanted or margin != 1:
        return
    ring = ring_planes(planes.shape[-1])
    rim = np.ones(planes.shape[2:], dtype=bool)
    rim[1:-1, 1:-1] = False
    wrong = np.abs(planes[:, :2] - ring)[:, :, rim].max(axis=(1, 2)) > 1e-3
    if wrong.any():
        yield Finding(
            "boards",
            "error",
            f"the ring of edges round the board is not as described in {wrong.mean():.0%} of "
            f"{len(wrong):,} training samples",
            "the painted edges are on the wrong sides, missing, or changed together with the board",
            "paint Blue's edges above and below and Red's left and right, after any symmetry",
        )


def only(subsets: dict[str, Flags], chosen: Flags) -> dict[str, Flags]:
    return {name: mask[chosen] for name, mask in subsets.items()}
