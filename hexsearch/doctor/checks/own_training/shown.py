"""Compares the planes of a user's training with those that the encoder makes at inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.catalogue import Catalogue, keys_of
from hexsearch.doctor.own_training.rows import Flags, Rows, layouts
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_MOST = 0.97  # share of the rows that must be positions of the games
_EXPLAINS = 0.8  # share of the other rows that a change of the planes must explain
_LEVELS = 4  # different numbers of a plane that is compared by their order
_ALIKE = "encode positions for training and for inference by one function"
_SQUARES: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed (rows and columns exchanged)": lambda p: p.transpose(2, 3),
    "mirrored in the short diagonal": lambda p: p.transpose(2, 3).flip(2, 3),
    "turned by 180 degrees": lambda p: p.flip(2, 3),
    "turned upside down": lambda p: p.flip(2),
    "mirrored left to right": lambda p: p.flip(3),
    "given a quarter turn to the left": lambda p: p.rot90(1, (2, 3)),
    "given a quarter turn to the right": lambda p: p.rot90(3, (2, 3)),
    "shifted down by one row": lambda p: p.roll(1, 2),
    "shifted up by one row": lambda p: p.roll(-1, 2),
    "shifted right by one column": lambda p: p.roll(1, 3),
    "shifted left by one column": lambda p: p.roll(-1, 3),
}


def check_planes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Rows of training must be positions of the games, as the encoder shows them."""
    own = needed(pipeline.own_training)
    rows = own.rows
    if rows is None or rows.found.mean() >= _MOST:
        return
    known = own.catalogues[0]
    missing: Flags = ~rows.found
    share = float(missing.mean())
    evidence = (
        f"of {len(missing):,} positions that the training function gave to the network, "
        f"{share:.0%} are none of the games' as `encode` shows them"
    )
    cause = _sizes(rows, known) or _changed(own, rows, missing) or _other_numbers(rows, known)
    yield Finding.error(
        "training planes",
        evidence,
        f"planes of training are not those of inference: {cause or _by_plane(rows, known)}",
        _ALIKE,
        root="planes",
    )


def _sizes(rows: Rows, known: Catalogue) -> str:
    """In words, that planes have another shape; empty if they have not."""
    given, wanted = list(rows.inputs.shape[1:]), list(known.inputs.shape[1:])
    if rows.inputs[0].numel() == known.inputs[0].numel():
        return ""
    return f"in training a position is {given}, and at inference {wanted}"


def _changed(own: OwnTraining, rows: Rows, missing: Flags) -> str:
    """The change of boards or planes that explains the rows; empty if none does."""
    some = [layout[torch.from_numpy(missing)] for layout in layouts(rows.inputs)]
    keys = [keys_of(each) for each in some]
    total = len(missing)
    for words, planes in _candidates(own):
        made = set(keys_of(planes))
        fits = max(float(np.mean([key in made for key in each])) for each in keys)
        if fits > _EXPLAINS:
            where = "" if missing.mean() > _MOST else f" in {missing.sum() / total:.0%} of the rows"
            return f"{words}{where}"
    return ""


def _candidates(own: OwnTraining) -> Iterator[tuple[str, Tensor]]:
    """Positions of the games with one thing changed, with words for it."""
    planes = own.catalogues[0].inputs
    if planes.ndim == 4:
        for entry in own.catalogues:
            for words, change in _SQUARES.items():
                yield f"boards are {words} in training", change(entry.inputs).contiguous()
        for first, second in combinations(range(planes.shape[1]), 2):
            order = list(range(planes.shape[1]))
            order[first], order[second] = second, first
            yield f"planes {first} and {second} are exchanged in training", planes[:, order]
    for words, change_boards in _BOARDS.items():
        yield words, own.changed(change_boards).inputs
    if planes.ndim == 4:
        yield from _of_another_ply(own.catalogues[0])


def _of_another_ply(known: Catalogue) -> Iterator[tuple[str, Tensor]]:
    """Planes of which one is that of the position a ply before or after."""
    truth, planes = known.truth, known.inputs
    for shift, words in ((-1, "before"), (1, "after")):
        other = np.clip(np.arange(len(planes)) + shift, 0, len(planes) - 1)
        inside = truth.game[other] == truth.game
        for plane in range(planes.shape[1]):
            mixed = planes.clone()
            mixed[:, plane] = planes[torch.from_numpy(other), plane]
            yield f"plane {plane} is that of the position a ply {words}", mixed[inside]


_BOARDS = {
    "the other side is to move in training": lambda boards, told: (boards, -told),
    "the colours are exchanged in training": lambda boards, told: (-boards, told),
    "colours and side to move are exchanged in training, and the board is not turned": (
        lambda boards, told: (-boards, -told)
    ),
    "Blue is to move in every position of training": lambda boards, told: (boards, 0 * told - 1),
    "Red is to move in every position of training": lambda boards, told: (boards, 0 * told + 1),
    "no side is to move in training": lambda boards, told: (boards, 0 * told),
}


def _other_numbers(rows: Rows, known: Catalogue) -> str:
    """In words, planes that have other numbers for the same positions; empty if there are none."""
    if rows.inputs.shape[1:] != known.inputs.shape[1:] or rows.inputs.ndim != 4:
        return ""
    ranks, told = [], []
    for inputs in (rows.inputs, known.inputs):
        by_rank = torch.zeros_like(inputs, dtype=torch.float32)
        levels = []
        for plane in range(inputs.shape[1]):
            found = torch.unique(inputs[:, plane])
            levels.append([round(float(each), 3) for each in found[:_LEVELS]])
            if 1 < len(found) <= _LEVELS:
                by_rank[:, plane] = torch.searchsorted(found, inputs[:, plane].contiguous()).float()
        ranks.append(by_rank)
        told.append(levels)
    made = set(keys_of(ranks[1]))
    if np.mean([key in made for key in keys_of(ranks[0])]) < _EXPLAINS:
        return ""
    other = [
        f"plane {number} holds {_listed(mine)} in training and {_listed(theirs)} at inference"
        for number, (mine, theirs) in enumerate(zip(*told, strict=True))
        if mine != theirs
    ]
    return "; ".join(other[:3])


def _listed(numbers: list[float]) -> str:
    return ", ".join(f"{each:g}" for each in numbers)


def _by_plane(rows: Rows, known: Catalogue) -> str:
    """In words, which planes are never those of a position of the games."""
    if rows.inputs.ndim != 4 or rows.inputs.shape[1:] != known.inputs.shape[1:]:
        return "no change of boards or planes that was tried explains them"
    strange = []
    for plane in range(rows.inputs.shape[1]):
        made = set(keys_of(known.inputs[:, plane]))
        share = np.mean([key in made for key in keys_of(rows.inputs[:, plane])])
        if share < _MOST:
            strange.append((plane, float(share)))
    if not strange:
        return "each plane is that of some position of the games, but not all of the same one"
    listed = ", ".join(f"plane {plane} ({1 - share:.0%} of the rows)" for plane, share in strange)
    return f"{listed} are none of any position; no change of boards that was tried explains them"
