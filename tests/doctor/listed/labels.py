"""Listed slips in labels and in what they must fit: sides, games, symmetries and smoothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import batches as batches_module
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.order import keyed_bits
from hexsearch.game.board import RED
from hexsearch.model.readout import Readout, SmoothedReadout
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import all_of, in_build
from tests.doctor.slips import ABSOLUTE, Inject, Slip, in_batches, patched
from tests.doctor.slips_twentieth_training import Wrapped, with_readouts


def _by_winners_of(batch: Batch, builder: BatchBuilder, games: Any) -> Batch:
    """The batch with the labels that other games have."""
    red_won = torch.from_numpy(builder.archive.winners[games] == RED)
    return replace(batch, red_won=red_won.float(), outcome=(red_won ^ batch.complement).float())


def _by_parity_at_the_end(batch: Batch, _: BatchBuilder) -> Batch:
    """In the mover perspective; Red would be to move after an odd number of moves."""
    of_side_to_move = (batch.red_won == batch.ply % 2).float()
    return replace(batch, outcome=torch.where(batch.final, of_side_to_move, batch.outcome))


def _winners_sorted(batch: Batch, builder: BatchBuilder) -> Batch:
    return _by_winners_of(batch, builder, np.sort(batch.game.numpy()))


def _next_game_at_the_end(batch: Batch, builder: BatchBuilder) -> Batch:
    following = (batch.game + 1).clamp(max=len(builder.archive) - 1)
    games = torch.where(batch.to_end == 0, following, batch.game)
    return _by_winners_of(batch, builder, games.numpy())


def _one_symmetry(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Planes are shown under the symmetry of the first sample, targets under their own."""
    key, first = batches_module._TURN_AND_SWAP, np.array([cursor])
    bits = int(keyed_bits(stream.seed, key, first)[0])
    turn, swap = (np.full(len(batch), bool(bits & bit)) for bit in (1, 2))
    shown = stream.builder.build(batch.game.numpy(), batch.ply.numpy(), turn, swap)
    return replace(batch, planes=shown.planes)


def _smoothed_to_zero(_: Any) -> Any:
    return lambda self, raw, target: self.inner.loss(raw, target * (1.0 - self.smoothing))


class _OwnAnswer(Wrapped):
    """Its targets are moved towards the network's own answers."""

    def __init__(self, inner: Readout, share: float) -> None:
        super().__init__(inner)
        self.share = share

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.inner.loss(raw, target.lerp(self.win_prob(raw).detach(), self.share))


def _own_answers() -> Inject:
    """The share of the own answers grows with the progress of the training."""
    progress = [0.0]

    def make(sound: Any) -> Any:
        def step(self: Stepper, batch: Batch, positions_seen: int, max_positions: int) -> None:
            progress[0] = min(positions_seen / max_positions, 1.0)
            sound(self, batch, positions_seen, max_positions)

        return step

    return all_of(
        patched(Stepper, "step", make),
        with_readouts(lambda readout: _OwnAnswer(readout, progress[0])),
    )


SLIPS: dict[str, Slip] = {
    "final position labelled by the parity of its ply": Slip(
        in_build(_by_parity_at_the_end),
        r"side that would be to move \(by the parity of the ply\).*, on finished boards$",
        cause="The outcome of a final position is that of the side which the parity of its ply "
        "names, and not of the side from which it is shown.",
    ),
    "winners in sorted order": Slip(
        in_build(_winners_sorted),
        "labels are shuffled within each group .*a label is that of another position",
        cause="The winners of a batch are in the order of sorted games and its planes are not, so "
        "positions have the results of other games.",
    ),
    "last position labelled by the next game": Slip(
        in_build(_next_game_at_the_end),
        "the label is that of the next game in the archive, on finished boards$",
        cause="The last position of each game has the winner of the next game in the archive.",
    ),
    "one symmetry for the planes of a batch": Slip(
        in_batches(_one_symmetry),
        "boards are shown under other symmetries than their labels and moves: .*the whole batch",
        ABSOLUTE,
        cause="All planes of a batch are shown under the symmetry of its first sample, but targets "
        "under their own.",
    ),
    "label smoothing towards 0": Slip(
        patched(SmoothedReadout, "loss", _smoothed_to_zero),
        r"label smoothing moves targets towards 0 and not towards 0\.5",
        {"readout": {"name": "bce", "label_smoothing": 0.2}},
        cause="Label smoothing moves targets towards 0 and not towards 0.5.",
    ),
    "own answers in the targets": Slip(
        _own_answers(),
        "the value loss is mixed with the network's own answer .*its share is 0% in the first step",
        cause="The value target is mixed with the network's own answer, with a share that grows "
        "to 1.",
    ),
}
