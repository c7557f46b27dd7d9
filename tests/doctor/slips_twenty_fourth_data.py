"""Slips in the games, the draws, the planes and the targets, of the twenty-fourth set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 236
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(34).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import position_set as position_set_module
from hexsearch.data import positions as positions_module
from hexsearch.data.archive import GameArchive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.symmetry import symmetry_cells
from tests.doctor.listed.places import HISTORY
from tests.doctor.slips import ABSOLUTE, Slip, in_planes, nothing, patched
from tests.doctor.slips_twenty_third_data import owners_by_colour

_BATCH = 64


def _second_file_exchanged(archive: GameArchive) -> GameArchive:
    """The last quarter of the games comes from a second file, whose winners are exchanged."""
    second = np.arange(len(archive)) >= len(archive) * 3 // 4
    return replace(
        archive,
        winners=np.where(second, -archive.winners, archive.winners).astype(np.int8),
        files=second.astype(np.uint32),
        sources=("club.trmph", "server.trmph"),
    )


def _mover_inverted(planes: Tensor) -> Tensor:
    planes[:, 2] = 1.0 - planes[:, 2]
    return planes


def _until_in_steps(sound: Any) -> Any:
    def with_phases(chosen: Any, phases: Any) -> Any:
        return sound(chosen, tuple(replace(each, start=each.start * _BATCH) for each in phases))

    return with_phases


def _same_order(sound: Any) -> Any:
    def draw(size: int, seed: int, cursor: int, count: int) -> Any:
        return sound(size, seed, 0, size)[np.arange(cursor, cursor + count) % size]

    return draw


def _validation_is_training(sound: Any) -> Any:
    return lambda self, split: sound(self, "train" if split == "validation" else split)


def _move_under_drawn_symmetry(sound: Any) -> Any:
    """The move is turned by the drawn symmetry, before the side to move has decided `swap`."""

    def build(self: Any, games: Any, plies: Any, turn: Any, swap: Any, *others: Any) -> Batch:
        batch: Batch = sound(self, games, plies, turn, swap, *others)
        places = self.archive.offsets[games].astype(np.int64)
        played = self.archive.moves[places + np.where(batch.has_move.numpy(), plies, 0)]
        shown = symmetry_cells(self.encoder.size)[turn + 2 * swap.astype(np.int64), played]
        return replace(batch, policy_target=torch.from_numpy(shown) * batch.has_move)

    return build


def _ages(_: Any) -> Any:
    return lambda self: np.arange(self.size**2, dtype=np.float32)


SLIPS: dict[str, Slip] = {
    "winners of one file exchanged": Slip(
        nothing,
        "winner|label|replay|one file|source|contradict|connects",
        games=_second_file_exchanged,
        cause="The last quarter of the games, which come from a second source file, have the "
        "winner exchanged (Red for Blue), so their labels are wrong.",
    ),
    "side-to-move plane inverted": Slip(
        in_planes(_mover_inverted),
        "side.to.move|third plane|plane 2|mover.*plane|invert|turn plane",
        ABSOLUTE,
        cause="In training batches the side-to-move plane is 1 where Blue is to move and 0 where "
        "Red is; evaluations show it the right way round.",
    ),
    "phases counted in steps": Slip(
        patched(positions_module, "_with_phases", _until_in_steps),
        "phase|until|curriculum|counted in steps|progressive|last_k",
        {
            "curriculum": {
                "name": "progressive",
                "phases": [{"name": "last_k", "k": 6, "until": 256}, {"name": "all"}],
            }
        },
        cause="`until` of a progressive curriculum is taken as steps, so phases begin 64 (the "
        "batch size) times too late: the first phase goes on.",
    ),
    "same order in every pass": Slip(
        patched(position_set_module, "without_replacement", _same_order),
        r"\border\b|epoch|shuffl|repeat|(each|every) pass|passes",
        {"curriculum": {"name": "all", "first_ply": 8}},
        cause="Every pass over the training positions draws them in the same order; only the "
        "first pass is shuffled.",
    ),
    "ownership in absolute colours": Slip(
        patched(TargetBuilder, "build", owners_by_colour),
        "ownership|auxiliary|colour|perspective|symmetr",
        {"auxiliary": {"ownership": 0.5}},
        cause="Ownership targets name the colour of the game (Blue 1, Red 2) although the planes "
        "of reflected positions have their colours exchanged.",
    ),
    "validation games are training games": Slip(
        patched(Dataset, "games", _validation_is_training),
        "validation.*train|train.*validation|overlap|leak|split|same games",
        cause="The validation split returns the training games, so networks are judged on the "
        "games that they are trained on.",
    ),
    "move under another symmetry": Slip(
        patched(BatchBuilder, "build", _move_under_drawn_symmetry),
        r"\bmoves?\b|policy target|symmetr|occupied|reflect",
        cause="The policy target is moved by the randomly drawn symmetry, while the planes "
        "are reflected by the side to move; half of the targets are mirrored.",
    ),
    "ages in the history plane": Slip(
        patched(PositionEncoder, "recency", _ages),
        r"history|recen|\bages?\b|last plane",
        HISTORY,
        cause="The history plane holds the age of each stone in plies (0 for the last one, up to "
        "24) instead of a number that falls from 1, so the cut-off of the history removes the "
        "latest stones.",
    ),
}
