"""The fourth set of slips: of games and positions. It was run once, after the checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.game.board import RED
from tests.doctor.boards import symmetries_of, with_boards
from tests.doctor.slips import Slip, in_batches, in_encoder, in_planes, nothing


def _searched_for_the_mover(archive: GameArchive) -> GameArchive:
    """Search values of the side to move instead of Red's."""
    ply = np.arange(len(archive.moves)) - np.repeat(
        archive.offsets[:-1].astype(np.int64), archive.lengths
    )
    red = np.where(np.repeat(archive.winners, archive.lengths) == RED, 85, 15)
    found = np.where(ply % 2 == 1, red, 100 - red).astype(np.uint8)
    return replace(archive, search_values=found)


def _stored_after_the_move(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    plies = (batch.ply + (batch.to_end > 0)).numpy()
    return with_boards(stream.builder, batch, symmetries_of(batch, stream, cursor), plies)


def _one_place_too_late(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    return with_boards(
        stream.builder, batch, symmetries_of(batch, stream, cursor), batch.ply.numpy(), first=1
    )


def _last_six_stones(
    sound: Any, self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any
) -> Any:
    """Only the last six or seven moves are encoded."""
    gone = np.maximum(plies - 6, 0) // 2 * 2
    number = np.arange(len(cells)) - np.repeat(np.cumsum(plies) - plies, plies)
    return sound(self, cells[number >= np.repeat(gone, plies)], plies - gone, symmetries, finished)


def _nine_of_ten_red(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    wanted = (torch.arange(len(batch)) + cursor) % 10 > 0
    rows = torch.arange(len(batch))
    for red in (True, False):
        here = (wanted == red).nonzero().flatten()
        there = ((batch.red_won > 0.5) == red).nonzero().flatten()
        if len(here) and len(there):
            rows[here] = there[torch.arange(len(here)) % len(there)]
    return batch.rows(rows)


def _without_ring(planes: Tensor) -> Tensor:
    planes[:, :2, 0] = planes[:, :2, -1] = 0.0
    planes[:, :2, :, 0] = planes[:, :2, :, -1] = 0.0
    return planes


def _axes_by_reshape(planes: Tensor) -> Tensor:
    return planes.permute(0, 2, 3, 1).reshape(planes.shape)


def _never_filled(planes: Tensor) -> Tensor:
    planes[3::4] = 0.0
    return planes


def _flipped_as_in_go(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Mirror half of the samples left to right, with their moves."""
    size = stream.builder.encoder.size
    chosen = torch.from_numpy(np.random.default_rng(cursor).random(len(batch)) < 0.5)
    row, column = batch.policy_target // size, batch.policy_target % size
    target = row * size + size - 1 - column
    return replace(
        batch,
        planes=torch.where(chosen[:, None, None, None], batch.planes.flip(3), batch.planes),
        policy_target=torch.where(chosen & batch.has_move, target, batch.policy_target),
    )


def _inverted_in_every_second_pass(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """A cached array of results is multiplied by -1 in place whenever it is read."""
    number = (torch.arange(len(batch)) + cursor) // len(stream.positions)
    return replace(batch, outcome=torch.where(number % 2 == 1, 1 - batch.outcome, batch.outcome))


def _run_dry(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """After sixty batches the queue gives zeros."""
    left = torch.arange(len(batch)) + cursor < 64 * 60
    return replace(
        batch, planes=batch.planes * left[:, None, None, None], outcome=batch.outcome * left
    )


def only_moves_of_the_loser(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    moved_by_red = batch.ply % 2 == 1
    return replace(batch, has_move=batch.has_move & (moved_by_red != (batch.red_won > 0.5)))


SLIPS: dict[str, Slip] = {
    "search values of the mover taken for Red's": Slip(
        nothing,
        "search|value target|side to move|mover",
        {"curriculum": {"name": "all", "search_value": 0.8}},
        _searched_for_the_mover,
    ),
    "position stored after the move": Slip(
        in_batches(_stored_after_the_move),
        "after the (next )?move|next move|later|one move|one ply|ahead|added|leak|future"
        "|occupied|extra stone",
    ),
    "moves read from one place too late": Slip(
        in_batches(_one_place_too_late),
        "one move|one ply|later|first move|offset|shifted|ahead|colours|ply|missing|added",
    ),
    "only the last six stones are shown": Slip(
        in_encoder(_last_six_stones),
        "missing|removed|lost|early stones|first stones|older|last (few|six|moves)"
        "|fewer stones|history|not shown|left out",
    ),
    "nine positions of ten from games that Red won": Slip(
        in_batches(_nine_of_ten_red),
        "balance|winner|Red w[io]n|won by Red|share|prior|base rate|too often|biased|part of",
    ),
    "ring left out in training": Slip(in_planes(_without_ring), "ring|edge|border|missing|removed"),
    "axes exchanged by a reshape": Slip(
        in_planes(_axes_by_reshape),
        "reshape|permut|axes|axis|scrambl|mixed|order of|channels|planes",
    ),
    "every fourth row never filled": Slip(
        in_planes(_never_filled),
        "empty|zero|missing|never filled|no stones|blank|every fourth|removed|some rows",
    ),
    "flipped as in Go, move and all": Slip(
        in_batches(_flipped_as_in_go),
        "left and right|left to right|flip|mirror|no symmetry|not a symmetry|symmetr|reflect",
    ),
    "inverted in every second pass": Slip(
        in_batches(_inverted_in_every_second_pass),
        "invert|second pass|pass|epoch|label|sign|in place|other way|exchanged",
    ),
    "queue run dry after sixty batches": Slip(
        in_batches(_run_dry),
        "zero|empty|missing|no stones|later|runs? (dry|out)|after (a|some|the first)|label"
        "|same label|constant",
    ),
    "policy taught the loser's moves only": Slip(
        in_batches(only_moves_of_the_loser),
        "loser|losing|winner|mask|part of|half|without a next move|has_move|left out|ignored"
        "|some positions",
    ),
}
