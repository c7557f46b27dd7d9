"""The yardstick's slips: what a slip is, and the places of a pipeline where one can be made.

The slips of `slips_of_data`, `slips_of_training` and `slips_of_scripts` were written down before
their author had read the doctor's hypotheses, from what goes wrong in projects like this one. A
seed put half of them aside: HELD_OUT ones were run for the first time when the checks were done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive
from hexsearch.data.batches import Batch, TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model import many_heads
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.step import Stepper

Patch = pytest.MonkeyPatch
Inject = Callable[[Patch], None]


@dataclass(frozen=True)
class Slip:
    """One mistake of a pipeline.

    Attributes:
        named_by: words of which a cause must hold one to have named it.
        settings: of the configuration; only `absolute` positions where it says so.
        games: what became of the games themselves.
    """

    inject: Inject
    named_by: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    games: Callable[[GameArchive], GameArchive] = lambda archive: archive

    def is_named_in(self, text: str) -> bool:
        return re.search(self.named_by, text, re.IGNORECASE) is not None


def held_out(names: list[str], seed: int) -> list[str]:
    """The half of the names that a seed puts aside."""
    order = np.random.default_rng(seed).permutation(len(names))
    return sorted(names[index] for index in order[: len(names) // 2])


def nothing(patch: Patch) -> None:
    """The slip lies in the settings or in the games."""


def in_batches(change: Callable[[Batch, TrainingStream, int], Batch]) -> Inject:
    """Training batches, after they were built; `change` is told the first one's cursor."""

    def inject(patch: Patch) -> None:
        sound = TrainingStream.batch

        def batch(self: Any, cursor: int, size: int) -> Batch:
            return change(sound(self, cursor, size), self, cursor)

        patch.setattr(TrainingStream, "batch", batch)

    return inject


def in_labels(change: Callable[[Batch], Tensor]) -> Inject:
    return in_batches(lambda batch, _, __: replace(batch, outcome=change(batch).float()))


def in_planes(change: Callable[[Tensor], Tensor]) -> Inject:
    return in_batches(
        lambda batch, _, __: replace(batch, planes=change(batch.planes.clone()).contiguous())
    )


def in_moves(plies_later: int) -> Inject:
    """The policy is taught the move of another ply."""

    def change(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
        builder, archive = stream.builder, stream.builder.archive
        games, plies = batch.game.numpy(), batch.ply.numpy()
        lengths = (archive.offsets[games + 1] - archive.offsets[games]).astype(np.int64)
        other = np.clip(plies + plies_later, 0, lengths - 1)
        here = archive.offsets[games].astype(np.int64)
        played = archive.moves[here + np.clip(plies, 0, lengths - 1)].astype(np.int64)
        wanted = torch.from_numpy(archive.moves[here + other].astype(np.int64))
        shown = _as_shown(batch, torch.from_numpy(played), wanted, builder.encoder.size)
        return replace(batch, policy_target=shown)

    return in_batches(change)


def _as_shown(batch: Batch, played: Tensor, wanted: Tensor, size: int) -> Tensor:
    """Cells `wanted` under the symmetry that shows `played` as the policy target."""
    from hexsearch.game.symmetry import symmetry_cells

    table = torch.from_numpy(np.array(symmetry_cells(size), dtype=np.int64))
    found = batch.policy_target.clone()
    swapped = ~batch.complement if batch.planes.shape[1] == 2 else batch.complement
    for number in range(4):
        fits = batch.has_move & (table[number][played] == batch.policy_target)
        fits &= swapped == (number >= 2)
        found = torch.where(fits, table[number][wanted], found)
    return found


def in_encoder(change: Callable[..., Any]) -> Inject:
    """The encoder, in training and evaluation alike."""

    def inject(patch: Patch) -> None:
        sound = PositionEncoder.encode

        def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
            return change(sound, self, cells, plies, symmetries, finished)

        patch.setattr(PositionEncoder, "encode", encode)

    return inject


class Around(nn.Module):
    """A module with something done to its input or its output."""

    def __init__(
        self,
        inner: nn.Module,
        before: Callable[[Tensor], Tensor] | None = None,
        after: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x if self.before is None else self.before(x))
        return out if self.after is None else self.after(out)


def in_network(change: Callable[[Network], None]) -> Inject:
    """The network, as soon as it is built."""

    def inject(patch: Patch) -> None:
        sound = many_heads.build_network  # type: ignore[attr-defined]

        def build(*arguments: Any) -> Network:
            network: Network = sound(*arguments)
            change(network)
            return network

        patch.setattr(many_heads, "build_network", build)

    return inject


def in_part(part: str, **around: Callable[[Tensor], Tensor]) -> Inject:
    return in_network(lambda n: setattr(n, part, Around(getattr(n, part), **around)))


def in_losses(change: Callable[[Any, Batch, Any], Any]) -> Inject:
    """Losses of a step; `change` is given them, the batch and the stepper."""

    def inject(patch: Patch) -> None:
        sound = Stepper._forward

        def forward(self: Any, batch: Batch, watched: bool) -> Any:
            losses, junction = sound(self, batch, watched)
            return change(losses, batch, self), junction

        patch.setattr(Stepper, "_forward", forward)

    return inject


def in_value_loss(change: Callable[[Tensor, Batch], Tensor]) -> Inject:
    return in_losses(lambda m, batch, _: m._replace(values=(change(m.value, batch),)))


def in_optimiser(change: Callable[[Any], None]) -> Inject:
    """The optimiser, as soon as it is built."""

    def inject(patch: Patch) -> None:
        sound = steps.build_optimiser  # type: ignore[attr-defined]

        def build(*arguments: Any) -> Any:
            optimiser = sound(*arguments)
            change(optimiser)
            return optimiser

        patch.setattr(steps, "build_optimiser", build)

    return inject


def in_rates(change: Callable[[dict[str, Any]], float]) -> Inject:
    """Learning rates of the groups, after the schedule has set them."""

    def inject(patch: Patch) -> None:
        sound = steps.set_learning_rate  # type: ignore[attr-defined]

        def set_rates(optimiser: Any, *arguments: Any) -> None:
            sound(optimiser, *arguments)
            for group in optimiser.param_groups:
                group["lr"] = change(group)

        patch.setattr(steps, "set_learning_rate", set_rates)

    return inject


def in_reported(change: Callable[[Tensor, Batch], Tensor]) -> Inject:
    """Probabilities of an evaluation."""

    def inject(patch: Patch) -> None:
        sound = Evaluator.reported

        def reported(self: Any, raw: Tensor, batch: Batch, number: int = 0) -> Tensor:
            return change(sound(self, raw, batch, number), batch)

        patch.setattr(Evaluator, "reported", reported)

    return inject


def each_group(keep: Callable[[dict[str, Any]], bool], **settings: Any) -> Inject:
    """In the settings of some groups of the optimiser."""

    def change(optimiser: Any) -> None:
        for group in optimiser.param_groups:
            if keep(group):
                group.update(settings)

    return in_optimiser(change)
