"""Slips listed a third time in games, planes, labels, policy targets, auxiliary targets, stages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hexsearch.data import auxiliary as auxiliary_module
from hexsearch.data import encoder as encoder_module
from hexsearch.data import stages as stages_module
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.game.board import RED
from tests.doctor.slips import Slip, in_batches, nothing
from tests.doctor.slips_twenty_fifth_data import with_axes_exchanged
from tests.doctor.source_edits import edited

_CHAIN = {"auxiliary": {"winning_chain": 0.5}}
_OWNERSHIP = {"auxiliary": {"ownership": 0.5}}


def _third_transposed(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    return build_archive(
        game if index % 3 else with_axes_exchanged(game) for index, game in enumerate(games)
    )


def _label_by_row(batch: Batch, stream: TrainingStream, _: int) -> Batch:
    games, winners = np.unique(stream.positions.games), stream.builder.archive.winners
    row = np.searchsorted(games, batch.game.numpy())
    wrong = torch.from_numpy((winners[row] == RED) != (winners[batch.game.numpy()] == RED))
    return replace(batch, outcome=torch.where(wrong, 1 - batch.outcome, batch.outcome))


SLIPS: dict[str, Slip] = {
    "a third of the games transposed": Slip(
        nothing,
        "games are read wrongly in part of the games: rows and columns are exchanged",
        games=_third_transposed,
        cause="In a third of the games (another source) rows and columns are exchanged, but "
        "colours and winner are not, so the winner does not join his edges.",
    ),
    "rows of the board's length inside the ring": Slip(
        edited(
            encoder_module,
            "_targets",
            {"(row + margin) * side + column": "(row + margin) * size + column"},
        ),
        "place of a stone is computed with rows of 5 cells, and the planes have rows of 7",
        cause="With an edge ring, the place of a stone is computed with rows of N instead of N + 2 "
        "cells, so stones are sheared and overwrite the ring.",
    ),
    "winner looked up by row": Slip(
        in_batches(_label_by_row),
        "labels are those of other games: .*number of each game among the training games",
        cause="The winner of a training position is looked up with the number of its game among "
        "the training games instead of its index in the archive: labels of other games.",
    ),
    "the winning move is not taught": Slip(
        edited(
            BatchBuilder, "build", {"has_move = plies < lengths": "has_move = plies < lengths - 1"}
        ),
        "moves that were played are masked: .*last move of each game.*has_move is off by 1",
        cause="The last move of every game is treated as if there were no next move (off by one), "
        "so the policy is never taught it.",
    ),
    "stages begin one ply late": Slip(
        edited(
            stages_module,
            "stage_of",
            {"stones >= middle": "stones > middle", "stones >= late": "stones > late"},
        ),
        "stages begin 1 ply late .*weights and figures by stage are those of other positions",
        cause="Middle and late begin one ply too late (> instead of >=), so positions at the "
        "borders have the stage before in reports and in stage weights.",
    ),
    "auxiliary targets not sliced": Slip(
        edited(
            Batch,
            "rows",
            {
                "{name: each[index] for name, each in self.auxiliary.items()}": "{name: each"
                '[: len(columns["game"])] for name, each in self.auxiliary.items()}'
            },
        ),
        "targets of auxiliary head ownership .*those of the first rows of what was built ahead",
        _OWNERSHIP,
        cause="A piece of a batch gets the auxiliary targets of the first positions of the batch "
        "(of the read-ahead chunk), so they belong to other positions than its planes.",
    ),
    "ownership without the last move": Slip(
        edited(
            TargetBuilder,
            "build",
            {"games.plies, games.lengths)": "games.plies, games.lengths - 1)"},
        ),
        "ownership: its targets show the board 1 ply too early, not at the end of the game",
        _OWNERSHIP,
        cause="The ownership target is the board before the last move of the game (off by one).",
    ),
    "future stones begin after the next move": Slip(
        edited(
            TargetBuilder,
            "_future",
            {"games, games.plies, until": "games, games.plies + 1, until"},
        ),
        "future_stones: the stones that are ignored are those 1 ply too late: the next move itself",
        {"auxiliary": {"future_stones": {"weight": 0.5, "plies": 4}}},
        cause="The cell of the next move is ignored in the target of future_stones (off by one).",
    ),
    "winning chains are not mirrored back": Slip(
        edited(TargetBuilder, "_chains", {"[games.symmetries ^ mirrored]": "[games.symmetries]"}),
        "winning_chain: the chains of games that Red won are mirrored at the diagonal",
        _CHAIN,
        cause="The winning chains of games that Red won are mirrored for the search of the chain "
        "and not mirrored back.",
    ),
    "neighbours on the wrong diagonal": Slip(
        edited(
            auxiliary_module,
            "joining_stones",
            {"| (reached[..., 1:] << 1)": "| (reached[..., 1:] >> 1)"},
        ),
        "winning_chain: .*joined by wrong neighbours, along the other diagonal in one direction",
        _CHAIN,
        cause="The search for the winning chain goes along the wrong diagonal in one direction, so "
        "chains have missing or additional cells.",
    ),
}
