from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from hexsearch.cli.leaderboard_command import _row_a_line
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.confirmation import read_confirmation
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.leaderboard.phase_findings import Race
from hexsearch.leaderboard.phase_sentences import confirmation_sentences
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.leaderboard.summary import leader_summary
from hexsearch.ledger.events import (
    Chosen,
    Decided,
    Reported,
    Started,
    StudyOpened,
    Suggested,
)
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.place import Place
from hexsearch.report.table import render
from hexsearch.report.terminal import Console
from hexsearch.report.text_tables import markdown
from hexsearch.statistics.pruning_check import PruningCheck
from hexsearch.training.metrics import GameLosses
from tests.search.simulation import report

PHASES = {"phases": ["search", "pruning_check", "race", "confirm"], "race": {"runs": 7}}


class Written:
    """A study's ledger by hand."""

    def __init__(self, path: Path) -> None:
        self.folder = StudyFolder(path / "study")
        self.rng = np.random.default_rng(0)
        self.base = self.rng.uniform(0.0, 0.4, 200)
        self.ledger = Ledger(self.folder.ledger, clock=lambda: 0.0)
        self.ledger.append(StudyOpened(trials=3, config=PHASES))
        self.counts = {"t": 0, "c": 0}

    def run(
        self,
        letter: str,
        variant: str,
        replicate: int,
        origin: str,
        shift: float,
        end: Literal["complete", "prune"],
    ) -> None:
        """A run whose losses are those of everybody, moved by `shift`, with a little noise."""
        ledger, number = self.ledger, self.counts[letter]
        self.counts[letter] += 1
        name = f"{letter}{number:04d}"
        ledger.append(Suggested(trial=name, number=number, variant=variant, seed=replicate,
                      replicate=replicate, origin=origin, head=variant, config={},
                      values={"value_head": variant}))  # fmt: skip
        ledger.append(Started(trial=name, attempt=1))
        seen = 90 if end == "complete" else 30
        losses = self.base + shift + 0.01 * self.rng.standard_normal(200)
        said = replace(report(seen, float(losses.mean())), validation_loss=0.205)
        ledger.append(Reported(trial=name, report=said))
        rung = None if end == "complete" else seen
        ledger.append(Decided(trial=name, positions_seen=seen, decision=end, rung=rung, rank=3,
                      of=7, value_loss=float(losses.mean())))  # fmt: skip
        sums = np.repeat(losses[:, None], 3, axis=1).astype(np.float32)
        evidence = GameLosses(np.arange(200), sums, np.ones((200, 3), dtype=np.int32))
        write_game_losses(self.folder.trial(name), seen, evidence)

    def chosen(self, *variants: str) -> None:
        places = [Place(v, v, 0.2, 0.203, 2) for v in variants]
        self.ledger.append(Chosen(places=places))

    def close(self) -> None:
        self.ledger.close()

    @property
    def history(self) -> StudyHistory:
        return StudyHistory.read(self.folder.ledger)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Written]:
    written = Written(tmp_path)
    yield written
    written.close()


def searched(study: Written) -> None:
    study.run("t", "good", 0, "enumerated", 0.0, "complete")
    study.run("t", "poor", 0, "enumerated", 0.1, "complete")
    study.run("t", "cut", 0, "enumerated", 0.2, "prune")
    study.run("t", "good", 1, "race", 0.0, "complete")
    study.run("t", "cut", 0, "pruning_check", 0.15, "complete")


def confirmed(study: Written, baseline: float) -> None:
    study.chosen("good")
    for seed in range(3):
        study.run("c", "good", seed, "winner", 0.01, "complete")
        study.run("c", "base", seed, "baseline", baseline, "complete")


def test_winner_and_baseline_are_compared_on_test_games_in_pairs(study: Written) -> None:
    searched(study)
    confirmed(study, baseline=0.05)
    study.close()
    found = read_confirmation(study.history, study.folder)
    assert found is not None and found.games == 200 and (found.done, found.planned) == (6, 6)
    winner, baseline = found.rows
    assert (winner.kind, baseline.kind) == ("winner", "baseline")
    assert winner.search_loss == 0.2 and winner.expected_value_loss == 0.203
    assert winner.optimism == pytest.approx(winner.test_loss - 0.2)
    assert winner.test_low < winner.test_loss < winner.test_high
    assert baseline.optimism is None and winner.to_winner == 0.0
    assert 0.035 < baseline.to_winner_low < 0.04 < baseline.to_winner_high < 0.045
    # Paired, the difference is known far better than either score.
    width = baseline.to_winner_high - baseline.to_winner_low
    assert width < (baseline.test_high - baseline.test_low) / 4
    said = " ".join(confirmation_sentences(found))
    assert "in the search it had 0.2000" in said and "3 fresh seeds" in said
    assert "the baseline base is worse than the winner by 0.04" in said


@pytest.mark.parametrize(("baseline", "word"), [(0.01, "is tied"), (-0.05, "is better")])
def test_a_winner_that_does_not_hold_is_not_praised(
    study: Written, baseline: float, word: str
) -> None:
    confirmed(study, baseline)
    found = read_confirmation(study.history, study.folder)
    assert found is not None
    assert f"the baseline base {word}" in confirmation_sentences(found)[1]


def test_a_second_choice_of_winners_is_said_to_cost_the_test_its_worth(study: Written) -> None:
    confirmed(study, 0.0)
    study.chosen("other")
    found = read_confirmation(study.history, study.folder)
    assert found is not None and found.looks == 2
    assert "winners were chosen 2 times" in confirmation_sentences(found)[-1]


def test_a_confirmation_under_way_shows_how_far_it_is(study: Written) -> None:
    assert read_confirmation(study.history, study.folder) is None
    study.chosen("good")
    found = read_confirmation(study.history, study.folder)
    assert found is not None and found.rows == ()
    assert confirmation_sentences(found) == ["confirmation: 0 of 0 trainings have ended"]
    assert "confirmation" in markdown(read_leaderboard(study.folder))


def test_the_leaderboard_shows_every_phase_in_every_format(
    study: Written,
) -> None:
    searched(study)
    confirmed(study, 0.05)
    study.close()
    board = read_leaderboard(study.folder)
    check, race = board.findings["pruning_check"].found, board.findings["race"].found
    assert isinstance(check, PruningCheck) and isinstance(race, Race)
    assert (check.pruned, check.checked, check.beat_the_winner) == (1, 1, 0)
    assert (race.runs, race.budget, race.tied) == (1, 7, 1)
    text = " ".join(leaderboard_sentences(board))
    assert "race: 1 further training of at most 7; the leader is not tied any more" in text
    assert "pruning check: of 1 pruned trial run to the end, 0 beat the winner" in text
    for width in (80, 160):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(render(board, width))
        lines = console.export_text().splitlines()
        assert max(len(line.rstrip()) for line in lines) <= width
        assert any(line.startswith("confirmation: fresh seeds on 200 test games") for line in lines)
    assert "| good | 0.2000 |" in markdown(board)
    plain = json.loads(_row_a_line(leaderboard_json(board)))
    assert plain["confirmation"]["rows"][0]["name"] == "good"
    assert plain["pruning_check"]["rate"] == 0.0 and plain["race"]["runs"] == 1


def test_a_checked_seed_counts_once_and_its_variant_is_ranked_where_it_ended(
    study: Written,
) -> None:
    searched(study)
    rows = {row.name: row for row in read_leaderboard(study.folder).rows}
    cut = rows["cut"]
    assert (cut.seeds, cut.completed, cut.pruned) == (1, 1, 1)
    assert cut.positions_seen == 90 and cut.rank == 3
    assert rows["good"].seeds == 2


def test_the_summary_names_who_was_trained_to_the_end_best_first(study: Written) -> None:
    searched(study)
    history = study.history
    found = leader_summary(history, study.folder)
    assert [place.variant for place in found.places] == ["good", "poor", "cut"]
    assert found.tied == 1
    assert (
        found.places[0].seeds == 2
        and found.places[0].expected_value_loss >= found.places[0].value_loss
    )


def test_without_a_completed_trial_there_is_no_leader(study: Written) -> None:
    study.run("t", "cut", 0, "tpe", 0.1, "prune")
    found = leader_summary(study.history, study.folder)
    assert found.places == () and found.tied == 0
