"""Says which numbers single planes of a user's training hold, beside those of inference."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.own_training.catalogue import Catalogue, keys_of
from hexsearch.doctor.own_training.rows import Rows

_MOST = 0.97  # share of the rows that must be positions of the games
_EXPLAINS = 0.8  # share of the rows that other numbers must explain
_FEW, _TELLS = 40, 0.95  # rows, and the correlation that tells a column
_MANY, _GRAIN = 200, 0.002  # numbers of a plane with noise; rounding of a number
_LEVELS = 4  # different numbers of a plane that is compared by their order
LEAK = "holds"  # said of a plane whose number is that of a column


def other_numbers(rows: Rows, known: Catalogue) -> str:
    """In words, planes that have other numbers for the same positions; empty if there are none."""
    if rows.inputs.shape[1:] != known.inputs.shape[1:] or rows.inputs.ndim != 4:
        return ""
    many = [
        str(plane)
        for plane in range(rows.inputs.shape[1])
        if len(torch.unique(rows.inputs[:, plane])) > _MANY
        and len(torch.unique(known.inputs[:, plane])) <= _LEVELS
    ]
    if many:
        return (
            f"plane {', '.join(many)} has a different number in nearly every cell, and a few "
            "numbers at inference: noise is added, or boards are averaged"
        )
    ranks, told = [], []
    for inputs in (rows.inputs, known.inputs):
        by_rank = torch.zeros_like(inputs, dtype=torch.float32)
        levels = []
        for plane in range(inputs.shape[1]):
            found = torch.unique(inputs[:, plane])
            levels.append(_levels(found))
            if len(found) > _LEVELS:
                by_rank[:, plane] = -1.0  # no rank, and not that of a plane with few levels
            elif len(found) > 1:
                by_rank[:, plane] = torch.searchsorted(found, inputs[:, plane].contiguous()).float()
        ranks.append(by_rank)
        told.append(levels)
    made = set(half_turn_keys(ranks[1]))
    if np.mean([key in made for key in half_turn_keys(ranks[0])]) < _EXPLAINS:
        return ""
    other = [
        f"plane {number} holds {_listed(mine)} in training and {_listed(theirs)} at inference"
        for number, (mine, theirs) in enumerate(zip(*told, strict=True))
        if mine != theirs
    ]
    listed = "; ".join(other[:3])
    scaled = [m[-1] / t[-1] for m, t in zip(*told, strict=True) if t[-1] and m != t]
    if len(scaled) > 1 and max(scaled) - min(scaled) < _GRAIN * max(scaled):
        return f"planes are multiplied by {scaled[0]:.3g} in training ({listed})"
    return listed


def _levels(plane: Tensor) -> list[float]:
    """The first different numbers of a plane."""
    return [round(float(each), 3) for each in torch.unique(plane)[:_LEVELS]]


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{each:g}" for each in numbers)


def by_plane(rows: Rows, known: Catalogue) -> str:
    """In words, which planes are never those of a position of the games."""
    if rows.inputs.ndim != 4 or rows.inputs.shape[1:] != known.inputs.shape[1:]:
        return "no change of boards or planes that was tried explains them"
    strange = []
    for plane in range(rows.inputs.shape[1]):
        made = set(half_turn_keys(known.inputs[:, plane]))
        share = np.mean([key in made for key in half_turn_keys(rows.inputs[:, plane])])
        if share < _MOST:
            strange.append((plane, float(share)))
    if not strange:
        return "each plane is that of some position of the games, but not all of the same one"
    listed = ", ".join(f"plane {plane} ({1 - share:.0%} of the rows)" for plane, share in strange)
    if _in_order(rows, known):
        return (
            "planes are shifted and scaled, each cell or plane by numbers of its own (standardised "
            f"by mean and deviation), in one of both: {listed} are none of any position as they are"
        )
    return f"{listed} are none of any position; no change of boards that was tried explains them"


def _in_order(rows: Rows, known: Catalogue) -> bool:
    """Whether rows are positions if it only counts where a cell holds more than its least."""
    made, asked = (
        half_turn_keys((inputs > inputs.amin(dim=0)).to(torch.float32))
        for inputs in (known.inputs, rows.inputs)
    )
    there = set(made)
    return float(np.mean([key in there for key in asked])) > _EXPLAINS


def one_plane(rows: Rows, known: Catalogue) -> str:
    """In words, the plane without which rows are positions of the games, and what it holds."""
    if rows.inputs.ndim != 4 or rows.inputs.shape[1:] != known.inputs.shape[1:]:
        return ""
    count, found = rows.inputs.shape[1], list[str]()
    for plane in range(count):
        others = [n for n in range(count) if n != plane]
        keys, asked = (
            half_turn_keys(known.inputs[:, others]),
            half_turn_keys(rows.inputs[:, others]),
        )
        count_of = Counter(keys)
        if np.mean([key in count_of for key in asked]) < _MOST:
            continue
        places = {key: n for n, key in enumerate(keys) if count_of[key] == 1}  # in one game only
        at = np.array([places.get(key, -1) for key in asked])
        told = _held(rows.inputs[torch.from_numpy(at >= 0), plane], known.truth.rows(at[at >= 0]))
        if told:
            return f"plane {plane} {LEAK} {told} (a leak, if it tells the result)"
        for inputs, when in ((known.inputs, "at inference"), (rows.inputs, "in training")):
            if float(inputs[:, plane].std()) == 0:
                number = f"{float(inputs[0, plane].flatten()[0]):g}"
                return f"plane {plane} is always {number} {when}, and not always in the other"
        levels = [_listed(_levels(each[:, plane])) for each in (rows.inputs, known.inputs)]
        held_by = (
            f" (it holds {levels[0]}, and {levels[1]} at inference)" if len({*levels}) > 1 else ""
        )
        found.append(f"plane {plane} differs{held_by}, and all others are those of the games")
    return found[0] if found else ""


def _held(numbers: Tensor, truth: Truth) -> str:
    """In words, the column that one number for each position tells; empty if it is none."""
    flat = numbers.flatten(1)
    shown = ((flat != 0).sum(dim=1) == 1).numpy()
    if shown.sum() > _FEW and flat.shape[1] == truth.size**2:
        cell = flat.abs().argmax(dim=1).numpy()[shown]
        if (cell == truth.next_cell[shown]).mean() > _TELLS:
            return "the move that is to be predicted, the policy's own target"
    if len(flat) < _FEW or float((flat - flat[:, :1]).abs().max()) > 0 or float(flat.std()) == 0:
        return ""
    held = flat[:, 0].numpy()
    columns = {
        "the winner of the game, which is not known at inference": truth.red_won,
        "the winner of the game for the side to move, which is not known at inference": (
            truth.red_won ^ truth.red_to_move
        ),
        "the number of plies to the end of the game": (
            truth.archive.lengths_of(truth.game) - truth.ply
        ),
        "the number of the ply": truth.ply,
        "the number of moves of the whole game, which is not known at inference": (
            truth.archive.lengths_of(truth.game)
        ),
    }
    for words, column in columns.items():
        told = column.astype(float)
        if told.std() > 0 and abs(np.corrcoef(held, told)[0, 1]) > _TELLS:
            return words
    return ""


def half_turn_keys(planes: Tensor) -> list[bytes]:
    """Keys of rows that are the same for a position and its half turn, which scripts may show."""
    keys = keys_of(planes)
    if planes.ndim < 3:
        return keys
    return [min(pair) for pair in zip(keys, keys_of(planes.flip(-2, -1)), strict=True)]
