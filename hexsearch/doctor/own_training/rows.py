"""Finds out which positions the rows of a training batch show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.hypotheses.truth import SWAPS, Truth, truth_of
from hexsearch.doctor.own_training.catalogue import Catalogue, keys_of
from hexsearch.doctor.own_training.outputs import Output, policy_of, value_of
from hexsearch.doctor.own_training.seen import SeenPass

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_LEVELS = 4  # most numbers of a plane that are told apart from noise
_APART = 1e-4  # difference between cells that is no rounding


@dataclass(frozen=True)
class Rows:
    """R rows of training batches, and the positions that they show.

    Attributes:
        batch: [R] number of the pass.
        inputs: [R, ...] what the network got.
        found: [R] whether the row is a position of the games, as the encoder would show it.
        single: [R] whether it is the same position in one game only.
        game, ply, symmetry: [R] the position; meaningless where it was not found.
        value, policy: the outputs with their gradients, joined; None if there are none.
    """

    batch: Ints
    inputs: Tensor
    found: Flags
    single: Flags
    game: Ints
    ply: Ints
    symmetry: Ints
    value: Output | None
    policy: Output | None
    size: int

    def truth(self, chosen: Flags, catalogue: Catalogue) -> Truth:
        """The positions of some rows."""
        return truth_of(catalogue.truth.archive, self.game[chosen], self.ply[chosen])

    def to_move(self, chosen: Flags) -> Ints:
        """Side to move on the boards that are shown in some rows: -1 for Blue, 1 for Red."""
        red = (self.ply[chosen] % 2 == 1) ^ SWAPS[self.symmetry[chosen]]
        return np.where(red, 1, -1).astype(np.int64)


@dataclass(frozen=True)
class Wanted:
    """What the losses wanted in some rows, beside the positions that these rows show.

    Attributes:
        rows: [R] numbers of the rows.
        truth: their positions.
        symmetry: [R] symmetry of Hex under which each is shown.
        target: [R] label or cell that the loss wanted.
    """

    rows: Ints
    truth: Truth
    symmetry: Ints
    target: NDArray[Any]

    def of(self, chosen: Flags) -> Wanted:
        """The same of some of the rows."""
        return Wanted(
            self.rows[chosen],
            self.truth.rows(chosen),
            self.symmetry[chosen],
            self.target[chosen],
        )


def layouts(inputs: Tensor) -> list[Tensor]:
    """Rows as they are, and with their channels before the cells."""
    if inputs.ndim == 3:
        return [inputs, inputs.transpose(1, 2)]
    if inputs.ndim == 4:
        return [inputs, inputs.permute(0, 3, 1, 2)]
    return [inputs]


def rows_of(passes: Sequence[SeenPass], catalogues: Sequence[Catalogue], size: int) -> Rows | None:
    """The rows of passes whose inputs have one shape, matched with positions of the games.

    None if no pass has a gradient.
    """
    trained = _together(
        [each for each in passes if any(output.gradient is not None for output in each.outputs)],
        size,
    )
    if not trained:
        return None
    shapes = [each.planes.shape[1:] for each in trained]
    usual = max(set(shapes), key=shapes.count)
    trained = [each for each in trained if each.planes.shape[1:] == usual]
    inputs = torch.cat([each.planes for each in trained])
    at = shown_in(inputs, catalogues)
    return Rows(
        np.repeat(np.arange(len(trained)), [len(each.planes) for each in trained]),
        inputs,
        at.found,
        at.single,
        at.game,
        at.ply,
        at.symmetry,
        _joined([value_of(each.outputs, size) for each in trained]),
        _joined([policy_of(each.outputs, size) for each in trained]),
        size,
    )


@dataclass(frozen=True)
class Shown:
    """[R] where rows are found in the games; the attributes are those of Rows."""

    found: Flags
    single: Flags
    game: Ints
    ply: Ints
    symmetry: Ints


def shown_in(inputs: Tensor, catalogues: Sequence[Catalogue]) -> Shown:
    """The positions that rows of planes show."""
    places: dict[bytes, list[tuple[int, int, int]]] = {}
    for entry in catalogues:
        where = zip(keys_of(entry.inputs), entry.truth.game, entry.truth.ply, strict=True)
        for key, game, ply in where:
            places.setdefault(key, []).append((int(game), int(ply), entry.symmetry))
    found = [_looked_up(places, layout, catalogues[0].inputs) for layout in layouts(inputs)]
    best = max(found, key=lambda each: sum(map(bool, each)))
    first = np.array([each[0] if each else (0, 0, 0) for each in best], dtype=np.int64)
    return Shown(
        np.array([bool(each) for each in best]),
        np.array([len({game for game, _, _ in each}) == 1 for each in best]),
        first[:, 0],
        first[:, 1],
        first[:, 2],
    )


_Places = dict[bytes, list[tuple[int, int, int]]]


def _looked_up(places: _Places, rows: Tensor, known: Tensor) -> list[list[tuple[int, int, int]]]:
    """The positions that each row shows, if need be without noise or a second board."""
    found = [places.get(key, []) for key in keys_of(rows)]
    if rows.shape[1:] != known.shape[1:] or rows.ndim != 4 or all(found):
        return found
    nearest, between = _nearest(rows, known)
    keys = keys_of(nearest)
    return [
        there if there or not is_between else places.get(key, [])
        for there, key, is_between in zip(found, keys, between.tolist(), strict=True)
    ]


def _nearest(rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with each number replaced by the nearest one that the encoder makes in its plane.

    Also whether cells of a row that become alike were different: by noise, or by a second board
    that was mixed in. Planes that are only scaled or shifted have no such cells.
    """
    nearest, between = rows.float().clone(), torch.zeros(len(rows), dtype=torch.bool)
    for plane in range(rows.shape[1]):
        levels = torch.unique(known[:, plane]).float()
        if len(levels) > _LEVELS:
            continue
        here = rows[:, plane].flatten(1).float()
        at = (here[..., None] - levels).abs().argmin(dim=-1)
        nearest[:, plane] = levels[at].reshape(rows[:, plane].shape)
        for level in range(len(levels)):
            lowest = here.masked_fill(at != level, math.inf).amin(dim=1)
            highest = here.masked_fill(at != level, -math.inf).amax(dim=1)
            between |= highest - lowest > _APART
    return nearest.to(rows.dtype), between


def _together(passes: Sequence[SeenPass], size: int) -> list[SeenPass]:
    """Passes of which neighbours with the same planes are one: those of two networks."""
    found: list[SeenPass] = []
    for each in passes:
        before = found[-1] if found else None
        if before is None or not torch.equal(before.planes, each.planes):
            found.append(each)
            continue
        alone = all(
            len({bool(of(before.outputs, size)), bool(of(each.outputs, size))}) == 2
            for of in (value_of, policy_of)
        )
        if alone:
            found[-1] = replace(before, outputs=[*before.outputs, *each.outputs])
        else:
            found.append(each)
    return found


def _joined(parts: Sequence[Output | None]) -> Output | None:
    """Outputs of several passes as one, with zeros where no gradient was sent back."""
    known = [each for each in parts if each is not None]
    if len(known) < len(parts):
        return None
    rows = [each.tensor.reshape(len(each.tensor), -1).float() for each in known]
    if len({each.shape[1] for each in rows}) > 1:
        return None
    sent = [
        torch.zeros_like(row) if e.gradient is None else e.gradient.reshape(len(row), -1).float()
        for row, e in zip(rows, known, strict=True)
    ]
    gradient = None if all(e.gradient is None for e in known) else torch.cat(sent)
    first = known[0]
    return Output(
        first.name, torch.cat(rows), 0, gradient, first.made_by, first.ways, factor=first.factor
    )
