"""What a slip is, and the places of a pipeline where one can be injected.

A slip is a mistake that researchers make. Those of `slips_of_data`, `slips_of_training` and
`slips_of_scripts` were written down before their author had read the doctor's hypotheses. A seed
put half of them aside; these were run for the first time when the checks were complete.
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
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.symmetry import symmetry_cells
from hexsearch.model import many_heads
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.step import Stepper

Patch = pytest.MonkeyPatch
Inject = Callable[[Patch], object]
ABSOLUTE = {"encoder": {"perspective": "absolute"}}


class Named:
    """A fault with the words (a regular expression) that name it."""

    named_by: str

    def is_named_in(self, cause: str) -> bool:
        """Whether a finding's cause holds one of the words."""
        return re.search(self.named_by, cause, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Slip(Named):
    """One mistake in a pipeline.

    Attributes:
        inject: makes the mistake.
        named_by: as in Named.
        settings: settings of the configuration.
        games: what happens to the games.
        cause: the mistake in words, for a judgement by reading.
        report: the public report from which it was taken, as owner/repository#number.
    """

    inject: Inject
    named_by: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    games: Callable[[GameArchive], GameArchive] = lambda archive: archive
    cause: str = ""
    report: str = ""


def held_out(names: list[str], seed: int) -> list[str]:
    """The half of the names that a seed puts aside, in alphabetical order."""
    order = np.random.default_rng(seed).permutation(len(names))
    return sorted(names[index] for index in order[: len(names) // 2])


def nothing(patch: Patch) -> None:
    """Inject nothing: the slip is in the settings or in the games."""


def patched(target: Any, name: str, make: Callable[[Any], Any]) -> Inject:
    """Replace something by what `make` makes of it."""
    return lambda patch: patch.setattr(target, name, make(getattr(target, name)))


def in_batches(change: Callable[[Batch, TrainingStream, int], Batch]) -> Inject:
    """Change training batches after they are built; `change` gets their stream and cursor."""

    def inject(patch: Patch) -> None:
        sound = TrainingStream.batch

        def batch(self: Any, cursor: int, size: int) -> Batch:
            return change(sound(self, cursor, size), self, cursor)

        patch.setattr(TrainingStream, "batch", batch)

    return inject


def in_labels(change: Callable[[Batch], Tensor]) -> Inject:
    """Other labels in training batches."""
    return in_batches(lambda batch, _, __: replace(batch, outcome=change(batch).float()))


def in_planes(change: Callable[[Tensor], Tensor]) -> Inject:
    """Other planes in training batches."""
    return in_batches(
        lambda batch, _, __: replace(batch, planes=change(batch.planes.clone()).contiguous())
    )


def in_moves(plies_later: int) -> Inject:
    """Train the policy on the move of another ply."""

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
    """Cells `wanted` under the symmetry that moves `played` to the policy target."""
    table = torch.from_numpy(np.array(symmetry_cells(size), dtype=np.int64))
    cells = batch.policy_target.clone()
    swapped = ~batch.complement if batch.planes.shape[1] == 2 else batch.complement
    for number in range(4):
        fits = batch.has_move & (table[number][played] == batch.policy_target)
        fits &= swapped == (number >= 2)
        cells = torch.where(fits, table[number][wanted], cells)
    return cells


def in_encoder(change: Callable[..., Any]) -> Inject:
    """Change the encoder, in training and in evaluation; `change` gets the sound one first."""

    def inject(patch: Patch) -> None:
        sound = PositionEncoder.encode

        def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
            return change(sound, self, cells, plies, symmetries, finished)

        patch.setattr(PositionEncoder, "encode", encode)

    return inject


class Around(nn.Module):
    """A module whose input or output is changed."""

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
    """Change the network after it is built."""

    def inject(patch: Patch) -> None:
        sound = many_heads.build_network  # type: ignore[attr-defined]

        def build(*arguments: Any) -> Network:
            network: Network = sound(*arguments)
            change(network)
            return network

        patch.setattr(many_heads, "build_network", build)

    return inject


def in_part(part: str, **around: Callable[[Tensor], Tensor]) -> Inject:
    """Change the input (`before`) or the output (`after`) of a part of the network."""
    return in_network(lambda n: setattr(n, part, Around(getattr(n, part), **around)))


def in_losses(change: Callable[[Any, Batch, Any], Any]) -> Inject:
    """Change the losses of a step; `change` gets the losses, the batch and the stepper."""

    def inject(patch: Patch) -> None:
        sound = Stepper._forward

        def forward(self: Any, batch: Batch, watched: bool) -> Any:
            losses, junction = sound(self, batch, watched)
            return change(losses, batch, self), junction

        patch.setattr(Stepper, "_forward", forward)

    return inject


def in_value_loss(change: Callable[[Tensor, Batch], Tensor]) -> Inject:
    """Change the value loss of each position."""
    return in_losses(lambda m, batch, _: m._replace(values=(change(m.value, batch),)))


def in_optimiser(change: Callable[[Any], None]) -> Inject:
    """Change the optimiser after it is built."""

    def inject(patch: Patch) -> None:
        sound = steps.build_optimiser  # type: ignore[attr-defined]

        def build(*arguments: Any) -> Any:
            optimiser = sound(*arguments)
            change(optimiser)
            return optimiser

        patch.setattr(steps, "build_optimiser", build)

    return inject


def before_clipping(change: Callable[[Any], object]) -> Inject:
    """Do something to the network, or to its gradients, before gradients are clipped."""

    def inject(patch: Patch) -> None:
        sound = steps.clip_gradients  # type: ignore[attr-defined]

        def clip(network: Any, limit: float) -> Any:
            change(network)
            return sound(network, limit)

        patch.setattr(steps, "clip_gradients", clip)

    return inject


def after_each_step(change: Callable[[Any, dict[str, Tensor]], None]) -> Inject:
    """Do something after each step; `change` gets the stepper and the weights before the step."""

    def inject(patch: Patch) -> None:
        sound = Stepper.step

        def step_of(self: Any, *arguments: Any) -> None:
            before = {n: p.detach().clone() for n, p in self.network.named_parameters()}
            sound(self, *arguments)
            with torch.no_grad():
                change(self, before)

        patch.setattr(Stepper, "step", step_of)

    return inject


def in_rates(change: Callable[[dict[str, Any]], float]) -> Inject:
    """Change the learning rate of each group after the schedule has set it."""

    def inject(patch: Patch) -> None:
        sound = steps.set_learning_rate  # type: ignore[attr-defined]

        def set_rates(optimiser: Any, *arguments: Any) -> None:
            sound(optimiser, *arguments)
            for group in optimiser.param_groups:
                group["lr"] = change(group)

        patch.setattr(steps, "set_learning_rate", set_rates)

    return inject


def in_reported(change: Callable[[Tensor, Batch], Tensor]) -> Inject:
    """Change the answers of an evaluation."""

    def inject(patch: Patch) -> None:
        sound = Evaluator.reported

        def reported(self: Any, raw: Tensor, batch: Batch, number: int = 0) -> Tensor:
            return change(sound(self, raw, batch, number), batch)

        patch.setattr(Evaluator, "reported", reported)

    return inject


def each_group(keep: Callable[[dict[str, Any]], bool], **settings: Any) -> Inject:
    """Set something in those groups of the optimiser for which `keep` is true."""

    def change(optimiser: Any) -> None:
        for group in optimiser.param_groups:
            if keep(group):
                group.update(settings)

    return in_optimiser(change)
