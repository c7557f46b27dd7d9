"""The content of a study from which its page is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.data.archive import open_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import HexsearchError
from hexsearch.leaderboard.leaderboard import Leaderboard, leaderboard_of
from hexsearch.ledger.events import Reported, StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import read_events


@dataclass(frozen=True)
class Study:
    """A study, as it was when its files were read.

    Attributes:
        reports: all reports, in the order of the ledger.
        board: leaderboard of the search and its reruns, or of the comparison if it is the only
            phase.
    """

    folder: StudyFolder
    reports: list[Reported]
    history: StudyHistory
    board: Leaderboard

    @property
    def opening(self) -> StudyOpened:
        """The first event of the study, with configuration, versions and games."""
        return self.history.study

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration; empty if the driver was killed before its first record."""
        return self.opening.config

    @property
    def question(self) -> str:
        """The question of the study."""
        return str(self.config.get("question", self.folder.name))

    @cached_property
    def games(self) -> Dataset | str:
        """The study's copy of its games, or the reason why it cannot be read."""
        try:
            return Dataset(
                open_archive(self.folder.archive), build(DataConfig, self.config["data"], "data")
            )
        except HexsearchError as error:
            return str(error)
        except KeyError:
            return "the first record of the study holds no configuration"

    @cached_property
    def trials(self) -> dict[str, TrialHistory]:
        """The trials that the leaderboard ranks."""
        return {
            name: self.history.trials[name] for row in self.board.rows for name in row.trial_ids
        }

    @cached_property
    def comparison(self) -> Leaderboard | None:
        """Leaderboard of the heads on shared trunks, if that is one of several phases."""
        phases = {trial.phase for trial in self.history.trials.values()}
        if "compare" not in phases or not phases & SEARCHED:
            return None
        return leaderboard_of(self.history, self.folder, phase="compare")


def read_study(folder: StudyFolder) -> Study:
    """A study's reports and its leaderboard.

    Raises:
        LedgerError: no study, or a damaged ledger.
    """
    events = read_events(folder.ledger)
    history = StudyHistory.of(events)
    reports = [event for event in events if isinstance(event, Reported)]
    return Study(folder, reports, history, leaderboard_of(history, folder))
