"""Slips in the games, the draws, the planes, the moves and the weights, of the twenty-sixth set.

The set was drawn as the twentieth was, by another author, who had read no check either: from 248
mistakes that seemed likely, with a weight each, `numpy.random.default_rng(38).choice` drew 24. The
causes, and the words that name them, were written before any run of a check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data import batches as batches_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.order import keyed_bits, without_replacement
from hexsearch.data.position_set import PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.data.stages import STAGE_NAMES
from hexsearch.game.board import RED
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_batches, in_encoder, nothing, patched
from tests.doctor.slips_fourth_data import only_moves_of_the_loser
from tests.doctor.slips_of_data import edges_exchanged


def _without_first_moves(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    return build_archive(replace(game, moves=game.moves[1:], search_values=None) for game in games)


def _weights_as_configured(_: Any) -> Any:
    def weights(phase: Any, wanted: Any, size: int, stages: Any) -> Any:
        return np.array([wanted.get(name, 1.0) for name in STAGE_NAMES], dtype=np.float32)

    return weights


def _cursor_in_steps(patch: Patch) -> None:
    ahead = ReadAhead.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        return ahead(self, cursor // size, size)

    def next_batch(self: Any, size: int | None = None) -> Batch:
        size = size or self.config.batch_size
        built: Batch = self.stream.batch(self.positions_seen // size, size)
        return built

    patch.setattr(ReadAhead, "batch", batch)
    patch.setattr(Trial, "next_batch", next_batch)


def _moves_not_reflected(sound: Any) -> Any:
    def build(self: Any, *arguments: Any, **more: Any) -> Batch:
        batch: Batch = sound(self, *arguments, **more)
        back = symmetry_cells(self.encoder.size)[LONG_DIAGONAL].copy()
        plain = torch.from_numpy(back).to(batch.policy_target.device)[batch.policy_target]
        wrong = ~batch.complement & batch.has_move  # Red is to move
        return replace(batch, policy_target=torch.where(wrong, plain, batch.policy_target))

    return build


def _mostly_blue(archive: GameArchive) -> GameArchive:
    """Two of three games that Red won are left out."""
    red = np.cumsum(archive.winners == RED)
    return build_archive(
        archive.game(index)
        for index in range(len(archive))
        if archive.winners[index] != RED or red[index] % 3 == 0
    )


def _frequent_winner_heavier(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    share = float((stream.builder.archive.winners == RED).mean())
    factor = torch.where(batch.red_won == 1, share, 1 - share) / (share**2 + (1 - share) ** 2)
    return replace(batch, weight=batch.weight * factor)


def _standardised(sound: Any, self: Any, *arguments: Any) -> Any:
    planes = sound(self, *arguments)
    if not planes.size:
        return planes
    mean = planes.mean(axis=(0, 2, 3), keepdims=True)
    spread = planes.std(axis=(0, 2, 3), keepdims=True)
    return ((planes - mean) / (spread + 1e-6)).astype(np.float32)


def _game_then_ply(_: Any) -> Any:
    def draw_plain(self: Any, seed: int, cursor: int, size: int) -> Any:
        row = without_replacement(len(self.games), seed, cursor, size)
        samples = np.arange(cursor, cursor + size, dtype=np.int64)
        counts = self.counts[row].astype(np.int64)
        ply = (keyed_bits(seed, 11, samples) % counts.astype(np.uint64)).astype(np.int64)
        return self.games[row].astype(np.int64), self.first[row].astype(np.int64) + ply

    return draw_plain


SLIPS: dict[str, Slip] = {
    "first move of every game lost": Slip(
        nothing,
        "first move|colour|winner|connect|replay|finished|exchanged|lost|missing|edges",
        games=_without_first_moves,
        cause="Every game has lost its first move on import. So the stones of both colours are "
        "exchanged from there on, and the winner does not agree with the stones of the board.",
    ),
    "stage weights not normalised": Slip(
        patched(batches_module, "stage_weights", _weights_as_configured),
        "stage|mean of 1|mean is|normali|weights?.*(mean|scale)|larger|too large",
        {"curriculum": {"name": "all", "stage_weights": {"late": 5.0}}},
        cause="Stage weights are used as configured and not scaled to a mean of 1 over the "
        "samples: the value loss is several times too large beside the policy loss.",
    ),
    "cursor advances by 1 for each batch": Slip(
        _cursor_in_steps,
        "cursor|overlap|\\bagain\\b|repeat|same positions|advance|duplicate|consecutive batches|"
        "drawn (twice|often|many)",
        cause="The cursor of the training stream advances by 1 for each batch and not by the batch "
        "size: a batch repeats all but one position of the batch before.",
    ),
    "moves of Red not reflected": Slip(
        patched(BatchBuilder, "build", _moves_not_reflected),
        "moves?\\b.*(reflect|mirror|symmetr|cell|occupied|played|transpos|another|other)|policy "
        "target|(reflect|mirror|symmetr|occupied|transpos).*moves?\\b",
        cause="Where Red is to move, planes are reflected but the cell of the move that the policy "
        "is taught is not (it is only turned by the half turn).",
    ),
    "policy taught on moves of losers": Slip(
        in_batches(only_moves_of_the_loser),
        "loser|losing|winner|winning|mask|has_move|(some|half|part|certain|many) (of the )?(moves|"
        "positions)|left out|moves of",
        cause="The mask that should keep the winner's moves for the policy loss is inverted: the "
        "policy is trained on positions whose mover loses the game only.",
    ),
    "frequent winner heavier": Slip(
        in_batches(_frequent_winner_heavier),
        "weight|class|balanc|frequen",
        games=_mostly_blue,
        cause="Class weights against the imbalance of winners are the share of the winner's colour "
        "and not its inverse: games of the more frequent winner weigh more in the value loss.",
    ),
    "planes standardised by batch": Slip(
        in_encoder(_standardised),
        "standardi|normali|mean|rest of the batch|in a batch|other batch|batch.*alone|scale|0 (and"
        "|or) 1|planes",
        cause="Planes are standardised with mean and standard deviation of the batch that is "
        "encoded: a position has other planes in another batch, and stones are not 0 and 1.",
    ),
    "edges of the other colour": Slip(
        edges_exchanged,
        "\\bring|edges?\\b|border",
        cause="The edge ring is exchanged between the planes: top and bottom are drawn as stones "
        "of the colour that connects left and right, and the other way round.",
    ),
    "a game first, then a ply": Slip(
        patched(PositionSet, "draw_plain", _game_then_ply),
        "short|length|uniform|over-?represent|more often|unequal|replacement|twice|repeat|not (all"
        "|every)|never drawn|each position once|share of",
        cause="A sample is a game and then one of its plies: positions of short games are drawn "
        "more often than those of long ones, and a pass does not cover every position once.",
    ),
}
