"""Compares the planes of a user's training with those that the encoder makes at inference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.own_training.catalogue import Catalogue, Change, Ints, Sides, keys_of
from hexsearch.doctor.own_training.mixed_planes import of_another_ply, turned_apart
from hexsearch.doctor.own_training.rows import Flags, Rows, layouts
from hexsearch.doctor.own_training.targets import wanted_moves
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.board import Stones

_MOST = 0.97  # share of the rows that must be positions of the games
_EXPLAINS = 0.8  # share of the other rows that a change of the planes must explain
_FEW, _TELLS = 40, 0.95  # rows, and the correlation that tells a column
_LEAK = "holds"  # said of a plane whose number is that of a column
_LEVELS = 4  # different numbers of a plane that is compared by their order
_ALIKE = "encode positions for training and for inference by one function"
# A half turn is a symmetry of Hex, so each of these also stands for itself with a half turn.
_SQUARES: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed (rows and columns exchanged)": lambda p: p.transpose(2, 3),
    "mirrored (left to right, or upside down), which is no symmetry of Hex": lambda p: p.flip(3),
    "given a quarter turn, which is no symmetry of Hex": lambda p: p.rot90(1, (2, 3)),
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
    alone = _one_plane(rows, known)
    cause = _sizes(rows, known) or (alone if _LEAK in alone else "")
    cause = cause or _changed(own, rows, missing) or _other_numbers(rows, known) or alone
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
    """The change of boards or planes that explains the rows; empty if none does.

    Of several it is one that explains all rows, also those that are positions of the games by
    chance, and of these the one with which the policy is given the next move.
    """
    every = [_keys(layout) for layout in layouts(rows.inputs)]
    places_of = np.flatnonzero(missing)
    some = [[keys[n] for n in places_of] for keys in every]
    cells = _wanted_cells(rows, missing)
    best, most, explains_all = "", -1.0, False
    for words, planes, index in _candidates(own):
        places = dict(zip(_keys(planes), index.tolist(), strict=True))
        at = max(([places.get(key, -1) for key in keys] for keys in some), key=_found)
        if _found(at) <= _EXPLAINS:
            continue
        of_all = max(np.mean([key in places for key in keys]) for keys in every) > _MOST
        agrees = _next_moves(own.catalogues[0], np.array(at), cells) + of_all
        if agrees > most + _EXPLAINS / 4:
            best, most, explains_all = words, agrees, bool(of_all)
    is_all = explains_all or missing.mean() > _MOST
    where = "" if is_all else f" in {missing.mean():.0%} of the rows"
    return f"{best}{where}" if best else ""


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


_BOARDS: dict[str, Change] = {
    "the other side is to move in training": lambda boards, told: (boards, -told),
    "the colours are exchanged in training": lambda boards, told: (-boards, told),
    "colours and side to move are exchanged in training, and the board is not turned": (
        lambda boards, told: (-boards, -told)
    ),
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
    made = set(_keys(ranks[1]))
    if np.mean([key in made for key in _keys(ranks[0])]) < _EXPLAINS:
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
        made = set(_keys(known.inputs[:, plane]))
        share = np.mean([key in made for key in _keys(rows.inputs[:, plane])])
        if share < _MOST:
            strange.append((plane, float(share)))
    if not strange:
        return "each plane is that of some position of the games, but not all of the same one"
    listed = ", ".join(f"plane {plane} ({1 - share:.0%} of the rows)" for plane, share in strange)
    return f"{listed} are none of any position; no change of boards that was tried explains them"


def _one_plane(rows: Rows, known: Catalogue) -> str:
    """In words, the plane without which rows are positions of the games, and what it holds."""
    if rows.inputs.ndim != 4 or rows.inputs.shape[1:] != known.inputs.shape[1:]:
        return ""
    count, found = rows.inputs.shape[1], list[str]()
    for plane in range(count):
        others = [n for n in range(count) if n != plane]
        keys, asked = _keys(known.inputs[:, others]), _keys(rows.inputs[:, others])
        count_of = Counter(keys)
        if np.mean([key in count_of for key in asked]) < _MOST:
            continue
        places = {key: n for n, key in enumerate(keys) if count_of[key] == 1}  # in one game only
        at = np.array([places.get(key, -1) for key in asked])
        told = _held(rows.inputs[torch.from_numpy(at >= 0), plane], known.truth.rows(at[at >= 0]))
        if told:
            return f"plane {plane} {_LEAK} {told} (a leak, if it tells the result)"
        for inputs, when in ((known.inputs, "at inference"), (rows.inputs, "in training")):
            if float(inputs[:, plane].std()) == 0:
                number = f"{float(inputs[0, plane].flatten()[0]):g}"
                return f"plane {plane} is always {number} {when}, and not always in the other"
        found.append(f"plane {plane} differs, and all others are those of positions of the games")
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
    }
    for words, column in columns.items():
        told = column.astype(float)
        if told.std() > 0 and abs(np.corrcoef(held, told)[0, 1]) > _TELLS:
            return words
    return ""


def _keys(planes: Tensor) -> list[bytes]:
    """Keys of rows that are the same for a position and its half turn, which scripts may show."""
    keys = keys_of(planes)
    if planes.ndim < 3:
        return keys
    return [min(pair) for pair in zip(keys, keys_of(planes.flip(-2, -1)), strict=True)]
