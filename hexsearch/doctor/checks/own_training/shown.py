"""Compares the planes of a user's training with those that the encoder makes at inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.checks.own_training.plane_numbers import (
    LEAK,
    by_plane,
    half_turn_keys,
    one_plane,
    other_numbers,
)
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.own_training.catalogue import Catalogue, Change, Ints, Sides
from hexsearch.doctor.own_training.losses.targets import wanted_moves
from hexsearch.doctor.own_training.mixed_planes import (
    erased,
    of_another_ply,
    reordered,
    turned_apart,
)
from hexsearch.doctor.own_training.rows import Flags, Rows, layouts
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.board import Stones

_MOST = 0.97  # share of the rows that must be positions of the games
_KINDS, _PART = 4, 0.08  # changes that explain rows together, and the least share of each
_EXPLAINS = 0.8  # share of the other rows that a change of the planes must explain
_ALIKE = "encode positions for training and for inference by one function"
# A half turn is a symmetry of Hex, so each of these also stands for itself with a half turn.
_SQUARES: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed (rows and columns exchanged)": lambda p: p.transpose(2, 3),
    "mirrored (left to right, or upside down), which is no symmetry of Hex": lambda p: p.flip(3),
    "given a quarter turn, which is no symmetry of Hex": lambda p: p.rot90(1, (2, 3)),
    "flipped over their planes (an augmentation flips the wrong dimensions: 1 is the planes)": (
        lambda p: p.flip(1)
    ),
    "flipped over planes and rows (an augmentation flips dimensions 1 and 2, not 2 and 3)": (
        lambda p: p.flip(1, 2)
    ),
    "flipped over planes and columns (an augmentation flips dimensions 1 and 3, not 2 and 3)": (
        lambda p: p.flip(1, 3)
    ),
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
    alone = one_plane(rows, known)
    cause = _sizes(rows, known) or (alone if LEAK in alone else "")
    cause = cause or _changed(own, rows, missing) or other_numbers(rows, known) or alone
    cause = cause or erased(rows.inputs[torch.from_numpy(missing)], known.inputs)
    yield Finding.error(
        "training planes",
        evidence,
        f"planes of training are not those of inference: {cause or by_plane(rows, known)}",
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
    """The change of boards or planes that explains the rows; empty if none does.

    Of several it is one that explains all rows, also those that are positions of the games by
    chance, and of these the one with which the policy is given the next move.
    """
    every = [half_turn_keys(layout) for layout in layouts(rows.inputs)]
    places_of = np.flatnonzero(missing)
    some = [[keys[n] for n in places_of] for keys in every]
    cells = _wanted_cells(rows, missing)
    best, most, explains_all = "", -1.0, False
    parts: list[tuple[str, Flags]] = []
    for words, planes, index in _candidates(own):
        places = dict(zip(half_turn_keys(planes), index.tolist(), strict=True))
        at = max(([places.get(key, -1) for key in keys] for keys in some), key=_found)
        parts.append((words, np.array(at) >= 0))
        if _found(at) <= _EXPLAINS:
            continue
        of_all = max(np.mean([key in places for key in keys]) for keys in every) > _MOST
        agrees = _next_moves(own.catalogues[0], np.array(at), cells) + of_all
        if agrees > most + _EXPLAINS / 4:
            best, most, explains_all = words, agrees, bool(of_all)
    is_all = explains_all or missing.mean() > _MOST
    where = "" if is_all else f" in {missing.mean():.0%} of the rows"
    return f"{best}{where}" if best else _several(parts, float(missing.mean()))


def _several(parts: list[tuple[str, Flags]], share: float) -> str:
    """In words, changes of which each explains a part of the rows, and together nearly all.

    Args:
        parts: what is changed, and which of the missing rows that explains.
        share: of missing rows among all.
    """
    told: list[str] = []
    left = np.ones(len(parts[0][1]) if parts else 0, dtype=bool)
    while left.mean() > 1 - _MOST and len(told) < _KINDS:
        words, explained = max(parts, key=lambda part: (part[1] & left).mean())
        gained = float((explained & left).mean())
        if gained < _PART:
            return ""
        told.append(f"{words.removesuffix(' in training')} ({gained * share:.0%} of the rows)")
        left &= ~explained
    return f"in training {'; '.join(told)}" if told else ""


def _found(places: list[int]) -> float:
    return float(np.mean([each >= 0 for each in places]))


def _wanted_cells(rows: Rows, chosen: Flags) -> Ints | None:
    if rows.policy is None or rows.policy.gradient is None:
        return None
    return wanted_moves(rows.policy, rows.size**2)[0][chosen]


def _next_moves(known: Catalogue, at: Ints, cells: Ints | None) -> float:
    """Share of rows whose policy is given the next move of their position, however it is laid."""
    if cells is None:
        return 0.0
    found = (at >= 0) & known.truth.has_move[at]
    right = known.truth.next_cell[at[found]]
    images = [right, *moved_cells(right, known.truth.size).values()]
    agree = np.any([each == cells[found] for each in images], axis=0)
    return float(agree.mean()) if found.any() else 0.0


def _candidates(own: OwnTraining) -> Iterator[tuple[str, Tensor, Ints]]:
    """Positions of the games with one thing changed: words for it, planes, and the positions."""
    planes = own.catalogues[0].inputs
    every = np.arange(len(planes), dtype=np.int64)
    if planes.ndim == 4:
        for words, change in _SQUARES.items():
            yield f"boards are {words} in training", change(planes).contiguous(), every
        for first, second in combinations(range(planes.shape[1]), 2):
            order = list(range(planes.shape[1]))
            order[first], order[second] = second, first
            words = f"planes {first} and {second} are exchanged in training"
            yield words, planes[:, order], every
    for words, change_boards in _BOARDS.items():
        yield words, own.changed(change_boards).inputs, every
    for words, inputs in _of_other_boards(own):
        yield words, inputs, every
    if planes.ndim == 4:
        yield from of_another_ply(own.catalogues[0])
        yield from turned_apart(own.catalogues[0])
        yield from reordered(own.catalogues[0])


_BOARDS: dict[str, Change] = {
    "the other side is to move in training": lambda boards, told: (boards, -told),
    "the colours are exchanged in training": lambda boards, told: (-boards, told),
    "colours and side to move are exchanged in training, and the board is not turned": (
        lambda boards, told: (-boards, -told)
    ),
    "Blue's stones are missing in training": lambda boards, told: (boards * (boards > 0), told),
    "Red's stones are missing in training": lambda boards, told: (boards * (boards < 0), told),
    "boards are transposed (rows and columns exchanged) in training": (
        lambda boards, told: (boards.transpose(0, 2, 1), told)
    ),
    "boards are mirrored (left to right, or upside down) in training": (
        lambda boards, told: (boards[:, :, ::-1], told)
    ),
    "Blue is to move in every position of training": lambda boards, told: (boards, 0 * told - 1),
    "Red is to move in every position of training": lambda boards, told: (boards, 0 * told + 1),
    "no side is to move in training": lambda boards, told: (boards, 0 * told),
}


def _of_other_boards(own: OwnTraining) -> Iterator[tuple[str, Tensor]]:
    """Positions with the board of another ply of the same game, before they are encoded."""
    truth = own.catalogues[0].truth
    number = np.arange(len(truth.ply))
    last = number + truth.archive.lengths_of(truth.game) - truth.ply
    for words, at in (
        ("boards of training are those after the move, with the side to move of before", 1),
        ("boards of training are those of a ply before, with the side to move of now", -1),
        (
            "boards of training are those at the end of the game: its samples share one array, "
            "on which the game was played on (it was not copied)",
            0,
        ),
    ):
        index = last if at == 0 else np.clip(number + at, number - truth.ply, last)
        yield words, own.changed(partial(_boards_at, index=index)).inputs


def _boards_at(boards: Stones, told: Sides, index: Ints) -> tuple[Stones, Sides]:
    return boards[index], told
