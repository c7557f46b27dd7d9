"""Maps of cells and of places, chosen positions, and the policy loss of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.doctor.checks.evaluation.chosen import chosen_findings, evaluated
from hexsearch.doctor.checks.evaluation.policy import policy_findings
from hexsearch.doctor.checks.network.cells import check_cells
from hexsearch.doctor.hypotheses.boards.cell_maps import cell_map
from hexsearch.doctor.hypotheses.boards.places import place_map
from hexsearch.doctor.hypotheses.truth import Truth, truth_of
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.training.metrics import Evaluation
from tests.doctor.conftest import SIZE, pipeline, tiny
from tests.doctor.slips import Around, Patch, in_part


@pytest.fixture
def truth(archive: GameArchive) -> Truth:
    """Positions that all have a next move."""
    draw = np.random.default_rng(2)
    games = draw.integers(0, len(archive), 400)
    plies = draw.integers(0, archive.lengths[games].astype(np.int64))
    return truth_of(archive, games, plies)


def _logits(truth: Truth) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((len(truth.game), SIZE * SIZE), generator=generator)
    return logits.scatter_add(1, torch.from_numpy(truth.next_cell)[:, None], torch.ones(400, 1))


def _loss(logits: Tensor, cells: Any) -> float:
    return float(nn.functional.cross_entropy(logits, torch.from_numpy(np.asarray(cells))))


def test_cells_that_lose_a_bit_are_learnt_as_a_map_with_a_shift(truth: Truth) -> None:
    right, symmetry = truth.stone_planes(0), np.zeros(400, dtype=np.int64)
    target = np.arange(SIZE * SIZE) & 15
    found = np.zeros_like(right).reshape(400, 2, -1)
    for cell, other in enumerate(target):
        found[:, :, other] = np.maximum(found[:, :, other], right.reshape(400, 2, -1)[:, :, cell])
    told = cell_map(found.reshape(right.shape), right, symmetry)
    assert "16 cells earlier" in told
    assert "two cells share one place" in told


def test_a_map_of_cells_is_learnt_under_every_symmetry(truth: Truth) -> None:
    for number in range(4):
        symmetry = np.full(400, number)
        right = truth.planes_under(symmetry)
        # The board as played has its first two rows exchanged, whatever the symmetry.
        boards = truth.boards.copy()
        boards[:, [0, 1]] = boards[:, [1, 0]]
        found = replace(truth, boards=boards).planes_under(symmetry)
        assert "cells are numbered in another way" in cell_map(found, right, symmetry)
        assert cell_map(right, right, symmetry) == ""


def test_a_view_in_place_of_a_permutation_is_recognised_by_its_order_of_axes(truth: Truth) -> None:
    right = np.concatenate([truth.stone_planes(0), np.ones((400, 1, SIZE, SIZE), np.float32)], 1)
    read = np.ascontiguousarray(right.transpose(0, 2, 3, 1)).reshape(right.shape)
    assert "(row, column, plane)" in place_map(read, right)
    assert place_map(right, right) == ""


def test_numbers_that_wander_between_planes_are_learnt_as_places(truth: Truth) -> None:
    right = truth.stone_planes(0)
    order = np.random.default_rng(4).permutation(2 * SIZE * SIZE)
    found = right.reshape(400, -1)[:, order].reshape(right.shape)
    assert "by one fixed map of all planes" in place_map(found, right)
    assert place_map(np.random.default_rng(5).random(right.shape, np.float32), right) == ""


@pytest.fixture
def examined(archive: GameArchive) -> ExaminedPipeline:
    return pipeline(archive, tiny(policy_head={"family": "convolution", "weight": 1.0}))


def test_a_policy_map_in_another_order_is_named(archive: GameArchive, monkeypatch: Patch) -> None:
    def transposed(logits: Tensor) -> Tensor:
        return logits.reshape(-1, SIZE, SIZE).transpose(1, 2).flatten(1)

    in_part("policy_head", after=transposed)(monkeypatch)
    # A kernel of one cell, so that features are local.
    config = tiny(
        policy_head={"family": "convolution", "weight": 1.0},
        trunk={
            "preset": "no_stride",
            "stem_kernel": 3,
            "channels": [16],
            "blocks": [1],
            "strides": [1],
        },
    )
    found = list(check_cells(pipeline(archive, config)))
    assert [finding.check for finding in found] == ["policy map"]
    assert "column by column" in found[0].cause


def test_a_policy_map_in_the_right_order_is_not_reported(examined: ExaminedPipeline) -> None:
    assert list(check_cells(examined)) == []


def _chosen(examined: ExaminedPipeline, rows: Any) -> list[str]:
    trial = needed(examined.watched)
    dataset = Dataset(needed(examined.archive), DataConfig(board_size=SIZE, validation_games=40))
    whole = trial.evaluate

    def partly(*arguments: Any) -> tuple[Evaluation, float]:
        evaluation, loss = whole(*arguments)
        columns = {
            name: np.asarray(getattr(evaluation, name))[rows(evaluation)]
            for name in ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply")
        }
        return Evaluation(**columns), loss

    setattr(trial, "evaluate", partly)  # noqa: B010
    evaluation, _ = evaluated(trial, dataset)
    return [finding.cause for finding in chosen_findings(trial, evaluation, dataset)]


def test_positions_that_are_left_out_are_described_by_a_condition(
    examined: ExaminedPipeline,
) -> None:
    causes = _chosen(examined, lambda evaluation: evaluation.ply < 6)
    assert len(causes) == 1
    assert "leaves positions out, exactly where the ply is at least 6" in causes[0]


def test_positions_that_are_counted_twice_are_reported(examined: ExaminedPipeline) -> None:
    causes = _chosen(examined, lambda e: np.r_[np.arange(len(e.ply)), 0:30])
    assert causes == ["evaluation counts some positions several times"]


def test_a_complete_evaluation_is_not_reported(examined: ExaminedPipeline) -> None:
    assert _chosen(examined, lambda evaluation: np.arange(len(evaluation.ply))) == []


@pytest.mark.parametrize(
    ("reported", "words"),
    [
        (lambda logits, truth: _loss(logits, truth.next_cell) / np.log(2), "in bits"),
        (
            lambda logits, truth: _loss(logits, truth.next_cells(1)),
            "boards or moves are turned|upside|turned by",
        ),
        (lambda logits, truth: _loss(logits, truth.next_cell) * 400, "a sum over the moves"),
        (lambda logits, truth: 7.0, "by another formula"),
    ],
)
def test_a_wrong_policy_loss_of_an_evaluation_is_named(
    reported: Any, words: str, truth: Truth
) -> None:
    logits = _logits(truth)
    found = list(policy_findings(logits, truth, reported(logits, truth), np.arange(len(logits))))
    assert len(found) == 1
    assert any(word in found[0].cause for word in words.split("|")), found[0].cause


def test_a_right_policy_loss_of_an_evaluation_is_not_reported(truth: Truth) -> None:
    logits = _logits(truth)
    assert (
        list(policy_findings(logits, truth, _loss(logits, truth.next_cell), np.arange(len(logits))))
        == []
    )


def test_a_wrapped_head_keeps_its_cells() -> None:
    assert torch.equal(Around(nn.Flatten())(torch.ones(2, 3)), torch.ones(2, 3))
