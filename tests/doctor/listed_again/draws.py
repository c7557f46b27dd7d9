"""Slips listed again in the drawing of positions: ranges, passes, seeds, symmetries and cursors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data import batches as batches_module
from hexsearch.data import positions as positions_module
from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.position_set import PositionSet, position_set
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.training import trial as trial_module
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import all_of
from tests.doctor.slips import ABSOLUTE, Slip, patched

Bits = NDArray[np.uint64]


def _without_ends(sound: Any) -> Any:
    def required(archive: GameArchive, *given: Any) -> PositionSet:
        found: PositionSet = sound(archive, *given)
        games, first = found.games.astype(np.int64), found.first.astype(np.int64)
        return position_set(games, first, first + found.counts - 2)

    return required


def _shares_exchanged(sound: Any) -> Any:
    def with_phases(positions: PositionSet, phases: Any) -> PositionSet:
        turned = tuple(replace(phase, shares=phase.shares[::-1]) for phase in phases)
        exchanged: PositionSet = sound(positions, turned)
        return exchanged

    return with_phases


def _in_the_first_pass(sound: Any) -> Any:
    return lambda self, index, passes=0, seed=0: sound(self, index, 0, seed)


def _noted_start(sound: Any) -> Any:
    def train_to(self: Trial, *given: Any) -> None:
        self._ahead.__dict__["_begun"] = self.positions_seen
        sound(self, *given)

    return train_to


def from_the_noted_start(sound: Any) -> Any:
    def batch(self: ReadAhead, cursor: int, size: int) -> Batch:
        built: Batch = sound(self, cursor - self.__dict__.get("_begun", 0), size)
        return built

    return batch


def _same_order(sound: Any) -> Any:
    return lambda seed, purpose: sound(0 if purpose == "order" else seed, purpose)


def _one_bit(sound: Any) -> Any:
    def bits(*keys: Any) -> Bits:
        drawn: Bits = sound(*keys)
        return (drawn & ~np.uint64(2)) | ((drawn & np.uint64(1)) << np.uint64(1))

    return bits


def _one_lost(sound: Any) -> Any:
    """A chunk that is used up is followed by one that begins a batch too late."""

    def batch(self: ReadAhead, cursor: int, size: int) -> Batch:
        lost, chunk = self.__dict__.get("_lost", 0), self._chunk
        if chunk is not None and cursor + lost > self._start + len(chunk) - size:
            lost += size
        self.__dict__["_lost"] = lost
        built: Batch = sound(self, cursor + lost, size)
        return built

    return batch


SLIPS: dict[str, Slip] = {
    "final positions are never drawn": Slip(
        patched(positions_module, "_required", _without_ends),
        "finished boards are never trained on: .*ends too early",
        cause="The range of plies ends one too early, so final positions are never trained on.",
    ),
    "shares of a phase exchanged": Slip(
        patched(positions_module, "_with_phases", _shares_exchanged),
        r"shares of the parts are exchanged, .*\(mix_all and 1 - mix_all",
        {
            "curriculum": {
                "name": "progressive",
                "phases": [{"name": "last_k", "k": 4, "until": 1280}, {"name": "all"}],
            }
        },
        cause="mix_all and 1 - mix_all are exchanged: each phase draws mostly from all positions.",
    ),
    "same plies in every pass": Slip(
        patched(PositionSet, "at", _in_the_first_pass),
        "every pass draws the same plies of each game",
        {"curriculum": {"name": "all", "positions_per_game": 2}},
        cause="positions_per_game draws the same plies of a game in every pass, so most positions "
        "are never seen.",
    ),
    "stream begins anew after each report": Slip(
        all_of(
            patched(Trial, "train_to", _noted_start),
            patched(ReadAhead, "batch", from_the_noted_start),
        ),
        "stream begins anew at each call of train_to",
        cause="The stream begins anew after each report, since the cursor is counted from the call "
        "of train_to.",
    ),
    "one order for all seeds": Slip(
        patched(trial_module, "derive_seed", _same_order),
        "seed of the trial does not reach the stream of batches",
        cause="The seed of the trial does not reach the stream, so trials of all seeds have the "
        "same order.",
    ),
    "one bit for turn and swap": Slip(
        patched(batches_module, "keyed_bits", _one_bit),
        "turned 0%, with colours exchanged 0%, .*one random bit decides on the half turn and on",
        ABSOLUTE,
        cause="One bit decides on both turn and swap, so only two of the four symmetries are "
        "applied.",
    ),
}
SLOW: dict[str, Slip] = {
    "a batch is lost with each chunk": Slip(
        patched(ReadAhead, "batch", _one_lost),
        r"batches are lost \(skipped\) where batches are built ahead in chunks",
        cause="When a chunk that was read ahead is used up, the next one begins one batch later, "
        "so a batch is lost each time.",
    ),
}
