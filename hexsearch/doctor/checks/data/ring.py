"""Checks the ring of edges around the boards of training samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Planes, ring_planes
from hexsearch.doctor.pipeline import ExaminedPipeline

_EXACT = 0.01  # largest residual of a formula, in standard deviations
_CELLS = 8  # cells of the ring that are told one by one


def ring_findings(pipeline: ExaminedPipeline, planes: Planes, size: int) -> Iterator[Finding]:
    """Compare the ring of edges, if the configuration has one, with what it should be."""
    if pipeline.trial_config is not None and pipeline.trial_config.encoder.edge_ring:
        yield from wrong_ring(planes, size, "training")


def wrong_ring(planes: Planes, size: int, phase: str) -> Iterator[Finding]:
    """Report rings of edges around boards that are not as they should be.

    Args:
        planes: [B, C, N + 2, N + 2] of a board of `size`.
        phase: "training" or "evaluation", where these planes were seen.
    """
    if planes.shape[-1] != size + 2:
        return
    ring = ring_planes(planes.shape[-1])
    rim = np.ones(planes.shape[2:], dtype=bool)
    rim[1:-1, 1:-1] = False
    wrong = np.abs(planes[:, :2] - ring)[:, :, rim].max(axis=(1, 2)) > 1e-3
    if not wrong.any():
        return
    cause = (
        _exchanged(planes[wrong][:, :2][:, :, rim], ring[:, rim])
        or _ring_formula(planes[:, :2][:, :, rim], ring[:, rim])
        or _ring_cells(planes[:, :2], ring, rim)
        or "the edges in the ring are on the wrong sides, missing, or moved together with the board"
    )
    only = "in evaluation, and not in training, " if phase == "evaluation" else ""
    yield Finding.error(
        "evaluation" if only else "boards",
        f"the ring of edges around the board is wrong in {wrong.mean():.0%} of {len(wrong):,} "
        + ("positions of an evaluation" if only else "training samples"),
        only + cause,
        "add the ring after any symmetry: Blue's edges above and below, Red's left and right",
        root="boards" if only else "",
    )


def _exchanged(found: Planes, right: Planes) -> str:
    """In words, that the wrong rings [B, 2, R] have the edges of both colours exchanged."""
    if np.abs(found - right[::-1]).max() > 1e-3:
        return ""
    return (
        "the edges of both colours are exchanged in the ring: it is reflected (transposed) with "
        "the board and not recoloured, or recoloured and not reflected"
    )


def _ring_cells(planes: Planes, ring: Planes, rim: Flags) -> str:
    """In words, the few cells of the ring that are wrong on all boards; else empty."""
    if np.ptp(planes[:, :, rim], axis=0).max() > 1e-3:
        return ""
    wrong = np.argwhere((np.abs(planes[0] - ring) > 1e-3) & rim)
    if len(wrong) > _CELLS:
        return ""
    last = ring.shape[-1] - 1
    corners = all({int(row), int(column)} <= {0, last} for _, row, column in wrong)
    told = ", ".join(
        f"({row}, {column}) of plane {plane} is {planes[0][plane, row, column]:.2g}"
        for plane, row, column in wrong
    )
    which = " (corners, which belong to one edge or to none)" if corners else ""
    return f"single cells of the ring of edges are wrong{which}: {told}"


def _ring_formula(found: Planes, right: Planes) -> str:
    """In words, what the ring [B, 2, R] holds in place of the right one [2, R]; else empty."""
    if np.ptp(found, axis=0).max() > 1e-3:
        return ""  # it is not the same on all boards
    both = right.max(axis=0)
    terms = {"the edges of both colours": both, "Blue's edges": right[0], "Red's edges": right[1]}
    if not found.any():
        return "the ring of edges is missing: it is empty"
    fits = [short_sum(plane, terms) for plane in found[0]]
    if any(fit.left > _EXACT for fit in fits):
        return ""
    told = (f"plane {n} holds {fit if fit.terms else 'no edges'}" for n, fit in enumerate(fits))
    return f"the ring of edges is wrong: {' and '.join(told)}"
