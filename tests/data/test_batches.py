"""Batches compared with planes built stone by stone, under symmetries, on torch, and resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.analysis.boards import positions_of_boards
from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream, evaluation_batches
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions, curriculum_positions
from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED, stones_after
from hexsearch.game.record import Game
from hexsearch.game.symmetry import (
    SWAPS_COLOURS,
    SYMMETRIES,
    symmetry_cells,
    transform_stones,
)
from tests.data.games import random_games

CPU = torch.device("cpu")
ENCODERS = [
    PositionEncoder(7, perspective, ring, history)
    for perspective in ("absolute", "mover")
    for ring in (False, True)
    for history in (False, True)
]


@pytest.fixture(scope="module")
def archive() -> GameArchive:
    games = random_games(40, 7, seed=1)
    stopped = [Game(7, g.moves[:-3], g.winner, False, g.source, g.line) for g in games[:5]]
    return build_archive(games + stopped)


def builder_of(archive: GameArchive, encoder: PositionEncoder, backend: str) -> BatchBuilder:
    return BatchBuilder(archive, encoder, StagesConfig(), CPU, backend)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_a_value_target_mixes_result_and_search_in_the_networks_perspective(
    encoder: PositionEncoder, backend: str
) -> None:
    game = random_games(1, 7, seed=4)[0]
    values = bytes([255, *[30] * (len(game.moves) - 1)])
    archive = build_archive([replace(game, search_values=values)])
    plies = np.array([0, 3, 4, len(game.moves)])
    games, swap = np.zeros(4, dtype=np.int64), np.array([False, True, False, True])
    batch = builder_of(archive, encoder, backend).build(games, plies, swap, swap, search_value=0.25)
    result = float(game.winner == RED)
    red = torch.where(batch.complement, 1.0 - batch.value_target, batch.value_target)
    mixed = 0.75 * result + 0.25 * 0.3
    assert red.tolist() == pytest.approx([result, mixed, mixed, result])
    plain = builder_of(archive, encoder, backend).build(games, plies, swap, swap)
    assert torch.equal(plain.value_target, plain.outcome)


def everything(archive: GameArchive) -> tuple[np.ndarray, np.ndarray]:
    positions = all_positions(archive, np.arange(len(archive)))
    return positions.at(np.arange(len(positions)))


def assert_same(left: Batch, right: Batch) -> None:
    assert left.auxiliary.keys() == right.auxiliary.keys()
    ours, theirs = ({**batch.columns(), **batch.auxiliary} for batch in (left, right))
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype, name
        assert torch.equal(ours[name], theirs[name].to(ours[name].device)), name


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_planes_targets_and_outcomes_are_those_of_replaying_one_game_at_a_time(
    archive: GameArchive, encoder: PositionEncoder
) -> None:
    games, plies = everything(archive)
    rng = np.random.default_rng(0)
    turn, swap = rng.integers(0, 2, size=(2, len(games))).astype(bool)
    batch = builder_of(archive, encoder, "numpy").build(games, plies, turn, swap)
    margin = int(encoder.edge_ring)
    for row in rng.choice(len(games), 200, replace=False):
        game, ply = archive.game(int(games[row])), int(plies[row])
        over = ply == len(game.moves) and game.finished
        reflected = bool(swap[row])
        if encoder.perspective == "mover" and not over:
            reflected = ply % 2 == 1
        symmetry = int(turn[row]) + 2 * reflected
        stones = transform_stones(stones_after(game.moves[:ply], 7), symmetry)
        planes = batch.planes[row].numpy()
        inner = planes[:, margin : margin + 7, margin : margin + 7]
        np.testing.assert_array_equal(inner[0], stones == BLUE)
        np.testing.assert_array_equal(inner[1], stones == RED)
        shown_winner = -game.winner if SWAPS_COLOURS[symmetry] else game.winner
        if encoder.perspective == "absolute":
            mover = 0.5 if over else float((ply % 2 == 1) ^ reflected)
            assert (planes[2] == mover).all()
            assert batch.outcome[row] == (shown_winner == RED)
        else:
            assert batch.outcome[row] == (shown_winner == BLUE)
        if encoder.history:
            ages = np.full(49, np.inf)
            ages[symmetry_cells(7)[symmetry][list(game.moves[:ply])]] = np.arange(ply)[::-1]
            np.testing.assert_allclose(inner[-1].reshape(-1), 2.0 ** (-ages / 3), rtol=1e-6)
            assert planes[-1].sum() == pytest.approx(inner[-1].sum())  # nothing in the ring
        win_prob_red = batch.outcome[row]
        if batch.complement[row]:
            win_prob_red = 1 - win_prob_red
        assert win_prob_red == batch.red_won[row] == (game.winner == RED)
        assert bool(batch.has_move[row]) == (ply < len(game.moves))
        if ply < len(game.moves):
            cell = symmetry_cells(7)[symmetry][game.moves[ply]]
            assert batch.policy_target[row] == cell
            assert inner[0].reshape(-1)[cell] == inner[1].reshape(-1)[cell] == 0
        assert bool(batch.final[row]) == over
        assert batch.to_end[row] == len(game.moves) - ply


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("size", [7, 17])
def test_torch_builds_the_same_bits_as_numpy(encoder: PositionEncoder, size: int) -> None:
    archive = build_archive(random_games(30, size, seed=2))
    encoder = replace(encoder, size=size)
    games, plies = everything(archive)
    rng = np.random.default_rng(1)
    turn, swap = rng.integers(0, 2, size=(2, len(games))).astype(bool)
    weights = np.array([0.5, 1.0, 2.0], dtype=np.float32)
    builds = [
        builder_of(archive, encoder, backend).build(games, plies, turn, swap, weights)
        for backend in ("numpy", "torch")
    ]
    assert_same(*builds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_a_gpu_builds_the_same_bits_as_numpy(
    archive: GameArchive, encoder: PositionEncoder
) -> None:
    games, plies = everything(archive)
    as_is = np.zeros(len(games), dtype=bool)
    host = builder_of(archive, encoder, "numpy").build(games, plies, as_is, ~as_is)
    gpu = BatchBuilder(archive, encoder, StagesConfig(), torch.device("cuda"))
    device = gpu.build(games, plies, as_is, ~as_is)
    assert_same(host, device)


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_symmetric_copy_of_a_game_gives_the_same_batch_under_that_symmetry(
    archive: GameArchive, encoder: PositionEncoder, symmetry: int
) -> None:
    # A reflected game starts with Red on the board's other edges: show the copy's moves as they
    # are and the original's under the symmetry, and the stones must agree.
    cells = symmetry_cells(7)[symmetry]
    swaps = bool(SWAPS_COLOURS[symmetry])
    games, plies = everything(archive)
    turn = np.full(len(games), symmetry in (1, 3))
    absolute = replace(encoder, perspective="absolute")
    shown = builder_of(archive, absolute, "numpy").build(
        games, plies, turn, np.full(len(games), swaps)
    )
    if swaps:
        # Nothing on disk can begin with Red, so undo the reflection on the planes instead.
        back = builder_of(archive, absolute, "numpy").build(
            games, plies, np.zeros_like(turn), np.zeros_like(turn)
        )
        margin = int(encoder.edge_ring)
        side = slice(margin, margin + 7)
        moved = torch.empty_like(back.planes[:, :2, side, side]).flatten(2)
        moved[:, :, torch.from_numpy(cells.copy())] = back.planes[:, [1, 0], side, side].flatten(2)
        assert torch.equal(shown.planes[:, :2, side, side].flatten(2), moved)
        assert torch.equal(shown.outcome, 1 - back.outcome)
        return
    copies = [
        Game(7, tuple(int(cells[cell]) for cell in g.moves), g.winner, g.finished, g.source, g.line)
        for g in (archive.game(index) for index in range(len(archive)))
    ]
    copy = builder_of(build_archive(copies), absolute, "numpy").build(
        games, plies, np.zeros_like(turn), np.zeros_like(turn)
    )
    assert torch.equal(shown.planes, copy.planes)
    assert torch.equal(shown.policy_target, copy.policy_target)
    assert torch.equal(shown.outcome, copy.outcome)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_stones_of_a_set_up_and_of_boards_have_no_history(backend: str) -> None:
    game = random_games(1, 7, seed=4)[0]
    archive = build_archive([replace(game, setup=4)])
    as_is, games = np.zeros(3, dtype=bool), np.zeros(3, dtype=np.int64)
    encoder = PositionEncoder(7, "absolute", history=True)
    batch = builder_of(archive, encoder, backend).build(games, np.array([4, 5, 7]), as_is, as_is)
    history = batch.planes[:, -1].flatten(1)
    assert (history[0] == 0).all() and (history > 0).sum(dim=1).tolist() == [0, 1, 3]
    assert history[2, list(game.moves[4:7])].tolist() == pytest.approx([0.63, 0.794, 1], abs=1e-3)
    board = stones_after(game.moves[:7], 7)
    positions = positions_of_boards(board[None], np.array([RED], dtype=np.int8))
    planes = encoder.encode_game(
        positions.cells, positions.plies, games[:1], positions.finished, positions.unordered
    )
    assert (planes[0, -1] == 0).all()
    np.testing.assert_array_equal(planes[0, :3], batch.planes[2, :3])


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_training_shows_some_positions_without_their_history_or_with_its_end(
    archive: GameArchive, backend: str
) -> None:
    curriculum = CurriculumConfig()
    positions = curriculum_positions(archive, np.arange(40), curriculum)
    batches = []
    for history in (True, False):
        builder = builder_of(archive, PositionEncoder(7, "mover", True, history), backend)
        batches.append(TrainingStream(builder, positions, curriculum, True, 5).batch(0, 4096))
    shown, plain = batches
    assert torch.equal(shown.planes[:, :-1], plain.planes)
    known = (shown.planes[:, -1] > 0).flatten(1).sum(dim=1)
    late = shown.ply >= 8
    cut = late & (known < shown.ply)
    assert 0.10 < cut.sum() / late.sum() < 0.15
    assert torch.equal(known[~cut & late], shown.ply[~cut & late])
    assert set(known[cut].tolist()) == {0, 1, 2, 3, 4}
    share = (known[cut] == 0).float().mean()
    assert 0.4 < share < 0.6
    newest = shown.planes[cut & (known > 0), -1].flatten(1).amax(dim=1)
    assert (newest == 1).all()


def test_the_ring_is_the_same_seen_from_every_symmetry() -> None:
    ring = PositionEncoder(5, "absolute", True).ring()
    blue, red = ring[0].astype(np.int8), ring[1].astype(np.int8)
    stones = red - blue
    both = blue & red  # the obtuse corners belong to both colours
    assert both.sum() == 2 and both[0, -1] == both[-1, 0] == 1
    for symmetry in SYMMETRIES:
        np.testing.assert_array_equal(transform_stones(stones, symmetry), stones)
    assert blue.sum() == red.sum() == 12
    assert (ring[2] == 0).all()


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("name", ["all", "last_k", "final"])
@given(cut=st.integers(1, 63), start=st.integers(0, 10**5))
@settings(max_examples=5)
def test_resuming_a_cursor_equals_not_stopping(
    archive: GameArchive, encoder: PositionEncoder, name: str, cut: int, start: int
) -> None:
    curriculum = CurriculumConfig(name=name)  # type: ignore[arg-type]
    positions = curriculum_positions(archive, np.arange(40), curriculum)
    builder = builder_of(archive, encoder, "numpy")
    whole = TrainingStream(builder, positions, curriculum, True, 5).batch(start, 64)
    again = TrainingStream(builder, positions, curriculum, True, 5)
    parts = [again.batch(start, cut), again.batch(start + cut, 64 - cut)]
    assert_same(whole, Batch.joined(parts))


def test_a_stream_shows_all_symmetries_and_none_without_augmentation(archive: GameArchive) -> None:
    curriculum = CurriculumConfig()
    positions = curriculum_positions(archive, np.arange(40), curriculum)
    builder = builder_of(archive, PositionEncoder(7, "absolute"), "numpy")
    batch = TrainingStream(builder, positions, curriculum, True, 5).batch(0, 4000)
    assert batch.complement.float().mean() == pytest.approx(0.5, abs=0.05)
    plain = TrainingStream(builder, positions, curriculum, False, 5).batch(0, 4000)
    assert not plain.complement.any()
    assert torch.equal(plain.game, batch.game) and torch.equal(plain.ply, batch.ply)
    same = (plain.planes == batch.planes).flatten(1).all(1) & (plain.ply > 0)
    assert same.sum() / (plain.ply > 0).sum() == pytest.approx(0.25, abs=0.05)


def test_stage_weights_reach_the_batch(archive: GameArchive) -> None:
    curriculum = CurriculumConfig(stage_weights={"early": 0.0})
    positions = curriculum_positions(archive, np.arange(40), curriculum)
    builder = builder_of(archive, PositionEncoder(7, "mover"), "numpy")
    batch = TrainingStream(builder, positions, curriculum, True, 5).batch(0, len(positions))
    assert torch.equal(batch.weight == 0, batch.stage == 0)
    assert float(batch.weight.mean()) == pytest.approx(1.0, abs=1e-5)
    plain = TrainingStream(builder, positions, CurriculumConfig(), True, 5).batch(0, 64)
    assert (plain.weight == 1).all()


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_stage_smoothing_moves_targets_and_leaves_outcomes(
    archive: GameArchive, backend: str
) -> None:
    curriculum = CurriculumConfig(stage_smoothing={"early": 0.4})
    positions = curriculum_positions(archive, np.arange(40), curriculum)
    builder = builder_of(archive, PositionEncoder(7, "mover"), backend)
    batch = TrainingStream(builder, positions, curriculum, True, 5).batch(0, len(positions))
    early = batch.stage == 0
    assert 0 < int(early.sum()) < len(batch)
    expected = torch.where(early, 0.6 * batch.outcome + 0.2, batch.outcome)
    assert torch.allclose(batch.value_target, expected)
    assert torch.allclose(batch.outcome_of(batch.value_target), batch.outcome, atol=1e-6)
    plain = TrainingStream(builder, positions, CurriculumConfig(), True, 5).batch(0, 64)
    assert torch.equal(plain.value_target, plain.outcome)


@pytest.mark.parametrize(("stage", "share"), [("early", 1.0), ("late", -0.1), ("first", 0.1)])
def test_impossible_stage_smoothing_is_refused(stage: str, share: float) -> None:
    with pytest.raises(ValueError, match=stage):
        CurriculumConfig(stage_smoothing={stage: share})


def test_evaluation_covers_every_position_once_in_order(archive: GameArchive) -> None:
    positions = all_positions(archive, np.arange(10))
    builder = builder_of(archive, PositionEncoder(7, "mover"), "numpy")
    batches = list(evaluation_batches(builder, positions, 33))
    games, plies = positions.at(np.arange(len(positions)))
    assert torch.cat([batch.game for batch in batches]).tolist() == games.tolist()
    assert torch.cat([batch.ply for batch in batches]).tolist() == plies.tolist()


def test_finished_positions_show_no_mover(archive: GameArchive) -> None:
    lengths = archive.lengths[:40]
    as_is = np.zeros(40, dtype=bool)
    absolute = builder_of(archive, PositionEncoder(7, "absolute"), "numpy")
    assert (absolute.build(np.arange(40), lengths, as_is, as_is).planes[:, 2] == 0.5).all()
    mover = builder_of(archive, PositionEncoder(7, "mover"), "numpy")
    one_side = mover.build(np.arange(40), lengths, as_is, as_is)
    other = mover.build(np.arange(40), lengths, as_is, ~as_is)
    assert torch.equal(one_side.outcome, 1 - other.outcome)


def test_a_board_of_another_size_is_refused(archive: GameArchive) -> None:
    with pytest.raises(GamesError, match="7x7 games, but the encoder is for 13x13"):
        builder_of(archive, PositionEncoder(13, "mover"), "numpy")
