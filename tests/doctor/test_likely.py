"""Mistakes that researchers make most often: what the first finding says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.network.policies import check_policy_cells
from hexsearch.doctor.checks.network.values import reading_findings
from hexsearch.doctor.checks.training.overfit import check_overfit
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.policies import policy_scores
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.training.metrics import Evaluation
from tests.doctor.conftest import SIZE, pipeline, tiny
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.sets_of_slips import FIFTEENTH, FOURTEENTH, AnySlip
from tests.doctor.test_yardstick import findings_of

Floats = NDArray[np.float64]
_GAMES, _PLIES = 150, 12


class _Answers:
    """A value that knows Red's chance, with several ways to report it."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.ply = np.tile(np.arange(_PLIES), _GAMES)
        self.game = np.repeat(np.arange(_GAMES), _PLIES)
        self.won = np.repeat(rng.integers(0, 2, _GAMES), _PLIES).astype(float)
        self.of_red = self.ply % 2 == 1
        sure = 0.5 + 0.25 * self.ply
        self.logit = (2 * self.won - 1) * sure + rng.normal(size=len(self.won))
        self.chance = 1 / (1 + np.exp(-self.logit))

    def of_mover(self, red: Floats) -> Floats:
        return np.where(self.of_red, red, 1 - red)

    def cause(self, raw: Floats, reported: Floats, of_mover: bool) -> str:
        final, to_end = self.ply == _PLIES - 1, _PLIES - 1 - self.ply
        evaluation = Evaluation(
            np.clip(reported, 0, 1), self.won, np.zeros(len(raw), np.int8), to_end, final,
            self.game, self.ply,
        )  # fmt: skip
        nothing = cast(Any, None)
        observed = Observed(
            nothing, evaluation, raw, reported, nothing, nothing, self.of_red if of_mover else None
        )
        (found,) = reading_findings("reading of the value", observed, self.chance)
        return found.cause


@pytest.fixture(scope="module")
def answers() -> _Answers:
    return _Answers()


def test_a_chance_that_is_read_as_a_tanh_is_named(answers: _Answers) -> None:
    raw = answers.of_mover(answers.chance)
    cause = answers.cause(raw, answers.of_mover((raw + 1) / 2), of_mover=True)
    assert "(v + 1) / 2 is applied to it" in cause and "side to move" not in cause
    assert "(v + 1) / 2" in answers.cause(answers.chance, (answers.chance + 1) / 2, of_mover=False)


def test_a_logit_that_is_read_as_a_chance_is_named(answers: _Answers) -> None:
    cause = answers.cause(answers.logit, np.clip(answers.logit, 0, 1), of_mover=False)
    assert "the sigmoid or tanh of the loss in training is missing" in cause


def test_a_value_of_the_side_that_has_just_moved_is_named(answers: _Answers) -> None:
    raw = 2 * answers.of_mover(1 - answers.chance) - 1
    reported = answers.of_mover((raw + 1) / 2)
    assert "side that has just moved" in answers.cause(raw, reported, of_mover=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"value_weight": 1e-6, "optimiser": {"name": "sgd", "learning_rate": 0.05}}, "weight of"),
        ({"optimiser": {"learning_rate": 1e-6}}, "learning rate, 1e-06, is far too small"),
        (  # a weight that is large is not called too small
            {"value_weight": 100.0, "optimiser": {"learning_rate": 1e-6}},
            "learning rate, 1e-06, is far too small",
        ),
    ],
)
def test_a_setting_under_which_nothing_is_learnt_is_measured(
    settings: dict[str, Any], words: str, archive: GameArchive
) -> None:
    (found,) = check_overfit(pipeline(archive, tiny(**settings, policy_head={"weight": 1.0})))
    assert words in found.cause and "in place of" in found.evidence


@pytest.mark.parametrize(
    ("slips", "name", "words"),
    [
        (FOURTEENTH, "inputs and labels shuffled apart", "labels are shuffled"),
        (FOURTEENTH, "positions of one game in both sets", "by position, not by game"),
        (FIFTEENTH, "nearly all games alike", "nearly all games are alike"),
        (FIFTEENTH, "winner's colour inverted", "the winner is exchanged in every game"),
    ],
)
def test_one_mistake_is_one_finding(
    slips: dict[str, AnySlip], name: str, words: str, archive: GameArchive
) -> None:
    (found,) = findings_of(slips[name], archive)
    assert words in found.cause


def _knowing(observed: Observed, rows: NDArray[np.int64], cells: NDArray[np.int64]) -> Observed:
    """The same positions with a policy that prefers one cell in each of some rows."""
    policy = np.random.default_rng(0).normal(size=observed.policy.shape).astype(np.float32)
    policy[rows, cells] += 3.0
    return Observed(
        observed.positions, observed.evaluation, observed.raw, observed.answered, policy,
        observed.played,
    )  # fmt: skip


def _before_two_moves(
    archive: GameArchive,
) -> tuple[ExaminedPipeline, Observed, NDArray[np.int64]]:
    """A network of the side to move, its answers, and rows whose next row has a move, too."""
    network = ForeignNetwork(
        lambda planes: (planes[:, 0].flatten(1), planes[:, 0, 0, 0]), ENCODERS["mover"], SIZE
    )
    given = ExaminedPipeline("own", archive=archive, foreign=network)
    observed = given.observed
    assert observed is not None
    before = np.flatnonzero((observed.played[:-1] >= 0) & (observed.played[1:] >= 0))
    return given, observed, before


def test_a_policy_of_the_next_position_on_reflected_boards_is_named(archive: GameArchive) -> None:
    given, observed, before = _before_two_moves(archive)
    cells = observed.played[before + 1]
    red = observed.evaluation.ply[before + 1] % 2 == 1
    shown = np.where(red, cells % SIZE * SIZE + cells // SIZE, cells)
    given.__dict__["observed"] = _knowing(observed, before, shown)
    causes = [each.cause for each in check_policy_cells(given)]
    assert len(causes) == 1 and "column by column where Red makes it" in causes[0], causes


def test_a_policy_that_knows_the_move_after_a_little_better_is_no_fault(
    archive: GameArchive,
) -> None:
    given, observed, before = _before_two_moves(archive)
    policy = 0.1 * np.random.default_rng(0).normal(size=observed.policy.shape).astype(np.float32)
    policy[before, observed.played[before]] += 1.0
    policy[before, observed.played[before + 1]] += 1.3
    known = replace(observed, policy=policy)
    scores = {each.name: each for each in policy_scores(known, SIZE)}
    assert scores["as the move after"].gain > 0.05  # which alone would be reported
    given.__dict__["observed"] = known
    assert not [each for each in check_policy_cells(given) if "another ply" in each.cause]


@pytest.mark.parametrize("turned_back", [False, True])
def test_a_policy_of_the_board_as_encoded_is_no_fault(
    turned_back: bool, archive: GameArchive
) -> None:
    """Boards are transposed for both sides; the policy knows the moves there, or as played."""

    def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
        return ENCODERS["absolute"](np.ascontiguousarray(stones.T), to_move)

    network = ForeignNetwork(
        lambda planes: (planes[:, 0].flatten(1), planes[:, 2, 0, 0]), encode, SIZE
    )
    given = ExaminedPipeline("own", archive=archive, foreign=network)
    observed = given.observed
    assert observed is not None
    moving = np.flatnonzero(observed.played >= 0)
    row, column = observed.played[moving] // SIZE, observed.played[moving] % SIZE
    shown = row * SIZE + column if turned_back else column * SIZE + row
    given.__dict__["observed"] = _knowing(observed, moving, shown)
    found = list(check_policy_cells(given))
    if turned_back:
        assert found == []
    else:
        assert [each.severity for each in found] == ["info"]
        assert "which is transposed for both sides" in found[0].cause
