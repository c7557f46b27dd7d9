"""Slips in the games, the draws, the planes, the targets and the weights, of the twenty-fifth set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 226
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(36).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data import auxiliary as auxiliary_module
from hexsearch.data import batches as batches_module
from hexsearch.data import encoder as encoder_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batches import TrainingStream
from hexsearch.data.position_set import CurriculumPhase
from hexsearch.game.record import Game
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells
from tests.doctor.listed.places import all_of
from tests.doctor.slips import ABSOLUTE, Slip, in_encoder, in_labels, nothing, patched
from tests.doctor.slips_ninth_games import transposed
from tests.doctor.slips_twenty_third_data import weights_in_order
from tests.doctor.source_edits import edited

WEIGHTED = {"early": 0.25, "middle": 1.0, "late": 2.0}


def _mover_not_exchanged(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    planes = sound(self, cells, plies, symmetries, finished)
    if self.perspective == "absolute":
        mover = np.where(finished, np.float32(0.5), (plies & 1).astype(np.float32))
        planes[:, 2] = mover[:, None, None]
    return planes


def _turn_bit_always_0(sound: Any) -> Any:
    return lambda *keys: sound(*keys) & ~np.uint64(1)


def _flipped_cells(_: Any) -> Any:
    def cells(size: int) -> Any:
        table = symmetry_cells(size).copy()
        row, column = np.divmod(np.arange(size * size), size)
        table[HALF_TURN] = (size - 1 - row) * size + column
        return table

    return cells


_FLIPPED_ROWS = all_of(
    *(
        patched(module, "symmetry_cells", _flipped_cells)
        for module in (encoder_module, batches_module, auxiliary_module)
    ),
    patched(encoder_module, "_targets", lambda sound: sound.__wrapped__),  # which is not kept
)


def with_axes_exchanged(game: Game) -> Game:
    """Rows and columns are exchanged, colours and the winner are kept."""
    return replace(game, moves=tuple(transposed(cell, game.size) for cell in game.moves))


def _all_transposed(archive: GameArchive) -> GameArchive:
    return build_archive(with_axes_exchanged(archive.game(index)) for index in range(len(archive)))


def _moves_left_from_the_start(sound: Any) -> Any:
    def build(self: Any, wanted: Any, games: Any) -> dict[str, Tensor]:
        targets: dict[str, Tensor] = sound(self, wanted, games)
        if "moves_left" in targets:
            targets["moves_left"] = torch.where(games.finished, (games.plies + 1) // 2, -1)
        return targets

    return build


def _weights_of_the_first_phase(_: Any) -> Any:
    def weights(self: Any, cursor: int) -> Any:
        if not self.curriculum.stage_weights:
            return None
        return next(iter(self._weights_by_phase.values()))

    return weights


SLIPS: dict[str, Slip] = {
    "mover plane not exchanged under reflections": Slip(
        in_encoder(_mover_not_exchanged),
        "to move|mover|third plane|plane 2|side.to.move|reflect|symmetr",
        ABSOLUTE,
        cause="The plane of the side to move (absolute perspective) shows the parity of the ply as "
        "it was played. Under a reflection, which exchanges the colours, it is not exchanged, so "
        "reflected training positions show the wrong side to move.",
    ),
    "stage weights of the first phase for ever": Slip(
        patched(TrainingStream, "_weights", _weights_of_the_first_phase),
        "weight|phase|stage",
        {
            "curriculum": {
                "name": "progressive",
                "phases": [{"stages": ["late"], "until": 192}, {"name": "all"}],
                "stage_weights": WEIGHTED,
            }
        },
        cause="The weights of the stages in the value loss are scaled for the first phase of a "
        "progressive curriculum and stay the same in the later phases, so their mean is no longer "
        "1 there.",
    ),
    "stage weights in alphabetical order": Slip(
        patched(batches_module, "stage_weights", weights_in_order(sorted)),
        "weight|stage|order|middle|late",
        {"curriculum": {"name": "all", "stage_weights": WEIGHTED}},
        cause="The weights of the stages are listed in alphabetical order (early, late, middle) "
        "but indexed by stage number, so that middle and late have each other's weight in the "
        "value loss.",
    ),
    "turn bit always 0": Slip(
        patched(batches_module, "keyed_bits", _turn_bit_always_0),
        "augment|turn|symmetr|half",
        cause="The random bit that turns a training position by a half turn is always 0, so "
        "augment: true never turns a position.",
    ),
    "one seed for all parts of a mixture": Slip(
        edited(
            CurriculumPhase, "draw", {"keyed_bits(seed, number, part)": "keyed_bits(seed, number)"}
        ),
        "seed|same games?|correlat|parts?\\b|mixture|independent|twice|pairs?",
        {
            "curriculum": {
                "name": "mixture",
                "parts": [
                    {"stages": ["early"], "positions_per_game": 1},
                    {"stages": ["late"], "positions_per_game": 1},
                ],
            }
        },
        cause="All parts of a mixture draw with the same seed. Parts with equally many slots then "
        "go through the games in the same order, so every game is twice in a batch and "
        "a batch holds half as many different games.",
    ),
    "moves left counted from the start": Slip(
        patched(TargetBuilder, "build", _moves_left_from_the_start),
        "moves.left|to the end|start|ply|plies|auxiliary",
        {"auxiliary": {"moves_left": 0.5}},
        cause="The target of the moves-left head is the number of pairs of plies since the start "
        "of the game and not to its end.",
    ),
    "label of odd plies negated once more": Slip(
        in_labels(lambda b: torch.where(b.ply % 2 == 1, 1 - b.outcome, b.outcome)),
        "label|outcome|odd|parity|red to move|side to move|sign|perspective|invert",
        cause="In the mover perspective, the training labels of positions with an odd ply (Red to "
        "move) are negated once more, so they say whether Blue won and not whether the side "
        "to move won.",
    ),
    "half turn flips the rows only": Slip(
        _FLIPPED_ROWS,
        "half turn|turn|flip|mirror|symmetr|augment|neighbour|adjacen|connect",
        cause="The half turn of the augmentation reverses the rows and not the columns, in "
        "planes and policy targets. This is no symmetry of Hex: turned training positions show "
        "boards with other neighbours, so that chains are broken.",
    ),
    "board shifted within the ring": Slip(
        edited(encoder_module, "_targets", {"(side - size) // 2": "side - size"}),
        "ring|margin|shift|edge|board|offset|plane|overlap|cell",
        cause="The margin of the edge ring is not halved: stones are drawn one row lower and one "
        "column further right, so that the last row and column of the board lie on the ring and "
        "the first inner ones are always empty.",
    ),
    "rows and columns exchanged at import": Slip(
        nothing,
        "transpos|row|column|orient|replay|winner|edges|connect|mirror|exchanged",
        games=_all_transposed,
        cause="All cells of the games are transposed at import, and colours and winners are kept. "
        "So Blue connects left to right, against the convention, edge ring and symmetries.",
    ),
}
