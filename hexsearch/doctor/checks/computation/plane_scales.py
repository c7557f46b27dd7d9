"""Looks at the size of the numbers in a user's planes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_POSITIONS, _FEW = 256, 20
_POOR = 0.24  # value loss of a network that has learnt next to nothing
_TINY = 0.05
_LARGE = 15.0  # times the root mean square of the next largest plane


def check_plane_scales(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """No plane may have numbers many times as large as those of all others."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    count = min(_POSITIONS, len(observed.positions))
    rng = np.random.default_rng(SEED)
    chosen = np.sort(rng.choice(len(observed.positions), count, replace=False))
    planes = foreign.planes(take(observed.positions, chosen)).double()
    if count < _FEW or planes.ndim != 4 or planes.shape[1] < 2:
        return
    sizes = planes.square().mean(dim=(0, 2, 3)).sqrt()
    order = sizes.argsort(descending=True)
    largest, others = int(order[0]), float(planes[:, order[1:]].abs().max())
    most = float(planes.abs().max())
    is_poor = observed.evaluation.metrics().overall.value_loss > _POOR
    severity = Finding.error if is_poor else Finding.warning
    if 0 < most < _TINY:
        yield severity(
            "plane scales",
            f"on {count} positions no plane holds a number above {most:.3g}",
            "the numbers of all planes are tiny (stones divided by 255, as if they were a picture):"
            " they are lost beside the biases, and training is slow",
            "show stones as 0 and 1; then train again",
            root="plane scales",
        )
    if float(sizes[largest]) < _LARGE * max(others, 1e-6):
        return
    yield severity(
        "plane scales",
        f"plane {largest} holds numbers up to {float(planes[:, largest].abs().max()):g} (root mean "
        f"square {float(sizes[largest]):.3g}), and all other planes up to {others:g}",
        f"the numbers of plane {largest} are far larger than those of the stones: a count or a "
        "code that is not scaled drowns the other planes, units saturate or die, and training "
        "becomes unstable",
        "divide it by its largest value, or give each value a plane of its own; then train again",
        root="plane scales",
    )
