"""Slips of stated classes are the first finding by their name, and sound set-ups are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.optimisation.slopes import check_slopes
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.blank_planes import BlankPlanes
from hexsearch.doctor.hypotheses.boards.plane_frames import odd_frames
from hexsearch.doctor.hypotheses.formulas.fades import faded_labels
from hexsearch.doctor.hypotheses.formulas.loss_inversion import seen_outputs, seen_targets
from hexsearch.doctor.hypotheses.formulas.readout_causes import (
    explain_cut_off,
    explain_forms,
    explain_rounded,
    explain_written,
)
from hexsearch.doctor.hypotheses.formulas.readout_forms import answer_form, cut_off, loss_form
from hexsearch.model.readout import Bce, RawMse, Readout, SigmoidMse, TanhLogcosh, TanhMse
from tests.doctor import (
    plugins_ninth,
    plugins_of_classes,
    slips_of_classes,
    slips_of_classes_reports,
)
from tests.doctor.conftest import every_tenth, pipeline, tiny
from tests.doctor.controls_of_classes import CONTROLS
from tests.doctor.sets_of_slips import AnySlip
from tests.doctor.slips_of_classes_outside import FOREIGN
from tests.doctor.test_yardstick import findings_of

SLIPS = {**slips_of_classes.SLIPS, **slips_of_classes_reports.SLIPS}
# Slips that only checks find that train, or that need a trained network, take some seconds each.
_QUICK = [name for name in SLIPS if name[0] in "acdfg" or "drawn" in name or "byte" in name]


@pytest.mark.parametrize("name", every_tenth(_QUICK))
def test_a_slip_of_a_class_is_the_first_finding_by_its_name(
    name: str, archive: GameArchive
) -> None:
    found = findings_of(SLIPS[name], archive)
    assert found and SLIPS[name].is_named_in(found[0].cause), found


@pytest.mark.parametrize("name", ["h: training loss since the beginning"])
def test_a_figure_of_a_report_is_recomputed(name: str, archive: GameArchive) -> None:
    found = findings_of(SLIPS[name], archive)
    assert found and "sums are never begun anew" in found[0].cause, found


# Networks of others of which only answers can be measured, and these are those of sound ones.
_NOT_FOUND = ("a: probability clamped in the loss (foreign)", "c: result fades linearly")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SLIPS, *FOREIGN])
def test_every_slip_of_a_class_is_named(
    name: str, archive: GameArchive, request: pytest.FixtureRequest
) -> None:
    if name in _NOT_FOUND:
        request.applymarker(pytest.mark.xfail(reason="not found", strict=False))
    every: dict[str, AnySlip] = {**SLIPS, **FOREIGN}
    slip = every[name]
    found = findings_of(slip, archive)
    assert found and slip.is_named_in(found[0].cause), found


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTROLS)
def test_a_sound_set_up_beside_the_classes_raises_no_error(name: str, archive: GameArchive) -> None:
    found = findings_of(CONTROLS[name], archive)
    assert all(finding.severity != "error" for finding in found), found
    assert len(found) <= 1, found


@pytest.mark.parametrize(
    ("readout", "loss", "answer"),
    [
        (Bce(), "the cross-entropy of sigmoid(raw)", "sigmoid(raw)"),
        (SigmoidMse(), "the squared error of sigmoid(raw)", "sigmoid(raw)"),
        (TanhMse(), "the squared error of (tanh(raw) + 1) / 2", "(tanh(raw) + 1) / 2"),
        (RawMse(True), "the squared error of the raw output itself", "sigmoid(raw)"),
        (plugins_ninth.SignedShownClamped(), "the squared error of (tanh(raw) + 1) / 2", "tanh"),
    ],
)
def test_a_loss_and_an_answer_are_told_by_their_formulas(
    readout: Readout, loss: str, answer: str
) -> None:
    assert str(loss_form(readout)) == loss
    assert answer_form(readout).startswith(answer)


@pytest.mark.parametrize(
    "readout",
    [
        Bce(),
        SigmoidMse(),
        TanhMse(),
        TanhLogcosh(),
        RawMse(False),
        plugins_ninth.Spherical(),
        plugins_of_classes.Tempered(),
        plugins_of_classes.SmallEpsilon(),
    ],
)
def test_a_sound_loss_is_not_cut_off(readout: Readout) -> None:
    assert cut_off(readout) is None
    assert explain_cut_off(readout) is None


class _Weighted(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return super().loss(raw, target) * (1.0 + 2.0 * target)


class _Times(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return super().loss(4.0 * raw, target)


class _Epsilon(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid()
        return -(target * (p + 0.1).log() + (1.0 - target) * (1.1 - p).log())


class _Linear(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid()
        return -(target * p + (1.0 - target) * (1.0 - p))


class _Cut(Bce):
    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid().clamp(0.1, 0.9)


@pytest.mark.parametrize(
    ("readout", "words"),
    [
        (_Weighted(), "a target of 1 weighs 3 times"),
        (_Times(), "the raw output is multiplied by 4 before the loss"),
        (_Epsilon(), "with 0.1 added inside its logarithms"),
        (_Linear(), "the absolute error of sigmoid(raw), which is not least at the true"),
        (_Cut(), "win_prob is clamped"),
    ],
)
def test_loss_and_answer_that_differ_are_named(readout: Readout, words: str) -> None:
    explained = explain_forms(readout)
    assert explained is not None
    assert words in explained[0]


class _InPlace(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return super().loss(raw, target.mul_(0.9))

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid().round(decimals=1)


def test_a_read_out_that_writes_into_its_labels_or_rounds_is_named() -> None:
    written, rounded = explain_written(_InPlace()), explain_rounded(_InPlace())
    assert written is not None and rounded is not None
    assert "loss() writes into target, in place" in written[1]
    assert "rounded to 11 numbers" in rounded[1]
    for sound in (Bce(), RawMse(False), TanhMse()):
        assert explain_written(sound) is None
        assert explain_rounded(sound) is None


def test_targets_that_a_loss_changes_are_told() -> None:
    explained = explain_forms(plugins_ninth.Smoothed())
    assert explained is not None
    assert "changed to 0.3 and 1" in explained[0]


@pytest.mark.parametrize("readout", [Bce(), SigmoidMse(), TanhMse()])
def test_a_loss_is_solved_for_its_output_and_its_target(readout: Readout) -> None:
    raw = torch.linspace(-2.0, 2.0, 40, dtype=torch.float64)
    label = (torch.arange(40) % 2).double()
    found = readout.loss(raw.clamp(-1.0, 1.0), label)
    torch.testing.assert_close(
        seen_outputs(found, raw, label, readout), raw.clamp(-1.0, 1.0), atol=1e-3, rtol=0.0
    )
    raw = 0.5 * raw  # a squared error has two solutions; beyond the target the other one is nearer
    target = 0.5 + 0.8 * (label - 0.5)
    solved = seen_targets(readout.loss(raw, target), raw, label, readout)
    torch.testing.assert_close(solved, target, atol=1e-3, rtol=0.0)


def test_a_discount_is_told_with_its_factor_and_where_it_leads() -> None:
    plies = np.arange(60) % 15
    label = (np.arange(60) // 3 % 2).astype(float)
    columns = {"ply to the end": plies}
    to_half = faded_labels(0.5 + (label - 0.5) * 0.9**plies, label, columns, 1e-3)
    assert "0.9 for each ply to the end" in to_half
    assert "one half" in to_half
    assert "towards 0" in faded_labels(label * 0.9**plies, label, columns, 1e-3)
    assert faded_labels(label, label, columns, 1e-3) == ""
    assert faded_labels(0.1 + 0.8 * label, label, columns, 1e-3) == ""


def test_planes_that_are_empty_or_copies_are_told() -> None:
    planes = torch.rand(10, 5, 3, 3)
    planes[:, 1], planes[:, 3], planes[:, 4] = 0.0, planes[:, 0], 1.0
    blank = BlankPlanes(planes)
    assert (blank.empty, blank.copies) == ([1], {3: 0})  # a bias plane of ones is none of them
    assert str(blank) == "plane 1 is empty and plane 3 is a copy of plane 0"


def test_planes_of_one_board_must_lie_alike() -> None:
    rng = np.random.default_rng(0)
    stones = rng.integers(-1, 2, (60, 4, 4)).astype(np.int8)
    to_move = np.where(np.arange(60) % 2 == 0, -1, 1)

    def planes(turned: bool) -> NDArray[np.float64]:
        rows = zip(stones, to_move, strict=True)
        made = [
            (board.T == 1, (board.T if turned or side < 0 else board) == -1) for board, side in rows
        ]
        return np.stack([np.stack(pair) for pair in made]).astype(np.float64)

    assert odd_frames(planes(True), stones, to_move) == ""
    assert "where Red is to move, plane 0" in odd_frames(planes(False), stones, to_move)


def test_slopes_of_a_group_norm_do_not_crash(archive: GameArchive) -> None:
    """Torch's backward of a group norm crashed where only gradients of its weights were asked."""
    config = tiny(network="tests.doctor.plugins_ninth:Detached", policy_head={"weight": 1.0})
    (finding,) = check_slopes(pipeline(archive, config))
    assert "detach" in finding.remedy


def test_an_encoder_that_writes_into_its_argument_leaves_the_boards_alone() -> None:
    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        stones *= -1
        return stones[None].astype(np.float32)

    def model(planes: Tensor) -> tuple[Tensor, Tensor]:
        return planes.flatten(1), planes.sum(dim=(1, 2, 3))

    network = ForeignNetwork(model, encode, 3)
    board = np.eye(3, dtype=np.int8)
    network.encoded(board, 1)
    assert (board == np.eye(3)).all()
    assert "stones (3 of 9 cells, Red to move)" in network.written["encode()"]
