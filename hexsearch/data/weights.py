"""Weights of stages in the value loss, scaled so that their mean over the samples is 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hexsearch.config.data import StagesConfig
from hexsearch.data.positions import CurriculumPhase, PositionSet
from hexsearch.data.stages import STAGE_NAMES, first_plies


def stage_weights(
    phase: CurriculumPhase, wanted: Mapping[str, float], board_size: int, stages: StagesConfig
) -> NDArray[np.float32]:
    """[3] weight of a position by stage. The mean over the phase's samples is 1.

    Args:
        wanted: relative weights by stage name; 1 for stages that are left out.
    """
    shares = stage_shares(phase, board_size, stages)
    relative = np.array([wanted.get(name, 1.0) for name in STAGE_NAMES])
    mean = float(shares @ relative)
    if mean == 0.0:
        # All sampled stages have weight 0, so the value loss is switched off.
        return relative.astype(np.float32)
    return (relative / mean).astype(np.float32)


def stage_shares(
    phase: CurriculumPhase, board_size: int, stages: StagesConfig
) -> NDArray[np.float64]:
    """[3] expected share of each stage among the samples of a phase."""
    bounds = first_plies(board_size, stages)
    total = np.zeros(len(STAGE_NAMES))
    for positions, share in zip(phase.sets, phase.shares, strict=True):
        total += share * _shares_of_set(positions, bounds)
    return total


def _shares_of_set(
    positions: PositionSet, bounds: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    first, counts = positions.first.astype(np.int64), positions.counts.astype(np.int64)
    slots = counts if positions.slots is None else positions.slots
    shares = np.empty(len(STAGE_NAMES))
    for stage in range(len(STAGE_NAMES)):
        low = np.maximum(first, bounds[stage])
        high = np.minimum(first + counts, bounds[stage + 1])
        shares[stage] = float((np.maximum(high - low, 0) * slots / counts).sum())
    return shares / len(positions)
