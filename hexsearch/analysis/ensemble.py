"""Ensembles: several networks whose answer is the weighted mean of their win probabilities.

The Brier score of a weighted mean is quadratic in the weights. So the scores of all ensembles of
M networks follow from the M x M mean products of their errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
Method = Literal["average", "greedy"]
METHODS: tuple[Method, ...] = ("average", "greedy")
_ROUNDS = 100  # number of networks that greedy selection adds


@dataclass(frozen=True)
class Ensemble:
    """Weights [M] of M networks, which sum to 1; 0 for networks that are not in the ensemble."""

    name: str
    weights: Floats

    @property
    def networks(self) -> int:
        """Number of networks in the ensemble."""
        return int(np.count_nonzero(self.weights))


def choose_ensembles(
    members: Sequence[Evaluation],
    methods: Sequence[Method],
    groups: Sequence[tuple[str, Sequence[int]]] = (),
) -> list[Ensemble]:
    """The best single network, then the ensembles of the different methods.

    Args:
        members: evaluation of each network on the same validation positions.
        groups: name -> indices of networks that are also averaged as a group, such as the heads of
            one trunk.
    """
    products = error_products(members)
    losses = np.diag(products)
    count = len(members)
    best = np.zeros(count)
    best[int(np.argmin(losses))] = 1.0
    found = [Ensemble("best single", best)]
    if "average" in methods:
        found.append(Ensemble("average", np.full(count, 1.0 / count)))
    if "greedy" in methods:
        found.append(Ensemble("greedy", greedy_weights(products)))
    for name, indices in groups:
        weights = np.zeros(count)
        weights[list(indices)] = 1.0 / len(indices)
        found.append(Ensemble(name, weights))
    return found


def mix(ensemble: Ensemble, members: Sequence[Evaluation]) -> Evaluation:
    """The answers of an ensemble, from the answers of all M networks on the same positions."""
    answers = np.zeros_like(members[0].win_prob_red)
    for weight, member in zip(ensemble.weights, members, strict=True):
        if weight:
            answers += weight * member.win_prob_red
    return replace(members[0], win_prob_red=answers)


def error_products(members: Sequence[Evaluation]) -> Floats:
    """[M, M] mean product of the errors of two networks. The diagonal holds value losses.

    Raises:
        ValueError: the networks were evaluated on different positions.
    """
    first = members[0]
    for other in members[1:]:
        if not (np.array_equal(first.game, other.game) and np.array_equal(first.ply, other.ply)):
            raise ValueError("networks answered different positions; they cannot be averaged")
    errors = np.stack([member.win_prob_red - member.red_won for member in members])
    products: Floats = errors @ errors.T / errors.shape[1]
    return products


def greedy_weights(products: Floats) -> Floats:
    """[M] weights by forward selection with replacement, on the mean products of errors.

    It begins with the best network. In each round it adds the network that gives the lowest loss
    of the mean answer, which may be added several times. The shortest selection with the lowest
    loss of all rounds is returned.
    Source: Caruana et al., Ensemble selection from libraries of models, ICML 2004.
    """
    counts = np.zeros(len(products))
    kept, lowest = counts, np.inf
    for size in range(1, _ROUNDS + 1):
        mixed = counts @ products
        losses = (mixed @ counts + 2.0 * mixed + np.diag(products)) / size**2
        chosen = int(np.argmin(losses))
        counts[chosen] += 1.0
        if losses[chosen] < lowest:
            kept, lowest = counts / size, float(losses[chosen])
    return kept
