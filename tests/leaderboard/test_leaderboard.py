"""Reports become rows that are ranked, compared and explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hexsearch.errors import LedgerError
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.columns import sorted_rows
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.report.text_tables import markdown
from hexsearch.statistics.variance import DEFAULT_SEED_SD
from tests.leaderboard.studies import Study


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    by_hand = Study(tmp_path)
    yield by_hand
    by_hand.ledger.close()


def test_a_trial_that_came_further_leads_whatever_the_loss_at_a_lower_rung(study: Study) -> None:
    study.trial({10: 0.10}, "prune", lr=1.0)
    study.trial({10: 0.30, 90: 0.20}, "complete", lr=2.0)
    study.trial({10: 0.25, 90: 0.18}, "complete", lr=3.0)
    board = study.board()
    assert [(row.rank, row.value_loss) for row in board.rows] == [(1, 0.18), (2, 0.20), (3, 0.10)]
    assert board.rows[2].status == "pruned"
    assert board.rows[2].reason == "rank 3 of 7 at 10 positions"


def test_a_board_at_equal_compute_says_whose_positions_it_counts(study: Study) -> None:
    config = {"scheduler": {"equal_compute": "small"}}
    study.ledger.append(StudyOpened(trials=9, config=config))
    study.trial({10: 0.10}, "complete", lr=1.0)
    board = study.board()
    assert board.equal_compute == "small"
    assert any("those of the trunk small" in line for line in leaderboard_sentences(board))


def test_seeds_of_a_variant_share_a_row_with_their_mean(study: Study) -> None:
    study.trial({90: 0.20}, "complete", variant="a")
    study.trial({90: 0.22}, "complete", variant="a")
    study.trial({10: 0.30}, "prune", variant="a")
    (row,) = study.board().rows
    assert row.value_loss == pytest.approx(0.21)
    assert (row.seeds, row.completed, row.pruned, row.failed) == (3, 2, 1, 0)
    assert row.trial_ids == ("t0000", "t0001", "t0002")


def test_without_evidence_the_interval_still_counts_games_and_seeds(study: Study) -> None:
    study.trial({90: 0.20}, "complete", variant="a")
    study.trial({90: 0.22}, "complete", variant="a")
    (row,) = study.board().rows
    low, high = row.value_loss_low, row.value_loss_high
    assert low is not None and high is not None
    # 0.004 over games, and a spread between seeds of which there is one degree of freedom.
    seeds = (0.0002 + 2 * DEFAULT_SEED_SD**2) / 3 / 2
    assert 1.96 < (high - low) / 2 / np.sqrt(0.004**2 + seeds) < 3.2


def test_by_trial_every_seed_has_a_row(study: Study) -> None:
    study.trial({90: 0.20}, "complete", variant="a")
    study.trial({90: 0.22}, "complete", variant="a")
    assert [row.trial_ids for row in study.board(by="trial").rows] == [("t0000",), ("t0001",)]


def test_a_seed_that_was_pruned_is_not_averaged_into_what_went_further(study: Study) -> None:
    study.trial({10: 0.40}, "prune", variant="a")
    study.trial({10: 0.30, 90: 0.20}, "complete", variant="a")
    (row,) = study.board().rows
    assert (row.value_loss, row.status, row.seeds) == (0.20, "completed", 2)


def test_a_failure_is_the_last_row_with_its_reason(study: Study) -> None:
    study.trial({}, "fail", lr=1.0)
    study.trial({90: 0.2}, "complete", lr=2.0)
    last = study.board().rows[-1]
    assert (last.rank, last.status, last.reason) == (None, "failed", "nan: loss is not finite")


def test_rows_are_tied_by_paired_losses_and_not_by_their_wide_intervals(study: Study) -> None:
    rng = np.random.default_rng(0)
    shared = rng.random(200)
    for number, gap in enumerate((0.0, 0.0005, 0.02)):
        name = study.trial({90: 0.2 + gap}, "complete", lr=float(number))
        study.evidence(name, 90, shared + gap + rng.normal(0, 0.001, 200))
    pruned = study.trial({10: 0.2}, "prune", lr=9.0)
    study.evidence(pruned, 10, shared + 0.3)
    study.evidence("t0000", 10, shared + 0.25)  # the leader on its way
    board = study.board()
    assert [row.tied_with_leader for row in board.rows] == [True, True, False, None]
    assert [row.rank for row in board.rows] == [1, 1, 3, 4]
    assert board.rows[2].difference == pytest.approx(0.02, abs=0.001)
    assert board.rows[0].difference == 0.0
    assert board.rows[3].difference == pytest.approx(0.05, abs=1e-6)
    low, high = board.rows[2].difference_low, board.rows[2].difference_high
    assert low is not None and high is not None and low < 0.02 < high
    assert "2 variants cannot be told apart" in leaderboard_sentences(board)[0]
    assert (
        "at least 4 more seeds of each would show a difference of 0.002"
        in leaderboard_sentences(board)[0]
    )
    text = markdown(board)
    assert "| 1= |" in text and "| 3 |" in text


def test_of_a_few_games_no_probability_is_stated(study: Study) -> None:
    rng = np.random.default_rng(0)
    for games in (29, 30):
        for loss in (0.1, 0.2):
            name = study.trial({games: loss}, "complete", lr=loss, at=games)
            study.evidence(name, games, loss + rng.normal(0, 0.01, games))
    board = study.board()
    assert [row.probability_best is None for row in board.rows] == [False, False, True, True]
    few = replace(board, spread=replace(board.spread, games=29))
    assert any("only 29 validation games" in line for line in leaderboard_sentences(few))
    assert not any("validation games" in line for line in leaderboard_sentences(board))


def test_a_row_below_that_did_better_at_equal_positions_is_named(study: Study) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    first = study.trial({10: 0.20, 90: 0.15}, "complete", lr=1.0)
    study.evidence(first, 10, 0.20 + noise)
    study.evidence(first, 90, 0.15 + noise)
    ahead = study.trial({10: 0.12}, "", lr=2.0)
    study.evidence(ahead, 10, 0.12 + noise)
    board = study.board()
    assert board.rows[0].trial_ids == (first,)
    said = [line for line in leaderboard_sentences(board) if "did better than the first" in line]
    assert len(said) == 1 and board.rows[1].name in said[0] and "after 10" in said[0]


def test_replicates_on_equal_seeds_are_paired_and_their_spread_is_measured(study: Study) -> None:
    rng = np.random.default_rng(0)
    shared = rng.random(400)
    for variant, gap in (("a", 0.0), ("b", 0.004)):
        for luck in (-0.001, 0.001, 0.0):
            name = study.trial({90: 0.2 + gap + luck}, "complete", variant=variant)
            study.evidence(name, 90, shared + gap + luck + rng.normal(0, 0.002, 400))
    board = study.board()
    assert [row.tied_with_leader for row in board.rows] == [True, False]
    assert board.spread.measured
    assert "better than the other variant" in leaderboard_sentences(board)[0]
    assert (board.rows[0].probability_best or 0.0) > 0.95
    by_trial = read_leaderboard(study.folder, by="trial")
    assert len(by_trial.rows) == 6
    # The sums are formed in another order.
    assert by_trial.spread.seed_deviation == pytest.approx(board.spread.seed_deviation, rel=1e-12)


def test_a_row_with_missing_evidence_is_shown_and_not_compared(study: Study) -> None:
    shared = np.random.default_rng(0).random(100)
    for number in range(3):
        name = study.trial({90: 0.2 + number / 1000}, "complete", lr=float(number))
        if number != 1:
            study.evidence(name, 90, shared + number / 1000)
    damaged = study.folder.trial("t0001") / "games-90.npz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no archive")
    board = study.board()
    assert [row.tied_with_leader for row in board.rows] == [True, True, None]
    assert any("1 variant was not compared" in line for line in leaderboard_sentences(board)[1:])


def test_a_negative_control_is_listed_and_never_ranked(study: Study) -> None:
    study.trial({90: 0.10}, "complete", lr=1.0, config={"readout": {"name": "raw_mse"}})
    study.trial({90: 0.20}, "complete", lr=2.0)
    board = study.board()
    assert [(row.rank, row.status) for row in board.rows] == [
        (1, "completed"),
        (None, "negative control"),
    ]
    assert any("1 negative control is listed" in line for line in leaderboard_sentences(board))


def test_ranked_by_a_stage_its_own_losses_count(study: Study) -> None:
    for number, late in enumerate((0.05, 0.01)):
        name = study.trial({90: 0.2 + number}, "complete", lr=float(number), late=late)
        study.evidence(name, 90, np.random.default_rng(0).random(50) + late)
    board = study.board(stage="late")
    assert [row.values["lr"] for row in board.rows] == [1.0, 0.0]
    assert board.rows[0].value_loss == 0.01
    assert board.rows[1].difference == pytest.approx(0.04, abs=1e-6)
    assert "late loss" in markdown(board)
    final = read_leaderboard(study.folder, stage="final")
    assert "no per-game losses" in leaderboard_sentences(final)[0]
    assert final.rows[0].difference is None


def test_rows_can_be_put_in_another_order_and_keep_their_ranks(study: Study) -> None:
    study.trial({90: 0.20}, "complete", lr=1.0)
    study.trial({90: 0.18}, "complete", lr=2.0)
    study.trial({}, "fail", lr=3.0)
    board = study.board()
    assert [row.rank for row in sorted_rows(board.rows, "name")] == [2, 1, None]
    assert [row.rank for row in sorted_rows(board.rows, "value_loss")] == [1, 2, None]


def test_an_empty_study_has_baselines_and_no_rows(study: Study) -> None:
    board = leaderboard_json(study.board())
    assert board["rows"] == []
    assert [baseline["name"] for baseline in board["baselines"]] == ["prior"]
    assert board["state"] == "interrupted"  # nobody holds its ledger


def test_a_trial_without_a_driver_is_called_interrupted(study: Study) -> None:
    study.trial({10: 0.2})
    assert read_leaderboard(study.folder).rows[0].status == "running"
    assert study.board().rows[0].status == "interrupted"


def test_the_state_is_running_while_a_driver_holds_the_ledger(study: Study) -> None:
    assert read_leaderboard(study.folder).state == "running"


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is this a study folder"):
        read_leaderboard(StudyFolder(tmp_path))


def test_json_has_the_names_that_others_build_on(study: Study) -> None:
    study.trial({90: 0.2}, "complete")
    board = json.loads(json.dumps(leaderboard_json(study.board()), allow_nan=False))
    assert {"study", "state", "by", "rows", "baselines"} <= set(board)
    assert set(board["rows"][0]) >= set(
        "rank name status reason trial_ids seeds positions_seen value_loss value_loss_low "
        "value_loss_high accuracy stages to_end parameters verdict tied_with_leader difference "
        "difference_low difference_high probability_best log_loss calibration_error".split()
    )
    assert set(board["rows"][0]["stages"]["late"]) == {"value_loss", "accuracy", "positions"}
    assert set(board["baselines"][0]) >= {"name", "value_loss", "accuracy", "stages"}
