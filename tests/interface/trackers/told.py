"""A study of two trials, told to a callback as a driver would."""

from __future__ import annotations

from pathlib import Path

import hexsearch as hs
from hexsearch.interface.callbacks import CallbackListener
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import TrialHistory
from hexsearch.search.engine import Engine
from hexsearch.study.listener import Listener
from tests.search.simulation import curve, make_engine, next_trial, study_config


class ToldStudy:
    """An engine whose events reach one callback.

    Attributes:
        warnings: what the callback raised, as it was said.
    """

    def __init__(self, folder: Path, callback: hs.Callback) -> None:
        self.warnings: list[str] = []
        study = hs.Study(StudyFolder(folder))
        self._heard = CallbackListener(study, [callback], Listener(self.warnings.append))
        self.engine: Engine = make_engine(
            folder / "ledger.jsonl",
            study_config(),
            slots=lambda: 2,
            observe=lambda event: self._heard.listener.record(event, self.engine.history),
        )

    def begin(self) -> TrialHistory:
        """The next trial, with a worker."""
        trial = next_trial(self.engine)
        assert isinstance(trial, TrialHistory)
        self.engine.start(trial.trial)
        return trial

    def report(self, trial: TrialHistory, positions: int) -> None:
        """One report of a trial."""
        self.engine.report(trial.trial, curve(trial, positions))

    def end(self) -> None:
        """The driver stops."""
        self.engine.ledger.close()
        self._heard.ended()
        assert self.warnings == []


def tell_two_trials(folder: Path, callback: hs.Callback) -> ToldStudy:
    """Two trials side by side: the first completes, the second is still running at the end."""
    told = ToldStudy(folder, callback)
    first, second = told.begin(), told.begin()
    for positions in (64, 192, 576, 1728):
        told.report(first, positions)
        if positions == 64:
            told.report(second, 32)
    told.end()
    return told
