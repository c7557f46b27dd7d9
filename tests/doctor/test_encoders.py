"""Encoders of users: arrays that are returned twice, and boards that are made alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.network.encoders import check_encoder
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.plane_frames import broken_frame
from hexsearch.doctor.hypotheses.boards.shown_stones import are_reshaped, hidden_stones
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.healthy_networks import ENCODERS, Encode

_SHARED = np.zeros((3, 5, 5), dtype=np.float32)


def _into_one_array(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    _SHARED[:] = ENCODERS["absolute"](stones, to_move)
    return _SHARED


def _times_player(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return np.stack([stones * to_move == 1, stones * to_move == -1]).astype(np.float32)


def _mover_on_a_full_plane(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    full, empty = np.ones((1, *stones.shape)), np.zeros((1, *stones.shape))
    return np.concatenate([_times_player(stones, to_move), full, empty]).astype(np.float32)


def _both_colours(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return np.abs(stones)[None].astype(np.float32)


def _half_turned_at_random() -> Encode:
    rng = np.random.default_rng()

    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        turned = stones[::-1, ::-1] if rng.random() < 0.5 else stones
        return ENCODERS["absolute"](np.ascontiguousarray(turned), to_move)

    return encode


def _causes(encode: Encode) -> list[str]:
    model = torch.nn.Flatten()
    pipeline = ExaminedPipeline("own", foreign=ForeignNetwork(model, encode, 5))
    return [finding.cause for finding in check_encoder(pipeline)]


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (_into_one_array, "same array"),
        (_times_player, "without being reflected"),
        (_mover_on_a_full_plane, "plane(s) 3 (from 0) are empty on every board"),
        (_both_colours, "both colours alike"),
        (_half_turned_at_random(), "draws random numbers"),
        (_half_turned_at_random(), "the same board after a half turn"),
    ],
)
def test_an_encoder_that_loses_the_position_is_named(encode: Encode, words: str) -> None:
    causes = _causes(encode)
    assert len(causes) == 1 and words in causes[0], causes


@pytest.mark.parametrize("view", sorted(ENCODERS))
def test_a_sound_encoder_raises_nothing(view: str) -> None:
    assert _causes(ENCODERS[view]) == []


def _played(archive: GameArchive) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Boards of whole games with their side to move."""
    games = [archive.game(index) for index in range(12)]
    moves = [game.moves[:ply] for game in games for ply in range(len(game.moves))]
    positions = positions_of_moves(moves, 5)
    return positions.stones, positions.to_move.astype(np.int64)


def _told(archive: GameArchive, encode: Callable[[NDArray[np.int8], int], Any]) -> str:
    stones, to_move = _played(archive)
    planes = [encode(board, int(side)) for board, side in zip(stones, to_move, strict=True)]
    return hidden_stones(np.stack(planes).astype(np.float64), stones, to_move)


def test_a_stone_that_is_not_on_the_board_is_described(archive: GameArchive) -> None:
    def one_more(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        shown = stones.copy()
        shown.ravel()[np.flatnonzero(shown.ravel() == 0)[0]] = to_move
        return ENCODERS["absolute"](shown, to_move)

    told = _told(archive, one_more)
    assert "stones where the board is free" in told
    assert "1 on each of" in told
    assert "where the cell is the first free one" in told


def test_stones_of_one_side_that_are_left_out_are_described(archive: GameArchive) -> None:
    def without_corner(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        shown = stones.copy()
        shown[0, :2] = 0
        return ENCODERS["mover"](shown, to_move)

    assert "free cells where a stone lies" in _told(archive, without_corner)


def _with_liberties(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    free = np.pad(stones == 0, 1).astype(np.float32)
    near = free[2:, 1:-1] + free[:-2, 1:-1] + free[1:-1, 2:] + free[1:-1, :-2]
    return np.concatenate([ENCODERS["signed"](stones, to_move), near[None]])


def _with_numbers(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    count = np.full(stones.shape, float((stones != 0).sum()))
    return np.concatenate([ENCODERS["mover"](stones, to_move), count[None].astype(np.float32)])


def _by_the_other_diagonal(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    board = -stones.T[::-1, ::-1] if to_move > 0 else stones
    return np.stack([board == -1, board == 1]).astype(np.float32)


def _for_blue(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Red's boards as they are, and Blue's reflected."""
    board = stones if to_move > 0 else -stones.T
    return np.stack([board == -1, board == 1]).astype(np.float32)


def _channels_last(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return ENCODERS["mover"](stones, to_move).transpose(1, 2, 0)


def test_planes_that_are_reshaped_in_place_of_permuted_are_told_from_permuted_ones(
    archive: GameArchive,
) -> None:
    stones, to_move = _played(archive)
    rows = zip(stones, to_move, strict=True)
    last = [_channels_last(board, int(side)) for board, side in rows]
    reshaped = np.stack([planes.reshape(-1, *stones.shape[1:]) for planes in last])
    permuted = np.stack([planes.transpose(2, 0, 1) for planes in last])
    assert are_reshaped(reshaped.astype(np.float64), stones, to_move)
    assert not are_reshaped(permuted.astype(np.float64), stones, to_move)


@pytest.mark.parametrize(
    "encode",
    [
        *ENCODERS.values(),
        _with_liberties,
        _with_numbers,
        _times_player,
        _by_the_other_diagonal,
        _for_blue,
    ],
)
def test_an_encoder_that_shows_all_stones_raises_nothing(
    encode: Encode, archive: GameArchive
) -> None:
    assert _told(archive, encode) == ""


def test_a_board_that_is_given_a_quarter_turn_for_one_side_is_named() -> None:
    rng = np.random.default_rng(0)
    stones = rng.integers(-1, 2, (80, 4, 4)).astype(np.int8)
    to_move = np.where(np.arange(80) % 2 == 0, -1, 1)

    def shown(turn: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[np.float64]:
        rows = zip(stones, to_move, strict=True)
        boards = np.stack([turn(-board) if side > 0 else board for board, side in rows])
        return np.stack([boards == -1, boards == 1], axis=1).astype(np.float64)

    assert broken_frame(shown(np.transpose), stones, to_move) == ""
    turned = broken_frame(shown(np.rot90), stones, to_move)
    assert turned == "where Red is to move the board is shown given a quarter turn to the left"
    both = shown(np.transpose)[:, :, :, ::-1]  # another drawing of every board
    assert broken_frame(both, stones, to_move) == ""
