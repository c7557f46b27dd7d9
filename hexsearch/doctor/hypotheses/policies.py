"""Readings of the policy: maps of cells, each scored on the moves that were played."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.squares import moved_cells, neighbours
from hexsearch.doctor.networks import Observed

SCALED = "with its logits multiplied by"
AMONG_FREE = "as the number of the move among the free cells"
PERMUTED = "by another numbering of the cells"
PROBABILITIES = "as probabilities, without another softmax"
_FEW_PLAYS, _OWN = 3, 1e-3  # plays that tell the entry of a cell, and the preference for its own
_FITTED = 1000  # moves on which a factor on the logits is fitted
_FACTORS = np.exp(np.linspace(-3.0, 5.0, 33))
_MOST = 3.0  # factor on the logits that training alone explains
_MAPS, _CLEARLY, _AS_LIKELY = 5, 0.3, 0.6  # maps that are needed; gain of the cell, share of it
_EQUAL = 0.9  # the same where cells that are often played count, too
_COLUMN_MAJOR = "column by column (column-major)"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PolicyScore:
    """How likely the moves played are under one reading of the policy.

    Attributes:
        name: the reading, in words that can follow `read`.
        likelihood: mean log probability of the moves played.
        gain: likelihood above that of the policy as it is.
        noise: standard error of the gain, clustered by game.
    """

    name: str
    likelihood: float
    gain: float
    noise: float


def policy_scores(observed: Observed, size: int) -> list[PolicyScore]:
    """Scores of all readings, the policy as it is first; empty if the policy has another shape."""
    rows = np.flatnonzero(observed.played >= 0)
    logits, played = observed.policy[rows].astype(np.float64), observed.played[rows]
    if not len(rows) or logits.shape[1] < size * size:
        return []
    game, ply = observed.evaluation.game[rows], observed.evaluation.ply[rows]
    logits = logits[:, : size * size]
    log_p, inverted = log_softmax(logits), log_softmax(-logits)
    base = log_p[np.arange(len(rows)), played]
    scores = [PolicyScore("as it is", float(base.mean()), 0.0, 0.0)]

    def add(name: str, likelihoods: Floats) -> None:
        gains = likelihoods - base
        noise = clustered_error(gains - gains.mean(), game)
        scores.append(PolicyScore(name, float(likelihoods.mean()), float(gains.mean()), noise))

    if logits.min() >= 0.0 and np.abs(logits.sum(axis=1) - 1.0).max() < 1e-3:
        add(PROBABILITIES, np.log(np.maximum(logits[np.arange(len(rows)), played], 1e-6)))
    for name, table, cells in _readings(log_p, inverted, played, game, ply, size):
        valid = cells >= 0
        add(name, np.where(valid, table[np.arange(len(rows)), np.where(valid, cells, 0)], base))
    some = slice(None, None, max(len(rows) // _FITTED, 1))
    cells = _places_among_free(observed.positions.stones[rows], played)
    add(AMONG_FREE, np.where(cells >= 0, log_p[np.arange(len(rows)), cells], base))
    factor = _best_factor(logits[some], played[some])
    if factor > _MOST:  # a network is too sure of its moves wherever games are new to it
        scored = log_softmax(factor * logits)[np.arange(len(rows)), played]
        add(f"{SCALED} {factor:.2g}", scored)
    # A permutation is learnt in every second game, and scored in the others.
    learnt = np.unique(game, return_inverse=True)[1] % 2 == 0
    cells = assigned_cells(log_p[learnt], played[learnt])[played]
    scored = log_p[np.arange(len(rows)), cells]
    add(PERMUTED, np.where(learnt, base, scored))
    return scores


def _places_among_free(stones: NDArray[np.int8], played: Ints) -> Ints:
    """[M] how many free cells come before the cell that was played."""
    free = stones.reshape(len(stones), -1) == 0
    before = np.arange(free.shape[1]) < played[:, None]
    places: Ints = (free & before).sum(axis=1)
    return places


def equal_image(observed: Observed, size: int) -> tuple[str, float, float] | None:
    """The symmetry under which the image of the cell played is about as likely as that cell.

    Returns:
        Its name, and how much likelier than a free cell the cell played and its image are, in nats,
        beyond what the policy gives these cells at any position, unless both are equal anyway.
        None if there is none. Other symmetries must not have such likely images.
    """
    rows = np.flatnonzero(observed.played >= 0)
    logits, played = observed.policy[rows].astype(np.float64), observed.played[rows]
    if len(rows) < _FITTED // 2 or logits.shape[1] < size * size:
        return None
    log_p, each = log_softmax(logits[:, : size * size]), np.arange(len(rows))
    free = observed.positions.stones.reshape(len(observed.played), -1)[rows] == 0
    log_p = log_p - ((log_p * free).sum(axis=1) / free.sum(axis=1))[:, None]
    # A weak policy knows little but which cells are played, as often as their reflections.
    usual = (log_p * free).sum(axis=0) / np.maximum(free.sum(axis=0), 1)
    for told, enough in ((log_p - usual, _AS_LIKELY), (log_p, _EQUAL)):
        gains = {}
        for name, cells in moved_cells(played, size).items():
            valid = (cells != played) & free[each, cells]
            if valid.sum() > _FITTED // 4:
                own = float(told[each, played][valid].mean())
                gains[name] = own, float(told[each, cells][valid].mean())
        if len(gains) < _MAPS:
            return None
        name = max(gains, key=lambda key: gains[key][1])
        own, image = gains[name]
        others = float(np.median([gain for _, gain in gains.values()]))
        if own >= _CLEARLY and image >= enough * own and others <= _AS_LIKELY / 2 * own:
            return name, own, image
    return None


def _best_factor(logits: Floats, played: Ints) -> float:
    """The factor on the logits under which the moves played are likeliest."""
    rows = np.arange(len(played))
    return float(max(_FACTORS, key=lambda f: float(log_softmax(f * logits)[rows, played].mean())))


def assigned_cells(log_p: Floats, played: Ints) -> Ints:
    """[N*N] for each cell the entry of the policy that rises most where the cell is played.

    Every entry stands for one cell. Entries of cells that are seldom played are their own.

    Args:
        log_p: [M, N*N] log probabilities.
        played: [M] cells.
    """
    count = log_p.shape[1]
    plays = np.bincount(played, minlength=count)
    rise = np.zeros((count, count))
    np.add.at(rise, played, log_p - log_p.mean(axis=0))
    rise /= np.maximum(plays, 1)[:, None]
    seldom = plays < _FEW_PLAYS
    rise[seldom] = 0.0
    rise[seldom, np.flatnonzero(seldom)] = _OWN
    cells: Ints = linear_sum_assignment(-rise)[1].astype(np.int64)
    return cells


def uniform_likelihood(size: int) -> float:
    """Log probability of a move if all cells, occupied ones too, are equally likely."""
    return -math.log(size * size)


def _readings(
    log_p: Floats, inverted: Floats, played: Ints, game: Ints, ply: Ints, size: int
) -> Iterator[tuple[str, Floats, Ints]]:
    """Each reading: its name, the log probabilities [M, N*N], and the cells [M] to read.

    A cell of -1 stands for a move that has no counterpart under the reading.
    """
    red = ply % 2 == 1
    moved = moved_cells(played, size)
    moved = {_COLUMN_MAJOR: moved.pop("transposed"), **moved}
    for name, cells in moved.items():
        yield name, log_p, cells
    for name in (_COLUMN_MAJOR, "mirrored in the short diagonal"):
        yield f"{name} where Red is to move", log_p, np.where(red, moved[name], played)
        yield f"{name} where Blue is to move", log_p, np.where(red, played, moved[name])
    for (rows, columns), cells in neighbours(played, size).items():
        yield f"shifted by ({rows}, {columns})", log_p, cells
    for shift, name in ((1, "one entry later (the first entry is no cell)"), (-1, "one earlier")):
        entries = played + shift
        inside = (entries >= 0) & (entries < size * size)
        yield name, log_p, np.where(inside, entries, -1)
    yield "with its sign inverted", inverted, played
    for shift, name in ((1, "as the move after"), (-1, "as the move before")):
        same_game = np.roll(game, -shift) == game
        yield name, log_p, np.where(same_game, np.roll(played, -shift), -1)
        # Boards that are reflected for Red show the other ply's move in the other frame.
        shown = np.where(red, moved[_COLUMN_MAJOR], played)
        reflected = f"{name}, column by column where Red makes it"
        yield reflected, log_p, np.where(same_game, np.roll(shown, -shift), -1)


def log_softmax(logits: Floats) -> Floats:
    """[M, C] logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    scaled: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return scaled
