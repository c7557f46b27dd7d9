"""Checks of what training shows: boards, movers, labels and moves, against the games themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.planes import exchanged_channels, plane_scores
from hexsearch.doctor.hypotheses.table import Flags, clear_winner, excluded, where
from hexsearch.doctor.hypotheses.truth import (
    SWAPS,
    Ints,
    Planes,
    Truth,
    inside_ring,
    ring_planes,
    same,
    truth_of,
)
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ShownSamples


@dataclass(frozen=True)
class ComparedSamples:
    """Training samples beside what they should be.

    Attributes:
        images: [B, 4] whether the stones are those of the game's board under each symmetry.
        symmetry: [B] one under which they are; by `complement` where there is none.
    """

    samples: ShownSamples
    truth: Truth
    stones: Planes
    images: Flags
    symmetry: Ints

    @property
    def lost(self) -> float:
        """Share of samples whose boards are no image of the game's."""
        return float(1 - self.images.any(axis=1).mean())

    @property
    def by_chance(self) -> float:
        """Share of the others that may seem wrong since a wrong board looks like a right one."""
        return 0.1 if self.lost > 0.01 else 0.0

    @property
    def mover_view(self) -> bool:
        """Whether the board is shown from the side that is to move."""
        return self.samples.perspective == "mover"


def compared_samples(pipeline: ExaminedPipeline) -> ComparedSamples:
    """The training samples of a pipeline, worked out again; computed once."""
    samples = pipeline.shown
    assert samples is not None and pipeline.archive is not None
    batch = samples.batch
    truth = truth_of(pipeline.archive, batch.game.numpy(), batch.ply.numpy())
    stones = inside_ring(samples.planes, truth.size)[:, :2]
    images = np.stack([same(stones, truth.stone_planes(s)) for s in range(4)], axis=1)
    complement = batch.complement.numpy()
    swapped = ~complement if samples.perspective == "mover" else complement
    # The columns beside the planes choose among the symmetries that a board allows.
    fits = images & (SWAPS[None] == swapped[:, None])
    moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    exact = fits & (moves == batch.policy_target.numpy()[:, None])
    symmetry = np.where(
        exact.any(axis=1),
        exact.argmax(axis=1),
        np.where(
            fits.any(axis=1),
            fits.argmax(axis=1),
            np.where(images.any(axis=1), images.argmax(axis=1), 2 * swapped),
        ),
    )
    return ComparedSamples(samples, truth, stones, images, symmetry)


def check_boards(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The stones that the network is shown, against the games."""
    compared = compared_samples(pipeline)
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
        return Finding(
            "boards",
            "error",
            f"{evidence}; {excluded(scores)}",
            "the planes are built from other moves, in another order, or changed afterwards",
            "compare the planes of one sample with its game; `games show` draws the board",
        )
    return Finding(
        "boards",
        "error",
        f"{evidence}; this explains {best} of them",
        best.hypothesis.cause,
        best.hypothesis.remedy,
    )


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
