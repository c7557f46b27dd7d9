"""A mean with the position after the likeliest move is the mean of two answers of the network."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from hexsearch.analysis.boards import positions_of_moves, read_positions
from hexsearch.analysis.mean_answers import after_move, legal_logits, opposite_raw
from hexsearch.analysis.predictor import Predictor
from hexsearch.config.readout import ReadoutConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.errors import ContractError
from hexsearch.model.readout import Readout, build_readout
from hexsearch.training.trial import Trial
from tests.doctor.conftest import SIZE, tiny


def planes_of(encoder: PositionEncoder, cells: list[int], finished: bool = False) -> Tensor:
    plies = np.array([len(cells)])
    symmetries = encoder.choose_symmetries(np.array([False]), plies % 2 == 1)
    moves = np.array(cells, dtype=np.int64)
    over, set_up = np.array([finished]), np.array([0])
    return torch.from_numpy(encoder.encode_game(moves, plies, symmetries, over, set_up))


@pytest.mark.parametrize("readout", ["bce", "raw_mse"])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("edge_ring", [False, True])
@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_an_averaged_predictor_answers_alike_for_all_symmetric_positions(
    perspective: str, edge_ring: bool, history: bool, readout: str, dataset: Dataset
) -> None:
    encoder = {"perspective": perspective, "edge_ring": edge_ring, "history": history}
    trial = Trial.of(tiny(encoder=encoder, readout=readout), dataset, 640, seed=0)
    trial.train_to(640)
    plain = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    positions = read_positions([f"#{SIZE},a1b2c3", f"#{SIZE},e1a4d2b3"], SIZE)
    symmetries = [(turn, reflect) for reflect in (False, True) for turn in (False, True)]
    views = [plain.answer(positions, *symmetry).win_prob_red for symmetry in symmetries]
    assert np.abs(views[0] - views[1]).max() > 1e-4
    averaged = [plain.averaged().answer(positions, *symmetry) for symmetry in symmetries]
    for each in averaged[1:]:
        assert each.win_prob_red == pytest.approx(averaged[0].win_prob_red, abs=1e-6)
        assert each.policy == pytest.approx(averaged[0].policy, abs=1e-6)
    if readout == "raw_mse" and 0 < np.min(views) and np.max(views) < 1:  # raw is the answer
        assert averaged[0].win_prob_red == pytest.approx(np.mean(views, axis=0), abs=1e-6)


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("edge_ring", [False, True])
@pytest.mark.parametrize("perspective", ["absolute", "mover"])
@pytest.mark.parametrize("plies", range(6))
def test_planes_after_a_move_are_those_of_the_encoder(
    perspective: Literal["absolute", "mover"], edge_ring: bool, history: bool, plies: int
) -> None:
    encoder = PositionEncoder(SIZE, perspective, edge_ring, history)
    generator = np.random.default_rng(plies)
    cells = generator.choice(SIZE * SIZE, plies + 1, replace=False).tolist()
    logits = torch.zeros(1, SIZE * SIZE)
    taken, last = cells[:-1], cells[-1]
    if perspective == "mover" and plies % 2 == 1:  # policies are reflected as the planes are
        taken = [cell % SIZE * SIZE + cell // SIZE for cell in taken]
        last = last % SIZE * SIZE + last // SIZE
    logits[0, taken], logits[0, last] = 2.0, 1.0  # the likeliest cells are taken already
    planes = planes_of(encoder, cells[:-1])
    legal = legal_logits(planes, logits, encoder)
    after = after_move(planes, legal.argmax(dim=1), encoder)
    assert torch.allclose(after, planes_of(encoder, cells), rtol=1e-6)


@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_a_full_board_has_no_next_move(perspective: str, dataset: Dataset) -> None:
    encoder = PositionEncoder(SIZE, perspective)  # type: ignore[arg-type]
    planes = planes_of(encoder, list(range(SIZE * SIZE)))
    assert (legal_logits(planes, torch.zeros(1, SIZE * SIZE), encoder) == -torch.inf).all()
    trial = Trial.of(tiny(encoder={"perspective": perspective, "edge_ring": False}), dataset, 64, 0)
    plain = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    alone = plain.forward(planes).value_raw
    assert torch.equal(plain.looking_ahead(3).forward(planes).value_raw, alone)


@pytest.mark.parametrize("readout", ["bce", "tanh_mse"])
@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_an_answer_is_the_mean_of_two(perspective: str, readout: str, dataset: Dataset) -> None:
    config = tiny(encoder={"perspective": perspective}, readout=readout)
    trial = Trial.of(config, dataset, 640, seed=0)
    trial.train_to(640)
    plain = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    game = (0, 6, 12, 3)
    now = positions_of_moves([game], SIZE)
    answers = plain.answer(now)
    likeliest = int(answers.policy[0].argmax())
    then = plain.answer(positions_of_moves([(*game, likeliest)], SIZE))
    sign = -1.0 if perspective == "mover" else 1.0
    ahead = plain.looking_ahead().answer(now)
    assert ahead.value_raw[0] == pytest.approx(
        (answers.value_raw[0] + sign * then.value_raw[0]) / 2, abs=1e-5
    )
    assert ahead.policy == pytest.approx(answers.policy, abs=1e-6)
    assert abs(ahead.win_prob_red[0] - answers.win_prob_red[0]) > 1e-4


@pytest.mark.parametrize("red_moves", [False, True])
@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_several_moves_weigh_by_policy_and_value(
    perspective: str, red_moves: bool, dataset: Dataset
) -> None:
    trial = Trial.of(tiny(encoder={"perspective": perspective}), dataset, 640, seed=0)
    trial.train_to(640)
    plain = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    game = (0, 6, 12) if red_moves else (0, 6, 12, 3)
    now = positions_of_moves([game], SIZE)
    answers = plain.answer(now)
    moves = np.argsort(-answers.policy[0])[:3]
    then = [plain.answer(positions_of_moves([(*game, int(move))], SIZE)) for move in moves]
    red = np.array([each.win_prob_red[0] for each in then])
    weights = answers.policy[0][moves] * np.exp(6.0 * (red if red_moves else 1.0 - red))
    raw = np.array([each.value_raw[0] for each in then])
    sign = -1.0 if perspective == "mover" else 1.0
    expected = (answers.value_raw[0] + sign * (weights @ raw) / weights.sum()) / 2
    assert plain.looking_ahead(3).answer(now).value_raw[0] == pytest.approx(expected, abs=1e-5)
    all_of_them = plain.looking_ahead(SIZE * SIZE).answer(now)
    assert plain.looking_ahead(10_000).answer(now).value_raw[0] == all_of_them.value_raw[0]


def test_a_finished_board_is_judged_alone_where_planes_say_so(dataset: Dataset) -> None:
    trial = Trial.of(tiny(encoder={"perspective": "absolute"}), dataset, 64, seed=0)
    plain = Predictor(trial.network, trial.readout, trial.encoder, torch.device("cpu"))
    planes = planes_of(trial.encoder, [0, 1, 5, 6], finished=True)
    alone = plain.forward(planes).value_raw
    assert torch.equal(plain.looking_ahead().forward(planes).value_raw, alone)


@pytest.mark.parametrize("name", ["bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh", "raw_mse"])
def test_each_read_out_knows_the_other_side(name: str) -> None:
    readout = build_readout(ReadoutConfig.model_validate(name))
    raw = torch.linspace(-2.0, 2.0, 9)
    there = readout.win_prob(opposite_raw(readout)(raw))
    assert torch.allclose(there, 1.0 - readout.win_prob(raw), atol=1e-6)


class Shifted(Readout):
    """Its raw values are symmetric about 3."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.win_prob(raw) - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return (raw - 3.0).sigmoid()


def test_a_read_out_without_a_rule_is_refused() -> None:
    with pytest.raises(ContractError, match="cannot be averaged"):
        opposite_raw(Shifted())
