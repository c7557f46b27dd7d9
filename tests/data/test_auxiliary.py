"""Auxiliary targets compared with games replayed one by one, with symmetries, without leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.config.data import StagesConfig
from hexsearch.config.section import build
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.auxiliary import joining_stones
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions
from hexsearch.game.board import BLUE, EMPTY, RED, Stones, stones_after, winner
from hexsearch.game.record import Game
from hexsearch.game.symmetry import transform_stones
from tests.data.games import random_games

SIZE, PLIES = 7, 5
CPU = torch.device("cpu")
WANTED: dict[str, Any] = {
    "moves_left": 0.1,
    "ownership": 0.1,
    "winning_chain": 0.1,
    "future_stones": {"weight": 0.1, "plies": PLIES},
}
ALL = build(AuxiliaryConfig, WANTED, "auxiliary")
ENCODERS = [
    PositionEncoder(SIZE, perspective, ring)
    for perspective in ("absolute", "mover")
    for ring in (False, True)
]
CLASS = {EMPTY: 0, BLUE: 1, RED: 2}  # of a stone on the board as shown


@pytest.fixture(scope="module")
def archive() -> GameArchive:
    games = random_games(40, SIZE, seed=1)
    given_up = [Game(SIZE, g.moves[:-3], g.winner, False, g.source, g.line) for g in games[:8]]
    return build_archive(games + given_up)


def batch_of(
    archive: GameArchive,
    encoder: PositionEncoder,
    backend: str = "numpy",
    turn: np.ndarray | None = None,
    swap: np.ndarray | None = None,
    wanted: AuxiliaryConfig = ALL,
) -> Batch:
    """Every position of every game."""
    positions = all_positions(archive, np.arange(len(archive)))
    games, plies = positions.at(np.arange(len(positions)))
    as_is = np.zeros(len(games), dtype=bool)
    builder = BatchBuilder(archive, encoder, StagesConfig(), CPU, backend)  # type: ignore[arg-type]
    turn, swap = (as_is if each is None else each for each in (turn, swap))
    return builder.build(games, plies, turn, swap, None, wanted)


def chain_of(stones: Stones) -> Stones:
    """The stones of the group that joins its colour's edges, walked stone by stone."""
    won, size = winner(stones), len(stones)
    starts = [
        (row, column)
        for row in range(size)
        for column in range(size)
        if stones[row, column] == won and (row if won == BLUE else column) == 0
    ]
    chain = np.zeros_like(stones)
    for start in starts:
        group, open_ = {start}, [start]
        while open_:
            row, column = open_.pop()
            for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (-1, 1), (1, -1)):
                r, c = row + down, column + right
                inside = 0 <= r < size and 0 <= c < size
                if inside and stones[r, c] == won and (r, c) not in group:
                    group.add((r, c))
                    open_.append((r, c))
        if any((row if won == BLUE else column) == size - 1 for row, column in group):
            for row, column in group:
                chain[row, column] = won
    return chain


def shown(stones: Stones, symmetry: int) -> np.ndarray:
    """[N*N] classes of stones as shown; the mover, too, is on the plane of Blue's edges."""
    found: np.ndarray = np.vectorize(CLASS.get)(transform_stones(stones, symmetry)).reshape(-1)
    return found


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_targets_are_those_of_replaying_one_game_at_a_time(
    archive: GameArchive, encoder: PositionEncoder
) -> None:
    count = len(all_positions(archive, np.arange(len(archive))))
    rng = np.random.default_rng(0)
    turn, swap = rng.integers(0, 2, size=(2, count)).astype(bool)
    batch = batch_of(archive, encoder, turn=turn, swap=swap)
    taught = {name: target.numpy() for name, target in batch.auxiliary.items()}
    finals = torch.nonzero(batch.final).flatten().tolist()
    given_up = torch.nonzero(batch.game >= 40).flatten().tolist()
    rows = [*rng.choice(count, 200, replace=False), *finals[:20], *given_up[::7]]
    for row in rows:
        game, ply = archive.game(int(batch.game[row])), int(batch.ply[row])
        reflected = bool(swap[row])
        if encoder.perspective == "mover" and not batch.final[row]:
            reflected = ply % 2 == 1
        symmetry = int(turn[row]) + 2 * reflected
        now, end = stones_after(game.moves[:ply], SIZE), stones_after(game.moves, SIZE)
        soon = stones_after(game.moves[: ply + PLIES], SIZE)
        taken = transform_stones(now, symmetry).reshape(-1) != EMPTY
        unknown = np.full(SIZE * SIZE, -1)
        ownership = np.where(taken, -1, shown(end, symmetry)) if game.finished else unknown
        np.testing.assert_array_equal(taught["ownership"][row], ownership)
        chain = shown(chain_of(end), symmetry) if game.finished else unknown
        np.testing.assert_array_equal(taught["winning_chain"][row], chain)
        seen = ply + PLIES <= len(game.moves) or (game.finished and ply < len(game.moves))
        future = np.where(taken, -1, shown(soon, symmetry)) if seen else unknown
        np.testing.assert_array_equal(taught["future_stones"][row], future)
        pairs = -(-(len(game.moves) - ply) // 2) if game.finished else -1
        assert taught["moves_left"][row] == pairs


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_stones_of_the_end_lie_on_the_planes_that_the_network_sees(
    archive: GameArchive, encoder: PositionEncoder
) -> None:
    """On a finished board the chain's cells are stones on its plane, and its owner has won."""
    count = len(all_positions(archive, np.arange(len(archive))))
    turn, swap = np.random.default_rng(2).integers(0, 2, size=(2, count)).astype(bool)
    batch = batch_of(archive, encoder, turn=turn, swap=swap)
    margin = int(encoder.edge_ring)
    inner = batch.planes[:, :2, margin : margin + SIZE, margin : margin + SIZE].flatten(2)
    first_won = batch.outcome if encoder.perspective == "mover" else 1 - batch.outcome
    for row in torch.nonzero(batch.final).flatten().tolist():
        chain = batch.auxiliary["winning_chain"][row]
        plane = 0 if first_won[row] else 1
        assert set(chain.tolist()) == {0, 1 + plane}
        assert bool(inner[row, plane][chain > 0].all())
        assert bool((batch.auxiliary["future_stones"][row] == -1).all())


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("size", [5, 17])
def test_torch_builds_the_same_targets_as_numpy(encoder: PositionEncoder, size: int) -> None:
    archive = build_archive(random_games(12, size, seed=2))
    encoder = PositionEncoder(size, encoder.perspective, encoder.edge_ring)
    count = len(all_positions(archive, np.arange(len(archive))))
    turn, swap = np.random.default_rng(1).integers(0, 2, size=(2, count)).astype(bool)
    one, other = (batch_of(archive, encoder, name, turn, swap) for name in ("numpy", "torch"))
    assert one.auxiliary.keys() == other.auxiliary.keys() == set(ALL.weights)
    for name, target in one.auxiliary.items():
        assert target.dtype == other.auxiliary[name].dtype
        assert torch.equal(target, other.auxiliary[name]), name


def test_a_target_that_is_not_wanted_is_not_built(archive: GameArchive) -> None:
    encoder = ENCODERS[0]
    assert batch_of(archive, encoder, wanted=AuxiliaryConfig()).auxiliary == {}
    one = batch_of(archive, encoder, wanted=AuxiliaryConfig(ownership=0.5))
    assert set(one.auxiliary) == {"ownership"}


def test_pieces_of_a_batch_carry_their_targets(archive: GameArchive) -> None:
    batch = batch_of(archive, ENCODERS[3])
    again = Batch.joined(list(batch.parts(77)))
    for name, target in batch.auxiliary.items():
        assert torch.equal(again.auxiliary[name], target)


@pytest.mark.parametrize("ply", range(6))
def test_each_number_of_moves_left_belongs_to_one_length_that_blue_wins_and_one_that_red_wins(
    ply: int,
) -> None:
    """All lengths there can be: an odd one is Blue's and an even one Red's."""
    cells = tuple(range(SIZE * SIZE))
    games = [
        Game(SIZE, cells[:length], BLUE if length % 2 else RED, True, "made", length)
        for length in range(ply, SIZE * SIZE)
    ]
    archive = build_archive(games[1:])
    builder = BatchBuilder(archive, PositionEncoder(SIZE, "mover"), StagesConfig(), CPU)
    rows = np.arange(len(archive))
    as_is = np.zeros(len(rows), dtype=bool)
    batch = builder.build(rows, np.full(len(rows), ply), as_is, as_is, None, ALL)
    left, won = batch.auxiliary["moves_left"], batch.red_won
    assert (torch.bincount(left[won == 1])[1:-1] == 1).all()
    assert (torch.bincount(left[won == 0])[1:-1] == 1).all()


def test_moves_left_say_no_more_of_the_winner_than_the_ply_does() -> None:
    """Games of random length: who wins is guessed from (ply, target), best in hindsight."""
    rng = np.random.default_rng(3)
    cells = tuple(range(SIZE * SIZE))
    lengths = rng.integers(20, 44, size=6000).tolist()
    games = [
        Game(SIZE, cells[:length], BLUE if length % 2 else RED, True, "made", line)
        for line, length in enumerate(lengths, start=1)
    ]
    archive = build_archive(games)
    builder = BatchBuilder(archive, PositionEncoder(SIZE, "absolute"), StagesConfig(), CPU)
    plies = rng.integers(0, 20, size=len(games))
    as_is = np.zeros(len(games), dtype=bool)
    batch = builder.build(np.arange(len(games)), plies, as_is, as_is, None, ALL)
    won = batch.red_won.numpy().astype(bool)

    def guessed(known: np.ndarray) -> float:
        """Share of winners guessed by the majority of those with the same (ply, known)."""
        key = plies * 100 + known
        _, group = np.unique(key, return_inverse=True)
        red, blue = np.bincount(group, won), np.bincount(group, ~won)
        return float(np.maximum(red, blue).sum() / len(won))

    shuffled = rng.permutation(batch.auxiliary["moves_left"].numpy())
    assert guessed(batch.to_end.numpy()) == 1.0  # the number of plies gives it away
    # Small groups have majorities by chance: as many as where target and winner are unrelated.
    assert guessed(batch.auxiliary["moves_left"].numpy()) < guessed(shuffled) + 0.03


@pytest.mark.parametrize("size", [3, 8, 19])
def test_a_chain_that_winds_through_the_whole_board_is_followed_to_its_end(size: int) -> None:
    """A snake along every other row, which touches itself nowhere, from top to bottom."""
    stones = torch.zeros(2, size, size, dtype=torch.bool)
    stones[0, ::2] = True
    for row in range(1, size, 2):
        # Where a row is left, the cell above it is a neighbour; the other end stays open.
        stones[0, row, -1 if row % 4 == 1 else 0] = True
    stones[1] = stones[0]
    stones[1, size // 2 // 2 * 2, :] = False  # cut
    joined = joining_stones(stones)
    assert torch.equal(joined[0], stones[0])
    assert not joined[1].any()
