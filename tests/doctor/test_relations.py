"""Numbers that depart are described by what they are, without a list of faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.checks.data.labels import check_labels
from hexsearch.doctor.hypotheses.boards.channels import sources, stone_values
from hexsearch.doctor.hypotheses.boards.move_orders import other_order
from hexsearch.doctor.hypotheses.general.beyond import beyond_a_number
from hexsearch.doctor.hypotheses.general.relations import determined, relation
from hexsearch.doctor.hypotheses.optimisation.adjoints import first_wrong_module, gap, in_double
from hexsearch.doctor.hypotheses.optimisation.lengths import explain_lengths
from hexsearch.doctor.hypotheses.truth import Truth, truth_of
from hexsearch.training.metrics import Evaluation
from tests.doctor.conftest import pipeline, tiny
from tests.doctor.slips_eighth_data import SLIPS

_BATCH = 64


@pytest.fixture
def truth(archive: GameArchive) -> Truth:
    draw = np.random.default_rng(1)
    games = draw.integers(0, len(archive), 512)
    plies = draw.integers(0, archive.lengths[games].astype(np.int64) + 1)
    return truth_of(archive, games, plies)


def _numbers(truth: Truth) -> NDArray[np.float64]:
    """A number that is another one in each position."""
    return np.sin(37.0 * truth.game + 11.0 * truth.ply)


def test_numbers_of_the_next_ply_are_recognised(truth: Truth) -> None:
    found = _numbers(truth.moved(plies=1))
    told = relation(found, _numbers(truth), truth, _numbers, {}, _BATCH)
    assert told == "it is that of the position one ply later in the game"


def test_numbers_of_another_row_are_recognised(truth: Truth) -> None:
    found = np.roll(_numbers(truth), 3)
    assert "3 row(s) earlier" in relation(found, _numbers(truth), truth, _numbers, {}, _BATCH)


def test_a_formula_of_the_right_number_is_recognised(truth: Truth) -> None:
    found = 0.25 * _numbers(truth) + 0.5
    told = relation(found, _numbers(truth), truth, _numbers, {}, _BATCH)
    assert told == "it is 0.25 times the right one + 0.5"


def test_numbers_at_random_are_no_relation(truth: Truth) -> None:
    found = np.random.default_rng(2).normal(size=len(truth.ply))
    assert relation(found, _numbers(truth), truth, _numbers, {"ply": truth.ply}, _BATCH) == ""


def test_a_column_that_determines_a_number_is_named(truth: Truth) -> None:
    keys = {"ply": truth.ply, "game": truth.game}
    right = truth.red_won.astype(float)
    assert determined((truth.ply > 7).astype(float), right, keys) == "the ply"
    assert determined(right, right, keys) == ""  # it may depend on the game


def test_each_plane_is_traced_by_itself(truth: Truth) -> None:
    planes = truth.stone_planes(0)
    planes[:, 1] = np.roll(planes[:, 1], 1, axis=0)
    kept = np.zeros(len(planes), dtype=bool)
    told = sources(planes, truth, kept, ~kept, _BATCH)
    assert "plane 1" in told
    assert "1 row(s) earlier" in told
    assert "plane 0 is right" in told


def test_stones_that_fade_depend_on_their_age(archive: GameArchive) -> None:
    truth = truth_of(archive, np.arange(60), np.full(60, 8))
    planes = np.zeros((60, 2, truth.size, truth.size), np.float32)
    for row in range(60):
        for number, cell in enumerate(archive.game(row).moves[:8]):
            place = row, number % 2, cell // truth.size, cell % truth.size
            planes[place] = 0.9 ** (7 - number)
    told = stone_values(planes, truth, {})
    assert "age" in told
    assert "from 1 where it is 0" in told


def test_reversed_records_are_recognised(archive: GameArchive) -> None:
    games = [archive.game(index) for index in range(100)]
    turned = build_archive(replace(game, moves=game.moves[::-1], finished=False) for game in games)
    every = np.arange(100, dtype=np.int64)
    assert "from the last to the first" in other_order(turned, every)
    assert other_order(archive, every) == ""


def test_a_wrong_count_of_steps_is_recognised_by_the_lengths() -> None:
    right = [torch.ones(5).double() for _ in range(4)]
    counts = np.arange(1, 5)
    own = np.sqrt(1 - 0.999**counts) / (1 - 0.9**counts)
    later = np.sqrt(1 - 0.999 ** (counts + 1000)) / (1 - 0.9 ** (counts + 1000))
    real = [float(b / a) * each for a, b, each in zip(own, later, right, strict=True)]
    found = explain_lengths(right, real, {"trunk": slice(0, 5)}, (0.9, 0.999))
    assert found is not None
    assert "count of steps is wrong" in found.cause


def test_a_part_with_longer_steps_is_named() -> None:
    right = [torch.randn(6, generator=torch.Generator().manual_seed(n)).double() for n in range(3)]
    factors = torch.tensor([1.0, 1.0, 1.0, 4.0, 4.0, 4.0]).double()
    parts = {"trunk": slice(0, 3), "value_head": slice(3, 6)}
    found = explain_lengths(right, [factors * each for each in right], parts, None)
    assert found is not None
    assert "those of the value head are 4, 4, 4 times as long" in found.cause
    assert "those of the trunk are right" in found.cause


class _PartlyDetached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().square() + x


def test_the_module_is_found_whose_gradient_is_not_its_slope() -> None:
    torch.manual_seed(0)
    sound = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    planes = torch.rand(3, 2, 5, 5).double()
    network = in_double(sound)
    weights = list(network.parameters())
    found = gap(lambda: network(planes).square().sum(), weights)
    assert found is not None
    assert found.off < 1e-3
    assert first_wrong_module(network, planes) is None
    broken = in_double(nn.Sequential(sound[0], _PartlyDetached(), *list(sound.children())[1:]))
    wrong = first_wrong_module(broken, planes)
    assert wrong is not None
    assert wrong[:2] == ("1", "input")


def test_the_number_is_named_beyond_which_answers_fail() -> None:
    draw = np.random.default_rng(3)
    ply = np.tile(np.arange(20), 100)
    won = np.repeat(draw.integers(0, 2, 100), 20).astype(float)
    sure = np.where(ply < 12, 0.8, 0.3)
    answers = np.where(won > 0, sure, 1 - sure)
    evaluation = Evaluation(
        win_prob_red=answers,
        red_won=won,
        stage=np.zeros(2000, np.int8),
        to_end=19 - ply,
        final=ply == 19,
        game=np.repeat(np.arange(100), 20),
        ply=ply,
    )
    assert "number of stones is at least 1" in beyond_a_number(evaluation, np.full(2000, 0.5))
    good = replace(evaluation, win_prob_red=np.where(won > 0, 0.8, 0.2))
    assert beyond_a_number(good, np.full(2000, 0.5)) == ""
    # Near the end the table is nearly perfect, and before it the network is better than the table.
    table = np.where(ply < 15, 0.5, won)
    assert beyond_a_number(good, table) == ""


def test_labels_that_are_shuffled_among_batches_that_are_built_together_are_named(
    archive: GameArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    SLIPS["labels shuffled apart from the boards"].inject(monkeypatch)
    (finding,) = check_labels(pipeline(archive, tiny()))
    assert "shuffled within each group of 32 batches" in finding.cause
