"""Tree search guided by a network: Gumbel root selection by sequential halving, PUCT below.

Source of the root: Danihelka et al., Policy improvement by planning with Gumbel, ICLR 2022. With
noise it samples moves, as self-play needs. Without noise it is deterministic.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hexsearch.play.game_batch import GameBatch, Indices, highest
from hexsearch.play.guided.halving import visit_schedule
from hexsearch.play.guided.tree import Evaluate, Floats, Trees

_LEAST_PROBABILITY = 1e-8  # lower limit of a prior, so that its logarithm is finite
_MOST_TIMED = 4096  # evaluations for each move if only time limits them


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of the search for a move.

    Attributes:
        nodes: evaluations for each move, including that of the root.
        milliseconds: time for each move of the whole batch, instead of `nodes`.
        considered: number of moves at the root that the search examines.
        exploration: weight of the prior in PUCT.
        pessimism: difference by which an unvisited move is assumed to be worse than its parent,
            as a win probability.
        visits_offset, value_scale: weight of values relative to the policy at the root:
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
    """Result of a search in [G] games.

    Attributes:
        cells: [G] moves.
        win_prob: [G] win probability of the side to move, after the search.
        visits: [G, N*N] visits of the root's moves.
        evaluations: number of evaluated positions for each game.
        trees: the search trees.
    """

    cells: Indices
    win_prob: Floats
    visits: Floats
    evaluations: int
    trees: Trees


def search(
    batch: GameBatch, evaluate: Evaluate, settings: SearchSettings, noise: Floats
) -> SearchResult:
    """Search all games of a batch together.

    Args:
        noise: [G, N*N] Gumbel noise on the root's logits; zeros give a deterministic search.
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
    schedule: Floats | None = None
    while done < simulations:
        if settings.milliseconds is not None:
            seconds_left = settings.milliseconds / 1000.0 - (time.perf_counter() - started)
            if seconds_left <= 0:
                break
            if done == int(considered.max()):
                # Every considered move was visited once. This speed determines further rounds.
                rate = (done + 1) / (time.perf_counter() - started)
                simulations = min(simulations, done + int(seconds_left * rate))
                if done >= simulations:
                    break
        if schedule is None or len(schedule) != simulations:
            schedule = _wanted_visits(considered, simulations)
        trees.simulate(_next_cells(trees, logits, schedule[done], settings))
        done += 1
    visits = trees.visits[trees.roots].copy()
    cells = _next_cells(trees, logits, visits.max(axis=1), settings)
    rows = np.arange(len(batch))
    found = trees.value[trees.roots, cells] if done else trees.root_win_prob
    return SearchResult(cells[rows], found.copy(), visits, done + 1, trees)


def _wanted_visits(considered: Indices, simulations: int) -> Floats:
    """[simulations, G] number of earlier visits that the next move at each root must have."""
    schedule = np.empty((simulations, len(considered)), dtype=np.float32)
    for count in np.unique(considered):
        visits = np.array(visit_schedule(int(count), simulations), dtype=np.float32)
        schedule[:, considered == count] = visits[:, None]
    return schedule


def _next_cells(trees: Trees, logits: Floats, wanted: Floats, settings: SearchSettings) -> Indices:
    """[G] the move with the highest sum of logit and value, of those with the wanted visits."""
    visits = trees.visits[trees.roots]
    weight = (settings.visits_offset + visits.max(axis=1)) * settings.value_scale
    score = logits + weight[:, None] * trees.value[trees.roots]
    score[visits != wanted[:, None]] = -np.inf
    return highest(score)


def gumbel_noise(generators: list[np.random.Generator], cells: int) -> Floats:
    """[G, cells] standard Gumbel noise; each game has its own generator."""
    drawn = [generator.gumbel(size=cells) for generator in generators]
    return np.asarray(drawn, dtype=np.float32).reshape(len(generators), cells)
