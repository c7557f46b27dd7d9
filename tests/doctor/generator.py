"""Draws random faults.

A fault of batches is an operation on planes, labels or moves of a subset of the samples. A fault of
the training path changes losses, gradients, steps, answers or evaluation by a random amount.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from tests.doctor.path_edits import PATH_EDITS
from tests.doctor.slips import Inject, Named, Patch

Rng = np.random.Generator
Operation = Callable[[Batch, Any, Rng], Batch]


@dataclass(frozen=True)
class DrawnFault(Named):
    """One fault of a pipeline."""

    label: str
    inject: Inject
    named_by: str


def draw_fault(seed: int) -> DrawnFault:
    """The fault of a seed: of batches or of the training path, with equal probability."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        return _of_batches(rng, seed)
    name = sorted(PATH_EDITS)[rng.integers(len(PATH_EDITS))]
    make, named_by = PATH_EDITS[name]
    amount = float(np.exp(rng.uniform(-1.5, 1.5)))
    return DrawnFault(f"{name} ({amount:.2f})", make(amount), named_by)


def _of_batches(rng: Rng, seed: int) -> DrawnFault:
    name = sorted(_OPERATIONS)[rng.integers(len(_OPERATIONS))]
    operation, named_by = _OPERATIONS[name]
    place = sorted(_SUBSETS)[rng.integers(len(_SUBSETS))]
    subset = _SUBSETS[place]
    parameters = int(rng.integers(1 << 30))

    def inject(patch: Patch) -> None:
        sound = TrainingStream.batch

        def batch(self: Any, cursor: int, size: int) -> Batch:
            made = sound(self, cursor, size)
            draws = np.random.default_rng(parameters)
            changed = operation(made, (self, sound, cursor, size), draws)
            noise = np.random.default_rng([parameters, cursor])
            return _where(torch.from_numpy(subset(made, noise)), changed, made)

        patch.setattr(TrainingStream, "batch", batch)

    return DrawnFault(f"{name}, {place} (seed {seed})", inject, named_by)


def _where(mask: torch.Tensor, changed: Batch, made: Batch) -> Batch:
    planes = torch.where(mask[:, None, None, None], changed.planes, made.planes)
    return replace(
        made,
        planes=planes,
        outcome=torch.where(mask, changed.outcome, made.outcome),
        policy_target=torch.where(mask, changed.policy_target, made.policy_target),
    )


_SUBSETS: dict[str, Callable[[Batch, Rng], np.ndarray]] = {
    "everywhere": lambda b, rng: np.ones(len(b), dtype=bool),
    "everywhere (2)": lambda b, rng: np.ones(len(b), dtype=bool),
    "where Red is to move": lambda b, rng: b.ply.numpy() % 2 == 1,
    "where Blue is to move": lambda b, rng: b.ply.numpy() % 2 == 0,
    "where colours are exchanged": lambda b, rng: b.complement.numpy(),
    "late": lambda b, rng: b.stage.numpy() == 2,
    "in games of odd number": lambda b, rng: b.game.numpy() % 2 == 1,
    "where Red wins": lambda b, rng: b.red_won.numpy() > 0.5,
    "in a random tenth": lambda b, rng: rng.random(len(b)) < 0.1,
    "in a random half": lambda b, rng: rng.random(len(b)) < 0.5,
}


def _planes(change: Callable[[torch.Tensor, Rng], torch.Tensor]) -> Operation:
    def operation(batch: Batch, stream: Any, rng: Rng) -> Batch:
        return replace(batch, planes=change(batch.planes, rng).contiguous())

    return operation


def _shift(planes: torch.Tensor, rng: Rng) -> torch.Tensor:
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)]
    return torch.roll(planes, steps[rng.integers(len(steps))], dims=(2, 3))


def _late(column: str) -> Operation:
    """A column of the batch before."""

    def operation(batch: Batch, stream: Any, rng: Rng) -> Batch:
        self, sound, cursor, size = stream
        other = sound(self, cursor - size if cursor >= size else cursor, size)
        changed: dict[str, Any] = {column: getattr(other, column)}
        return replace(batch, **changed)

    return operation


def _outcome(change: Callable[[torch.Tensor, Rng], torch.Tensor]) -> Operation:
    def operation(batch: Batch, stream: Any, rng: Rng) -> Batch:
        return replace(batch, outcome=change(batch.outcome, rng).float())

    return operation


def _target(change: Callable[[torch.Tensor, int, Rng], torch.Tensor]) -> Operation:
    def operation(batch: Batch, stream: Any, rng: Rng) -> Batch:
        size = stream[0].builder.encoder.size
        moved = change(batch.policy_target, size, rng)
        return replace(batch, policy_target=moved % (size * size))

    return operation


def _drop_stones(planes: torch.Tensor, rng: Rng) -> torch.Tensor:
    kept = torch.from_numpy(rng.random(tuple(planes.shape)) < 0.7)
    kept[:, 2:] = True
    return planes * kept


_OPERATIONS: dict[str, tuple[Operation, str]] = {
    "planes transposed": (_planes(lambda p, r: p.transpose(2, 3)), "transpos|column-major|reflect"),
    "planes upside down": (_planes(lambda p, r: p.flip(2)), "upside down|flipped|no symmetry"),
    "planes left to right": (_planes(lambda p, r: p.flip(3)), "left and right|no symmetry"),
    "planes by a quarter": (_planes(lambda p, r: p.rot90(1, (2, 3))), "quarter|no symmetry"),
    "planes shifted": (_planes(_shift), "shifted"),
    "colour planes swapped": (
        _planes(lambda p, r: p[:, [1, 0, *range(2, p.shape[1])]]),
        "colours exchanged|wrong edges|swapped",
    ),
    "planes scaled": (
        _planes(lambda p, r: p * float(r.uniform(0.002, 0.6))),
        "scaled|instead of 1",
    ),
    "planes with noise": (
        _planes(lambda p, r: p + 0.1 * torch.from_numpy(r.random(tuple(p.shape))).float()),
        "added|noise|changed afterwards",
    ),
    "planes one row apart": (_planes(lambda p, r: p.roll(1, 0)), "row"),
    "planes late by one batch": (_late("planes"), "late|batch|previous"),
    "stones dropped": (_planes(_drop_stones), "missing"),
    "labels inverted": (_outcome(lambda o, r: 1 - o), "invert|not exchanged|drawn at random|noise"),
    "labels one row apart": (_outcome(lambda o, r: o.roll(1)), "row of the batch|random|invert"),
    "labels late by one batch": (_late("outcome"), "batch|random|invert"),
    "labels scaled": (_outcome(lambda o, r: 0.2 + 0.6 * o), "instead of 0 and 1|label"),
    "labels signed": (_outcome(lambda o, r: 2 * o - 1), "instead of 0 and 1|label"),
    "labels all one": (_outcome(lambda o, r: torch.ones_like(o)), "every label is|label"),
    "moves transposed": (
        _target(lambda t, n, r: t % n * n + t // n),
        "column-major|symmetry|policy target|next move",
    ),
    "moves turned": (_target(lambda t, n, r: n * n - 1 - t), "symmetry|next move|policy target"),
    "moves shifted": (_target(lambda t, n, r: t + int(r.choice([1, n]))), "shifted"),
    "moves one row apart": (_target(lambda t, n, r: t.roll(1)), "row|policy target"),
    "moves at random": (
        _target(lambda t, n, r: torch.from_numpy(r.integers(0, n * n, len(t)))),
        "random|policy target",
    ),
}
