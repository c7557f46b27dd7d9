"""Everything about a study that its page is made from, read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hexsearch.leaderboard.confirmation import read_confirmation
from hexsearch.leaderboard.leaderboard import Leaderboard, build_leaderboard, state_of
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Record, read_ledger


@dataclass(frozen=True)
class Study:
    """A study as it stands on the disk.

    Attributes:
        opening: the record that the study began with: configuration, versions, games.
    """

    folder: StudyFolder
    records: list[Record]
    history: StudyHistory
    board: Leaderboard

    @property
    def opening(self) -> dict[str, Any]:
        """Nothing where a driver was killed before its first record."""
        return self.history.study

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as plain mappings."""
        config: dict[str, Any] = self.opening.get("config", {})
        return config

    @property
    def question(self) -> str:
        """What the study asks."""
        return str(self.config.get("question", self.folder.name))


def read_study(folder: StudyFolder) -> Study:
    """A study's records and its leaderboard.

    Raises:
        LedgerError: no study, or a damaged ledger.
    """
    records = read_ledger(folder.ledger)
    history = StudyHistory.of(records)
    board = build_leaderboard(history, folder, state=state_of(history, folder))
    return Study(folder, records, history, replace(board, confirmation=read_confirmation(folder)))
