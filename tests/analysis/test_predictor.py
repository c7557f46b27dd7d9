"""With one encoder and one read-out, a position gets the same answer on every path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.analysis.boards import (
    moves_of_board,
    positions_of_boards,
    positions_of_moves,
    read_positions,
)
from hexsearch.analysis.known_scores import score_known_positions
from hexsearch.analysis.loading import load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, GamesError
from hexsearch.game.board import BLUE, RED, stones_after
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.trial import Trial
from tests.doctor.conftest import SIZE, tiny


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    return load_network(checkpoint).predictor


def test_a_loaded_checkpoint_answers_exactly_as_training_was_judged(
    trained: Trial, checkpoint: Path, dataset: Dataset
) -> None:
    loaded = load_network(checkpoint)
    evaluation, _ = trained.evaluate()
    again = ValueHeadAnalyzer(
        loaded.predictor,
        dataset.archive,
        dataset.validation_games,
        dataset.train_games,
        loaded.data.stages,
    ).evaluate()
    np.testing.assert_array_equal(again.win_prob_red, evaluation.win_prob_red)
    np.testing.assert_array_equal(again.ply, dataset.validation.at(np.arange(len(again.ply)))[1])
    assert loaded.recorded_value_loss == pytest.approx(evaluation.metrics().overall.value_loss)


@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_positions_by_their_moves_get_the_answers_of_the_archive(
    perspective: str, dataset: Dataset, archive: GameArchive
) -> None:
    trial = Trial.of(tiny(encoder={"perspective": perspective}), dataset, 640, seed=3)
    trial.train_to(640)
    evaluation, _ = trial.evaluate()
    predictor = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    games, plies = dataset.validation.at(np.arange(200))
    moves = [archive.game(int(g)).moves[:p] for g, p in zip(games, plies, strict=True)]
    positions = positions_of_moves(moves, SIZE)
    answers = predictor.answer(positions).win_prob_red
    # A finished position is shown from a side of its own in the mover perspective.
    there = ~positions.finished if perspective == "mover" else np.ones(200, dtype=bool)
    np.testing.assert_allclose(answers[there], evaluation.win_prob_red[:200][there], atol=2e-6)


@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_answers_are_carried_back_from_every_symmetry(perspective: str, dataset: Dataset) -> None:
    trial = Trial.of(tiny(encoder={"perspective": perspective}), dataset, 640, seed=3)
    predictor = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    moves = [(0, 6, 12), (3, 7), (24, 1, 2, 3), (10, 5, 11, 6, 12, 7, 13, 8, 14, 9)]
    positions = positions_of_moves(moves, SIZE)
    image = positions_of_moves(
        [tuple(SIZE * SIZE - 1 - cell for cell in sequence) for sequence in moves], SIZE
    )
    averaged = predictor.averaged()
    there, back = averaged.answer(positions), averaged.answer(image)
    np.testing.assert_allclose(there.win_prob_red, back.win_prob_red, atol=1e-6)
    np.testing.assert_allclose(there.policy, back.policy[:, ::-1], atol=1e-6)


def test_taken_cells_are_never_proposed_and_a_finished_board_has_no_move(
    predictor: Predictor,
) -> None:
    finished = (0, 1, 5, 6, 10, 11, 15, 16, 20)
    positions = positions_of_moves([(0, 6, 12), finished], SIZE)
    policy = predictor.answer(positions).policy
    assert positions.finished.tolist() == [False, True]
    assert policy[0].sum() == pytest.approx(1.0)
    assert (policy[0, [0, 6, 12]] == 0).all()
    assert (policy[1] == 0).all()


def test_a_board_with_any_counts_reaches_the_encoder_unchanged() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        stones = rng.choice([BLUE, 0, RED], size=(5, 5)).astype(np.int8)
        if {BLUE, RED} <= set(stones.reshape(-1).tolist()):
            for mover in (BLUE, RED):
                moves = moves_of_board(stones, mover)
                np.testing.assert_array_equal(stones_after(moves, 5), stones)
                assert len(moves) % 2 == (0 if mover == BLUE else 1)
    only_blue = np.zeros((5, 5), dtype=np.int8)
    only_blue[0, :2] = BLUE
    with pytest.raises(ValueError, match="without stones"):
        positions_of_boards(only_blue[None], np.array([RED], dtype=np.int8))


def test_every_illegal_position_is_named_with_its_reason() -> None:
    with pytest.raises(GamesError) as caught:
        read_positions(["#5,a1b1a1", "#7,a1", "#5,z9", "#5,a1b1a2b2a3b3a4b4a5b5"], 5)
    assert len(caught.value.problems) == 4
    assert "occupied" in caught.value.problems[0]
    assert "7x7 board" in caught.value.problems[1]
    assert "off a 5x5" in caught.value.problems[2]
    assert "blue connected at move 9" in caught.value.problems[3]


def test_a_swap_is_carried_out_before_the_network_is_asked() -> None:
    swapped, plain = read_positions(["#5,b1b1c3", "#5,b1c3"], 5).stones
    assert (swapped != 0).sum() == (plain != 0).sum() == 2


def test_a_short_training_teaches_finished_boards(predictor: Predictor) -> None:
    scores = score_known_positions(predictor)
    assert scores["straight_chain"].accuracy > 0.8
    assert scores["winding_chain"].accuracy > 0.8


def test_a_checkpoint_of_another_kind_is_refused_with_a_reason(
    tmp_path: Path, trained: Trial
) -> None:
    save_checkpoint(tmp_path / "other.pt", {"weights": {}})
    with pytest.raises(CheckpointError, match="holds no trial"):
        load_network(tmp_path / "other.pt")
    state = {**trained.state(), "encoder_version": 0}
    save_checkpoint(tmp_path / "old.pt", {"state": state})
    with pytest.raises(CheckpointError, match="encoder version 0"):
        load_network(tmp_path / "old.pt")
    bare = {key: value for key, value in trained.state().items() if key != "data"}
    save_checkpoint(tmp_path / "bare.pt", {"state": bare})
    with pytest.raises(CheckpointError, match="has no data"):
        load_network(tmp_path / "bare.pt")
    wrong = {**trained.state(), "network": {}}
    save_checkpoint(tmp_path / "wrong.pt", {"state": wrong})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_network(tmp_path / "wrong.pt")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda weight: weight * float("nan"), "is not finite"),
        (lambda weight: weight + float("inf"), "is not finite"),
        (lambda weight: weight.to(torch.complex64), "is not a real tensor, but torch.complex64"),
        (lambda weight: weight.to_sparse(), "is not a real tensor"),
        (lambda weight: 3, "is not a real tensor, but int"),
        (lambda weight: weight[:1], "do not fit its configuration"),
        (lambda weight: torch.zeros(1).expand(10**12), "do not fit its configuration"),
    ],
)
def test_weights_that_answer_nothing_are_refused(
    trained: Trial, tmp_path: Path, damage: Callable[[torch.Tensor], Any], said: str
) -> None:
    state = dict(trained.state())
    name = "trunk.stem.0.weight"
    state["network"] = {**state["network"], name: damage(state["network"][name])}
    save_checkpoint(tmp_path / "bad.pt", {"state": state})
    with pytest.raises(CheckpointError, match=said) as caught:
        load_network(tmp_path / "bad.pt")
    assert len(caught.value.problems) == 1


def test_a_network_beyond_all_memory_is_refused_before_it_is_built(
    trained: Trial, tmp_path: Path
) -> None:
    state = dict(trained.state())
    config = dict(state["configs"][0])
    config["trunk"] = {**config["trunk"], "channels": [8192] * 16}
    save_checkpoint(tmp_path / "bad.pt", {"state": {**state, "configs": [config]}})
    with pytest.raises(CheckpointError, match="trunk"):
        load_network(tmp_path / "bad.pt")
