"""The check of boards that a network should tell apart, and answers nearly alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.plane_changes import TURNS
from hexsearch.doctor.networks import respond_in_parts, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_POSITIONS = 400
_NEAR = 6  # plies to the end within which positions are used
# Share of the half turn's correlation that another turn must reach: weak sound networks, which
# count stones more than they connect them, reach 0.93.
_ALIKE = 0.95
# The same for transpositions. They keep which cells are neighbours, so that the side that is better
# connected stays so: sound networks of two stages reach 0.95.
_ALIKE_TRANSPOSED = 0.97
_SHOWN = 0.97  # share of the rows of a watched training that are positions of the games
_CLEAR = 0.7  # correlation under the half turn that is needed


def check_turns(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Values of boards that are turned, in a way that Hex does not allow, should be others."""
    examined, observed = needed(pipeline.examined), needed(pipeline.observed)
    own = pipeline.own_training
    if own is not None and own.rows is not None and own.rows.found.mean() >= _SHOWN:
        return  # the training was seen to turn no board so
    evaluation = observed.evaluation
    near = np.flatnonzero((evaluation.to_end <= _NEAR) & ~evaluation.final)
    if observed.raw.ndim != 1 or len(near) < _POSITIONS // 4:
        return
    chosen = np.sort(np.random.default_rng(SEED).permutation(near)[:_POSITIONS])
    planes = examined.planes(take(observed.positions, chosen))
    here = respond_in_parts(examined, planes)[1].numpy()

    def likeness(turned: NDArray[np.float32]) -> float:
        return float(np.corrcoef(here, turned)[0, 1]) if np.ptp(turned) > 0 else 0.0

    half = likeness(respond_in_parts(examined, planes.flip(2, 3).contiguous())[1].numpy())
    if half < _CLEAR:
        return
    alike = {}
    for name, turn in TURNS.items():
        alike[name] = likeness(respond_in_parts(examined, turn(planes).contiguous())[1].numpy())
    same = [
        name
        for name, each in alike.items()
        if each > max(half * (_ALIKE_TRANSPOSED if "transposed" in name else _ALIKE), _CLEAR)
    ]
    if same:
        told = ", ".join(f"{name} {alike[name]:.2f}" for name in same)
        yield Finding.warning(
            "turned boards",
            f"on {len(chosen)} positions near the end the values of a board and of the board "
            f"{told} are correlated nearly as much as under the half turn ({half:.2f})",
            "the network answers turned boards alike although Hex does not have these symmetries "
            f"(the board {', '.join(same)}): it was trained on boards that were turned or flipped "
            "as in other games (quarter turns, flips) without another label, or with few positions",
            "augment by the half turn and by the two reflections with colours exchanged only, and "
            "train again",
            root="reading",
        )
