"""The check of the order in which a network flattens the features of the board."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.flat_orders import flat_layers, orders, read_in_order
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_TRIED = 256  # positions that are needed; twice as many are used
_NEAR, _REORDERED = 6, 0.03  # plies to the end, and gain of another order of features
_USEFUL = 0.2  # value loss that the right order must reach so near to the end


def check_flat_orders(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Try other orders in which linear layers may have read the board's features in training."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    network, near = foreign.model, np.flatnonzero(observed.evaluation.to_end <= _NEAR)
    if not isinstance(network, nn.Module) or len(near) < _TRIED:
        return
    chosen = np.sort(np.random.default_rng(SEED).permutation(near)[: 2 * _TRIED])
    positions = take(observed.positions, chosen)
    planes = foreign.planes(positions)
    won, game = observed.evaluation.red_won[chosen], observed.evaluation.game[chosen]

    def errors() -> NDArray[np.float64]:
        """Of the answers, or of inverted ones if these are better: a flipped board inverts some."""
        reported = foreign.reported(foreign.respond(planes)[1], positions).double().numpy()
        answers = np.clip(np.nan_to_num(reported, nan=0.5), 0.0, 1.0)
        red = positions.plies % 2 == 1
        inverted = (red & False, ~red, red, red | True)
        ways = [np.square(np.where(rows, 1.0 - answers, answers) - won) for rows in inverted]
        return min(ways, key=lambda way: float(way.mean()))

    own = errors()
    best, told = 0.0, ("", "", own)
    for name, layer in flat_layers(network, foreign.size**2).items():
        for words, places in orders(layer, foreign.size):
            with read_in_order(layer, places):
                other = errors()
            if float((own - other).mean()) > best:
                best, told = float((own - other).mean()), (name, words, other)
    name, words, other = told
    gains = own - other
    clear = best > max(_REORDERED, 4 * clustered_error(gains - gains.mean(), game))
    if name and clear and float(other.mean()) < _USEFUL:
        yield Finding.error(
            "order of features",
            f"within {_NEAR} plies of the end the value loss is {own.mean():.3f}, and "
            f"{other.mean():.3f} if {name} reads its {len(planes[0, 0].flatten())} cells {words}",
            f"{name} reads the features of the board in another order than in training: its "
            f"weights belong to features that are flattened {words} (an export from another "
            "library, or a permute() or view() that is missing)",
            "flatten the features as in training, or reorder the columns of this layer's weights",
            root="reading",
        )
