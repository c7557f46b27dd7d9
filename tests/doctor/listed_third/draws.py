"""Slips listed a third time in the drawing of positions: ranges, phases, shares, cursors, turns."""

from __future__ import annotations

from typing import Any

import numpy as np

from hexsearch.data import batches as batches_module
from hexsearch.data import position_set as position_set_module
from hexsearch.data import positions as positions_module
from hexsearch.data.batches import TrainingStream
from hexsearch.data.position_set import CurriculumPhase, PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import all_of
from tests.doctor.listed_again.draws import from_the_noted_start
from tests.doctor.slips import ABSOLUTE, Slip, patched
from tests.doctor.source_edits import edited

_BATCH = 64
_PROGRESSIVE = {
    "name": "progressive",
    "phases": [
        {"name": "penultimate", "until": 128},
        {"name": "last_k", "k": 6, "until": 256},
        {"name": "all"},
    ],
}
_TWO_PARTS = {
    "name": "mixture",
    "parts": [{"name": "all", "share": 3.0}, {"name": "last_k", "k": 6, "share": 1.0}],
}
_THREE_PARTS = {
    "name": "mixture",
    "parts": [
        {"name": "all", "last_ply": 5, "share": 0.5},
        {"name": "penultimate", "share": 0.4},
        {"name": "final", "share": 0.1},
    ],
}
_TWO_OF_EACH_GAME = {"curriculum": {"name": "all", "positions_per_game": 2}}


def _without_the_last(sound: Any) -> Any:
    return lambda games, first, last, per_game=None: sound(games, first, last - 1, per_game)


def _two_equal_workers(sound: Any) -> Any:
    def order(size: int, seed: int, cursor: int, count: int) -> Any:
        numbers = np.arange(cursor, cursor + count, dtype=np.int64)
        drawn = numbers // (2 * _BATCH) * _BATCH + numbers % _BATCH
        first = int(drawn.min())
        return sound(size, seed, first, int(drawn.max()) - first + 1)[drawn - first]

    return order


def _one_symmetry(sound: Any) -> Any:
    return lambda seed, key, samples: sound(seed, key, samples // _BATCH)


def _begun_when_restored(sound: Any) -> Any:
    def load_state(self: Trial, state: dict[str, Any]) -> None:
        sound(self, state)
        self._ahead.__dict__["_begun"] = self.positions_seen

    return load_state


RANGES: dict[str, Slip] = {
    "last position of each game never drawn": Slip(
        patched(positions_module, "position_set", _without_the_last),
        "validation leaves out the last position of each game: a range of plies .*ends too early",
        cause="The range of plies excludes its last one, so the last position of each game is "
        "neither trained on nor evaluated.",
    ),
    "last_k of an odd range": Slip(
        edited(positions_module, "_bounds", {"rule.k + rule.k % 2": "rule.k"}),
        r"last_k with k = 3 draws from the last 3 plies, an odd number, and not from 4: .*winner",
        {"curriculum": {"name": "last_k", "k": 3}},
        cause="last_k is not rounded up to an even range, so the winner is to move twice as often "
        "as the loser and the side to move tells the winner.",
    ),
    "a stage with the first ply of the next": Slip(
        edited(
            positions_module,
            "_stage_bounds",
            {"bounds[max(numbers) + 1] - 1": "bounds[max(numbers) + 1]"},
        ),
        "positions are drawn that the curriculum leaves out: the range ends 1 ply too late",
        {"curriculum": {"name": "all", "stages": ["early"]}},
        cause="A curriculum of one stage also draws the first ply of the next stage (off by one).",
    ),
    "rotation not wrapped": Slip(
        edited(
            PositionSet,
            "at",
            {
                "ply = (low + inside.astype(np.int64) + rotation.astype(np.int64)) % counts": "ply "
                "= np.minimum(low + inside.astype(np.int64) + rotation.astype(np.int64), counts-1)"
            },
        ),
        "last position of each game is drawn far too often .*cut off at its end",
        _TWO_OF_EACH_GAME,
        cause="The rotated ply is clipped to the range instead of wrapped around, so the last "
        "position of a game is drawn about half of the time.",
    ),
}
PHASES: dict[str, Slip] = {
    "until as a duration": Slip(
        edited(
            positions_module,
            "curriculum_positions",
            {"start = rule.until or start": "start += rule.until or 0"},
        ),
        "phase 3 of the curriculum does not begin where it is configured: .*those of phase 2",
        {"curriculum": _PROGRESSIVE},
        cause="'until' of a phase is added to the end of the phase before it (a duration), so the "
        "third phase begins at 384 instead of 256 positions.",
    ),
    "mix_all reversed": Slip(
        edited(
            positions_module,
            "curriculum_positions",
            {
                "(chosen, 1.0 - mixed)": "(chosen, mixed)",
                "(everything, mixed)": "(everything, 1.0 - mixed)",
            },
        ),
        "shares of the parts are exchanged, .*positions are drawn 20% from penultimate, 80%",
        {"curriculum": _PROGRESSIVE},
        cause="Shares of the phase's rule and of all positions are exchanged: 80% of the samples "
        "come from all positions instead of 20%.",
    ),
    "read-ahead beyond a phase": Slip(
        edited(
            ReadAhead,
            "_left_of_phase",
            {"return min(starts) - cursor if starts else None": "return None"},
        ),
        "weight of training batches do not belong .*runs across the border of two phases",
        {"curriculum": {**_PROGRESSIVE, "stage_weights": {"early": 0.5, "late": 3.0}}},
        cause="A chunk of the read-ahead goes on beyond the end of a phase, so positions of later "
        "phases get the stage weights of the first one.",
    ),
    "shares of a mixture not relative": Slip(
        edited(CurriculumPhase, "draw", {"else share / share_left": "else share"}),
        "parts of the mixture are drawn by other shares: .*penultimate 20%.*a share of what the",
        {"curriculum": _THREE_PARTS},
        cause="The second part of a mixture takes its share of what the first part has left instead"
        " of its share of all samples: share is not divided by share_left.",
    ),
}
ORDER: dict[str, Slip] = {
    "cursor as number within a part": Slip(
        edited(
            CurriculumPhase,
            "draw",
            {"first = int(before[taken][0])": "first = cursor - self.start"},
        ),
        "depends on how the stream is cut into batches: .*not by its own number of samples",
        {"curriculum": _TWO_PARTS},
        cause="A part of a mixture begins each batch at the cursor of the whole stream and not at "
        "its own count, so positions are skipped and draws depend on how batches are cut.",
    ),
    "a mixture begins anew with every batch": Slip(
        edited(
            CurriculumPhase,
            "draw",
            {"np.arange(cursor - self.start, cursor - self.start + size,": "np.arange(size,"},
        ),
        "depends on how the stream is cut into batches: .*from the beginning of the batch",
        {
            "curriculum": {
                "name": "mixture",
                "parts": [{"name": "all", "share": 0.5}, {"name": "last_k", "share": 0.5}],
            }
        },
        cause="A mixture ignores the cursor: whenever batches are built, the same first positions "
        "are drawn again, so a small part of the positions is used.",
    ),
    "the pass is not handed on": Slip(
        edited(
            PositionSet,
            "draw_plain",
            {"self.at(index, passes, seed)": "self.at(index, seed=seed)"},
        ),
        "every pass draws the same plies of each game .*number of the pass does not enter",
        _TWO_OF_EACH_GAME,
        cause="The number of the pass is not handed on, so that every pass draws the same plies of "
        "a game instead of other ones.",
    ),
    "two workers with one seed": Slip(
        patched(position_set_module, "without_replacement", _two_equal_workers),
        "each batch comes twice, one after the other .*as many positions are never seen",
        cause="Two workers draw the same stream, so every batch of 64 positions comes twice and "
        "half of the positions are not seen in a pass.",
    ),
    "positions counted twice": Slip(
        edited(Trial, "train_on", {"+= len(batch)": "+= 2 * len(batch)"}),
        "cursor.* grows by 128 with each batch of 64, so positions are counted 2 times",
        cause="positions_seen advances by twice the size of a batch, so every second batch of the "
        "stream is skipped and training ends after half of its steps.",
    ),
    "stream from the start after resuming": Slip(
        all_of(
            patched(Trial, "load_state", _begun_when_restored),
            patched(ReadAhead, "batch", from_the_noted_start),
        ),
        "resumed training takes other steps .*another batch, the first one: the stream begins anew",
        cause="After load_state the stream of positions begins at 0 again, while positions_seen "
        "and the schedule go on.",
    ),
    "one symmetry for a whole batch": Slip(
        patched(batches_module, "keyed_bits", _one_symmetry),
        "augmentation draws one symmetry for a whole batch and not one for each position",
        ABSOLUTE,
        cause="The random symmetry is drawn once for a batch of 64 and not for each position.",
    ),
    "augment false still reflects": Slip(
        edited(TrainingStream, "batch", {"swap = np.zeros_like(swap)": "swap = swap.copy()"}),
        r"augmentation is switched off .*still turned or reflected .*with colours exchanged",
        {**ABSOLUTE, "augment": False},
        cause="With augment: false, positions are still reflected at random in the absolute "
        "perspective.",
    ),
}
SLIPS: dict[str, Slip] = {**RANGES, **PHASES, **ORDER}
