"""Answers of an evaluation that are means over several views of each position."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import TrainedNetwork

_CLOSE = 1e-3
Floats = NDArray[np.float64]


def view_findings(
    network: TrainedNetwork, positions: Positions, ours: Floats, theirs: Floats, absolute: bool
) -> Iterator[Finding]:
    """Report means over the half turn, and over reflections whose answers are not inverted.

    Args:
        ours, theirs: [P] answers of inference and of the evaluation.
        absolute: whether boards are shown as they are, and not from the side to move.
    """
    evidence = (
        f"the answers of evaluation differ from those of inference by up to "
        f"{np.abs(ours - theirs).max():.3f}, and are the mean over each position and its "
    )
    planes = network.planes(positions)
    raws = {
        "half turn": network.respond(planes.flip(2, 3))[1],
        "reflection": network.respond(_reflected(planes, absolute))[1],
    }
    own = network.respond(planes)[1]
    if _is_mean(network, positions, theirs, own, raws["half turn"]):
        yield Finding.warning(
            "evaluation",
            f"{evidence}half turn",
            "evaluation averages over the half turn of the board, and inference does not: reports "
            "are about answers that nobody gets elsewhere",
            "average in both, or in neither",
            root="perspective",
        )
    elif _is_mean(network, positions, theirs, own, raws["reflection"]):
        yield Finding.error(
            "evaluation",
            f"{evidence}reflection with exchanged colours",
            "evaluation averages each answer with that to the reflected board, whose colours are "
            "exchanged, and does not invert it (1 - p): both nearly cancel, and answers lie near "
            "0.5",
            "take 1 - p of the reflected board before the mean, or do not average over reflections",
            root="perspective",
        )


def _reflected(planes: Tensor, absolute: bool) -> Tensor:
    """The planes of the reflected boards, with exchanged colours."""
    turned = planes.transpose(2, 3).clone()
    turned[:, [0, 1]] = turned[:, [1, 0]]
    if absolute and planes.shape[1] > 2:
        turned[:, 2] = 1.0 - turned[:, 2]
    return turned


def _is_mean(
    network: TrainedNetwork, positions: Positions, theirs: Floats, own: Tensor, other: Tensor
) -> bool:
    """Whether answers are means of two raw values, or of the answers that these give."""
    raws = torch.stack([own, other])
    means = [
        network.reported(raws.mean(dim=0), positions),
        torch.stack([network.reported(raw, positions) for raw in raws]).mean(dim=0),
    ]
    return any(np.abs(mean.double().numpy() - theirs).max() < _CLOSE for mean in means)
