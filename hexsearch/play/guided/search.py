"""Tree search guided by a network: Gumbel root selection by sequential halving, PUCT below.

Source of the root: Danihelka et al., Policy improvement by planning with Gumbel, ICLR 2022. With
noise it samples moves, as self-play wants; without noise it is deterministic.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hexsearch.play.game_batch import GameBatch, Indices, highest
from hexsearch.play.guided.halving import visit_schedule
from hexsearch.play.guided.tree import Evaluate, Floats, Trees

_LEAST_PROBABILITY = 1e-8  # a prior of 0 still has a logarithm
_MOST_TIMED = 4096  # evaluations for each move, where only time limits them


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How a move is searched for.

    Attributes:
        nodes: evaluations for each move, the root's included.
        milliseconds: for each move of the whole batch; takes the place of `nodes`.
        considered: moves of the root that the search looks at.
        exploration: weight of the prior in PUCT. pessimism: how much less than its parent an
            unvisited move is taken to be worth, as a win probability.
        visits_offset, value_scale: how much a value counts against the policy at the root:
            `(visits_offset + most visits) * value_scale` logits for a win probability of 1.
    """

    nodes: int = 64
    milliseconds: float | None = None
    considered: int = 16
    exploration: float = 1.0
    pessimism: float = 0.1
    visits_offset: float = 50.0
    value_scale: float = 0.5


@dataclass(frozen=True)
class SearchResult:
    """What a search found in [G] games.

    Attributes:
        cells: [G] moves. win_prob: [G] of whoever is to move, after the search.
        visits: [G, N*N] of the root's moves. evaluations: positions looked at for each game.
        trees: to read lines from.
    """

    cells: Indices
    win_prob: Floats
    visits: Floats
    evaluations: int
    trees: Trees


def search(
    batch: GameBatch, evaluate: Evaluate, settings: SearchSettings, noise: Floats
) -> SearchResult:
    """Search all games of a batch side by side.

    Args:
        noise: [G, N*N] Gumbel noise on the root's logits; zeros to always take what looks best.
    """
    started = time.perf_counter()
    timed = settings.milliseconds is not None
    most = _MOST_TIMED if timed else settings.nodes
    trees = Trees(batch, evaluate, most, settings.exploration, settings.pessimism)
    prior = trees.prior[trees.roots]
    logits = noise + np.log(np.maximum(prior, _LEAST_PROBABILITY))
    logits[prior < 0.0] = -np.inf
    free = (prior >= 0.0).sum(axis=1)
    considered = np.minimum(settings.considered, free)
    simulations, done = most - 1, 0
    while done < simulations:
        if settings.milliseconds is not None:
            seconds_left = settings.milliseconds / 1000.0 - (time.perf_counter() - started)
            if seconds_left <= 0:
                break
            if done == int(considered.max()):
                # Every considered move was visited once; that speed plans the rounds to come.
                rate = (done + 1) / (time.perf_counter() - started)
                simulations = min(simulations, done + int(seconds_left * rate))
                if done >= simulations:
                    break
        wanted = _wanted_visits(considered, simulations, done)
        trees.simulate(_next_cells(trees, logits, wanted, settings))
        done += 1
    visits = trees.visits[trees.roots].copy()
    cells = _next_cells(trees, logits, visits.max(axis=1), settings)
    rows = np.arange(len(batch))
    found = trees.value[trees.roots, cells] if done else trees.root_win_prob
    return SearchResult(cells[rows], found.copy(), visits, done + 1, trees)


def _wanted_visits(considered: Indices, simulations: int, done: int) -> Floats:
    """[G] visits that the next move at each root must have."""
    schedules = {
        int(count): visit_schedule(int(count), simulations)[done] for count in np.unique(considered)
    }
    return np.array([schedules[int(count)] for count in considered], dtype=np.float32)


def _next_cells(trees: Trees, logits: Floats, wanted: Floats, settings: SearchSettings) -> Indices:
    """[G] of the moves with so many visits, that of the highest logit and value together."""
    visits = trees.visits[trees.roots]
    weight = (settings.visits_offset + visits.max(axis=1)) * settings.value_scale
    score = logits + weight[:, None] * trees.value[trees.roots]
    score[visits != wanted[:, None]] = -np.inf
    return highest(score)


def gumbel_noise(generators: list[np.random.Generator], cells: int) -> Floats:
    """[G, cells] standard Gumbel noise, each game's from a generator of its own."""
    drawn = [generator.gumbel(size=cells) for generator in generators]
    return np.asarray(drawn, dtype=np.float32).reshape(len(generators), cells)
