from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexsearch.cli.main import main
from hexsearch.errors import LedgerError
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.columns import sorted_rows
from hexsearch.leaderboard.leaderboard import Leaderboard, read_leaderboard
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.ledger.events import Decided, Failed, Reported, Started, StudyOpened, Suggested
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.report.table import render
from hexsearch.report.terminal import Console
from hexsearch.report.text_tables import comma_separated, markdown
from hexsearch.statistics.variance import DEFAULT_SEED_SD
from hexsearch.training.metrics import GameLosses
from tests.search.simulation import report_json

PRIOR = {
    "name": "prior",
    "value_loss": 0.247,
    "accuracy": 0.55,
    "positions": 10,
    "stages": {"late": {"value_loss": 0.24, "accuracy": 0.5, "positions": 5}},
    "to_end": {},
}


class Study:
    """Writes a ledger by hand."""

    def __init__(self, path: Path, name: str = "study") -> None:
        self.folder = StudyFolder(path / name)
        self.ledger = Ledger(self.folder.ledger, clock=lambda: 0.0)
        self.ledger.append(StudyOpened(trials=9, baselines=[PRIOR], warnings=["a leak"]))
        self.number = 0
        self.replicates: Counter[str] = Counter()

    def trial(
        self,
        losses: dict[int, float],
        end: str = "",
        *,
        variant: str = "",
        config: dict[str, Any] | None = None,
        late: float | None = None,
        **values: Any,
    ) -> str:
        name = f"t{self.number:04d}"
        self.ledger.append(
            Suggested(
                trial=name,
                number=self.number,
                variant=variant or name,
                replicate=self.replicates[variant or name],
                seed=self.number,
                head="512->1",
                origin="tpe",
                values={"value_head": "512->1", **values},
                config=config or {},
            )
        )
        self.replicates[variant or name] += 1
        self.ledger.append(Started(trial=name, attempt=1))
        for positions, loss in losses.items():
            said = report_json(positions, loss)
            if late is not None:
                said["stages"]["late"]["value_loss"] = late
            self.ledger.append(Reported(trial=name, report=ReportSummary.from_json(said)))
        last = max(losses, default=0)
        if end == "prune":
            self.ledger.append(
                Decided(
                    trial=name,
                    positions_seen=last,
                    decision="prune",
                    rung=last,
                    rank=3,
                    of=7,
                    value_loss=losses[last],
                )
            )
        elif end == "complete":
            self.ledger.append(
                Decided(
                    trial=name, positions_seen=last, decision="complete", value_loss=losses[last]
                )
            )
        elif end == "fail":
            self.ledger.append(Failed(trial=name, reason="nan: loss is not finite", log="a\nb"))
        self.number += 1
        return name

    def evidence(self, trial: str, positions: int, per_game: np.ndarray) -> None:
        count = len(per_game)
        sums = np.repeat(per_game[:, None], 3, axis=1).astype(np.float32)
        counts = np.ones((count, 3), dtype=np.int32)
        losses = GameLosses(np.arange(count), sums, counts)
        write_game_losses(self.folder.trial(trial), positions, losses)

    def board(self, **options: Any) -> Leaderboard:
        self.ledger.close()
        return read_leaderboard(self.folder, **options)


@pytest.fixture
def study(tmp_path: Path) -> Any:
    made = Study(tmp_path)
    yield made
    made.ledger.close()


def test_whoever_came_further_leads_whatever_the_loss_at_a_lower_rung(study: Study) -> None:
    study.trial({10: 0.10}, "prune", lr=1.0)
    study.trial({10: 0.30, 90: 0.20}, "complete", lr=2.0)
    study.trial({10: 0.25, 90: 0.18}, "complete", lr=3.0)
    board = study.board()
    assert [(row.rank, row.value_loss) for row in board.rows] == [(1, 0.18), (2, 0.20), (3, 0.10)]
    assert board.rows[2].status == "pruned"
    assert board.rows[2].reason == "rank 3 of 7 at 10 positions"


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


def test_a_failure_stands_at_the_end_with_its_reason(study: Study) -> None:
    study.trial({}, "fail", lr=1.0)
    study.trial({90: 0.2}, "complete", lr=2.0)
    last = study.board().rows[-1]
    assert (last.rank, last.status, last.reason) == (None, "failed", "nan: loss is not finite")


def test_a_failure_says_why_and_ends_with_its_log_also_when_another_seed_did_not(
    study: Study,
) -> None:
    study.trial({90: 0.2}, "complete", variant="a")
    failed = study.trial({}, "fail", variant="a")
    board = study.board()
    expected = {"trial": failed, "reason": "nan: loss is not finite", "log": "a\nb"}
    assert leaderboard_json(board)["rows"][0]["failures"] == [expected]
    console = Console(width=160)
    with console.capture() as shown:
        console.print(render(board, 160))
    assert f"{failed} failed: nan: loss is not finite\n    a\n    b\n" in shown.get()
    assert f"* {failed} failed: nan: loss is not finite\n" in markdown(board)


def test_many_failures_are_counted_below_the_table(study: Study) -> None:
    for number in range(7):
        study.trial({}, "fail", lr=float(number))
    assert "* 2 more failures; see --format json\n" in markdown(study.board())


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
    assert by_trial.spread.seed_deviation == board.spread.seed_deviation


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


def test_without_a_result_a_sentence_stands_in_place_of_rows(study: Study) -> None:
    def shown() -> tuple[str, str]:
        board = read_leaderboard(study.folder)
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(render(board, 120))
        return console.export_text(), markdown(board)

    for text in shown():
        assert "there is no result yet: no trial has begun" in text and "prior" in text
    study.trial({})
    for text in shown():
        assert "there is no result yet: of 1 trial, none that can be ranked has reported" in text
        assert "512->1" not in text and "prior" in text
    study.ledger.append(Failed(trial="t0000", reason="the loss is nan", log=""))
    for text in shown():
        assert "there is no result: the only trial failed" in text
        assert "t0000 failed: the loss is nan" in text and "512->1" not in text


def test_a_trial_that_nobody_runs_any_more_is_not_called_running(study: Study) -> None:
    study.trial({10: 0.2})
    assert read_leaderboard(study.folder).rows[0].status == "running"
    assert study.board().rows[0].status == "interrupted"


def test_the_state_is_running_while_a_driver_holds_the_ledger(study: Study) -> None:
    assert read_leaderboard(study.folder).state == "running"


def test_a_folder_that_is_no_study_is_said_to_be_none(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("width", [80, 160])
def test_a_table_fits_its_terminal_and_shows_every_row(study: Study, width: int) -> None:
    study.trial({90: 0.2}, "complete", readout="bce", learning_rate=0.00123456)
    study.trial({10: 0.3}, "prune", readout="tanh_mse", learning_rate=0.1)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))
    console.print(render(study.board(), width))
    console.file.close()
    text = console.export_text()
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= width
    for expected in ("512->1 bce", "lr=0.00123", "tanh_mse", ".2000", "prior", ".2470", "a leak"):
        assert expected in text


def test_markdown_and_csv_hold_a_line_for_each_row_and_baseline(study: Study) -> None:
    study.trial({90: 0.2}, "complete")
    board = study.board()
    assert sum(line.startswith("|") for line in markdown(board).splitlines()) == 4
    lines = comma_separated(board).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("1,512->1,512->1,0.2,")
    assert lines[2].startswith(",prior,,0.247,") and ",baseline," in lines[2]
    assert len({line.count(",") for line in lines}) == 1


def test_printed_json_has_a_row_a_line_and_the_table_names_what_it_leaves_out(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(103):
        study.trial({90: 0.2 + number / 1000}, "complete", lr=float(number))
    command = ["leaderboard", str(study.folder.path)]
    assert main([*command, "--format", "json"]) == 0
    text = capsys.readouterr().out
    board = json.loads(text)
    assert board == json.loads(json.dumps(leaderboard_json(read_leaderboard(study.folder))))
    assert sum('"trial_ids"' in line for line in text.splitlines()) == len(board["rows"]) == 103
    assert main(command) == 0
    assert "3 more rows" in capsys.readouterr().out
    assert main([*command, "--top", "103"]) == 0
    assert "more rows" not in capsys.readouterr().out


def test_top_hides_rows_and_says_so(study: Study) -> None:
    for number in range(3):
        study.trial({90: 0.2 + number / 100}, "complete", lr=float(number))
    text = markdown(study.board(), top=1)
    assert "2 more rows" in text
    assert "lr=2" not in text


def test_a_narrow_table_rounds_an_interval_instead_of_cutting_it(study: Study) -> None:
    study.trial({100: 0.2}, end="COMPLETE")
    board = study.board()
    row = replace(board.rows[0], value_loss=0.2, value_loss_low=0.1862, value_loss_high=0.2138)
    console = Console(width=80, record=True)
    console.print(render(replace(board, rows=(row,)), 80))
    assert ".2000±.014" in console.export_text()  # of .0138
