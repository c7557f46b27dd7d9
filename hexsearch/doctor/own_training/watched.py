"""A user's training as it was watched: its steps, and the positions that its batches show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.own_training.catalogue import (
    Catalogue,
    Change,
    catalogue,
    frames,
    played,
)
from hexsearch.doctor.own_training.losses.formulas import ValueLoss, class_targets, value_loss
from hexsearch.doctor.own_training.losses.soft_targets import Fading, fading, with_draws
from hexsearch.doctor.own_training.losses.targets import wanted_moves, wanted_red
from hexsearch.doctor.own_training.outputs import Output, value_of
from hexsearch.doctor.own_training.recording import Recording
from hexsearch.doctor.own_training.rows import Flags, Rows, Wanted
from hexsearch.doctor.own_training.turned_back import turns_back
from hexsearch.doctor.own_training.whole import WholeTraining, whole_training

Ints = NDArray[np.int64]
_FEW_ROWS = 40
_USUAL = 0.02  # distance from the usual targets
_FIRST = 4  # batches in which raw values differ little
_WEAK = 0.35  # share of the usual strength that soft targets pull some rows with


@dataclass(frozen=True)
class OwnTraining:
    """A user's training function, after it was run for some steps.

    Attributes:
        recording: what was seen of it.
        foreign: the user's network and encoder at inference.
        catalogues: positions of its games at inference, the first as they were played.
        rows: the rows of its batches; None if no loss sent a gradient back.
        games: the games that it was given, as numbers in the archive.
    """

    recording: Recording
    foreign: ForeignNetwork
    catalogues: list[Catalogue]
    rows: Rows | None
    games: Ints

    @cached_property
    def whole(self) -> WholeTraining | None:
        """A whole training on few games; None if it cannot use so few."""
        assert self.foreign.train is not None
        archive = self.catalogues[0].truth.archive
        return whole_training(self.foreign.train, played(archive, self.games))

    @property
    def kinds(self) -> list[str]:
        """Classes of the modules that are trained."""
        return [type(module).__name__ for module in self.recording.network.values()]

    def changed(self, change: Change) -> Catalogue:
        """The positions of the games, changed before they are encoded."""
        archive = self.catalogues[0].truth.archive
        return catalogue(self.foreign, archive, self.games, self.kinds, 0, change)

    @property
    def trains_value(self) -> bool:
        """Whether a loss has sent a gradient back to a value in any pass."""
        size = self.foreign.size
        values = [value_of(each.outputs, size) for each in self.recording.passes]
        return any(each is not None and each.gradient is not None for each in values)

    @cached_property
    def usual(self) -> Ints:
        """Numbers of the rows of batches of the usual size, whose losses have one factor."""
        assert self.rows is not None
        count = np.bincount(self.rows.batch)
        usual = np.bincount(count[count > 0]).argmax()
        return np.flatnonzero(count[self.rows.batch] == usual)

    @cached_property
    def formula(self) -> ValueLoss | None:
        """The value loss of the rows of usual batches; None if it is not a usual one."""
        rows = self.rows
        if rows is None or rows.value is None or rows.value.gradient is None:
            return None
        if rows.value.tensor.shape[1] != 1 or len(self.usual) < _FEW_ROWS:
            return None
        return value_loss(rows.value.tensor[self.usual, 0], rows.value.gradient[self.usual, 0])

    @cached_property
    def class_targets(self) -> Tensor | None:
        """Targets of a value of several classes in the rows of usual batches, if they are known."""
        rows = self.rows
        if rows is None or rows.value is None or rows.value.gradient is None:
            return None
        if rows.value.tensor.shape[1] == 1 or len(self.usual) < _FEW_ROWS:
            return None
        return class_targets(rows.value.tensor[self.usual], rows.value.gradient[self.usual])

    @property
    def has_certain_targets(self) -> bool:
        """Whether the value loss is known, with the usual targets of results."""
        if self.formula is not None:
            return self.formula.odd < _USUAL
        targets = self.class_targets
        return targets is not None and float((targets - targets.round()).abs().max()) < _USUAL

    @property
    def has_soft_targets(self) -> bool:
        """Whether values are pulled with all strengths in the first batches.

        Raw values differ little there, so that targets of results pull with two strengths.
        """
        rows = self.rows
        if self.formula is not None or rows is None or rows.value is None:
            return False
        if rows.value.gradient is None or rows.value.tensor.shape[1] != 1:
            return False
        first = self.usual[rows.batch[self.usual] < _FIRST]
        strengths = rows.value.gradient[first, 0].abs()
        if len(first) < _FEW_ROWS or not float(strengths.max()) > 0:
            return False
        return float(strengths.quantile(0.1)) < _WEAK * float(strengths.median())

    @cached_property
    def labels(self) -> Wanted | None:
        """Labels that the value loss wanted, for Red on the boards that are shown."""
        rows = self.rows
        if rows is None or rows.value is None or rows.value.gradient is None:
            return None
        chosen: Flags = rows.found & rows.single
        index = np.flatnonzero(chosen)
        if not len(index):
            return None
        everywhere = np.ones(len(rows.found), dtype=bool)
        if self.foreign.for_mover:  # whose value that of a finished board is, is not known
            over = rows.truth(everywhere, self.catalogues[0]).finished
            chosen = chosen & ~over if (chosen & ~over).any() else chosen
        output = rows.value
        if self.formula is not None:  # a raw value may lie beyond its target
            up = np.zeros(len(everywhere), dtype=bool)
            up[self.usual] = self.formula.high
            pull = torch.from_numpy(np.where(up, -1.0, 1.0).astype(np.float32))[:, None]
            output = Output(output.name, output.tensor, 0, pull)
            chosen = chosen & np.isin(np.arange(len(chosen)), self.usual)
        elif (targets := self.class_targets) is not None:  # labels may be smoothed
            pulls = torch.zeros_like(rows.value.gradient)
            pulls[torch.from_numpy(self.usual)] = -targets.float()
            output = Output(output.name, output.tensor, 0, pulls)
            chosen = chosen & np.isin(np.arange(len(chosen)), self.usual)
        wanted, known = wanted_red(
            output, rows.to_move(everywhere), self.foreign, self.catalogues[0]
        )
        kept = chosen & known
        if not kept.any():
            return None
        return Wanted(
            np.flatnonzero(kept),
            rows.truth(kept, self.catalogues[0]),
            rows.symmetry[kept],
            wanted[kept],
        )

    @cached_property
    def fading(self) -> Fading | None:
        """How targets change in the course of a game; None if they do not, or are no usual."""
        rows = self._without_formula()
        if rows is None:
            return None
        raw, gradient, won, truth = rows
        left = truth.archive.lengths_of(truth.game) - truth.ply
        return fading(raw, gradient, won, torch.from_numpy(left), torch.from_numpy(truth.ply))

    @cached_property
    def draws(self) -> tuple[Flags, Truth] | None:
        """[R] which rows have the target of a draw, and the positions; None if none have."""
        rows = self._without_formula()
        found = None if rows is None else with_draws(*rows[:3])
        return None if rows is None or found is None else (found, rows[3])

    def _without_formula(self) -> tuple[Tensor, Tensor, dict[str, Flags], Truth] | None:
        """Raw values, gradients, results by their owner, and positions of rows that are going on.

        None if the formula of the value loss is known with two targets.
        """
        rows = self.rows
        if rows is None or rows.value is None or rows.value.gradient is None:
            return None
        if self.formula is not None or rows.value.tensor.shape[1] != 1:
            return None
        usual = np.isin(np.arange(len(rows.found)), self.usual)
        chosen: Flags = rows.found & rows.single & usual
        # Whose turn it is on a finished board is left to the script.
        over = rows.truth(np.ones(len(usual), dtype=bool), self.catalogues[0]).finished
        chosen &= ~over
        truth = rows.truth(chosen, self.catalogues[0])
        red = truth.outcome(rows.symmetry[chosen], "board")
        mover = red ^ (rows.to_move(chosen) == -1)
        at = torch.from_numpy(chosen)
        owners = {"Red": red, "the side to move": mover}
        return rows.value.tensor[at, 0], rows.value.gradient[at, 0], owners, truth

    @cached_property
    def moves(self) -> Wanted | None:
        """Cells that the policy loss wanted, on the board that is shown."""
        return self._cells(1.0)

    @cached_property
    def lowered(self) -> Wanted | None:
        """Cells whose logits the policy loss lowers most."""
        return self._cells(-1.0)

    def _cells(self, sign: float) -> Wanted | None:
        rows = self.rows
        if rows is None or rows.policy is None or rows.policy.gradient is None:
            return None
        policy = rows.policy
        turned = Output(policy.name, policy.tensor, 0, sign * rows.policy.gradient)
        cell, known = wanted_moves(turned, rows.size**2)
        kept = rows.found & rows.single & known
        sides = rows.to_move(np.ones(len(kept), dtype=bool))
        kept &= np.isin(sides, list(self.laid))  # where it is known how the board lies
        if not kept.any():
            return None
        truth = rows.truth(kept, self.catalogues[0])
        return Wanted(
            np.flatnonzero(kept), truth, rows.symmetry[kept], self._on_board(cell, kept, rows)
        )

    @cached_property
    def laid(self) -> dict[int, str]:
        """How the encoder lays the board for each side to move, where that can be seen."""
        known, networks = self.catalogues[0], list(self.recording.network.values())
        laid = {}
        for side, name in frames(known).items():
            back = turns_back(networks, known, side, name) if name else False
            if back is not None:
                laid[side] = "" if back else name
        return laid

    def _on_board(self, cell: Ints, kept: Flags, rows: Rows) -> Ints:
        """Cells of the planes as cells of the board that is shown, which the encoder may turn."""
        cells = cell[kept]
        for side, name in self.laid.items():
            if name:
                back = {
                    "given a quarter turn to the left": "given a quarter turn to the right",
                    "given a quarter turn to the right": "given a quarter turn to the left",
                }.get(name, name)
                moved = moved_cells(cells, rows.size)[back]
                cells = np.where(rows.to_move(kept) == side, moved, cells)
        return cells
