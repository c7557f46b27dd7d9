"""Which checkpoints a study keeps: those that a trial may go on from, and the best."""

from __future__ import annotations

from bisect import insort

from hexsearch.backend.file_sync import TrialFiles
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory


class CheckpointRetention:
    """Removes the checkpoints of trials that have ended, all but the best completed ones.

    Those of comparisons and confirmations are few and are kept; of a comparison the checkpoint of
    the whole job goes once each head has its own.

    Args:
        best: how many completed trials of the search keep theirs.
    """

    def __init__(self, files: TrialFiles, best: int, history: StudyHistory) -> None:
        self._files, self._best, self._history = files, best, history
        self._kept: list[tuple[float, int, str]] = []  # value loss, number, trial; best first
        for trial in history.trials.values():
            if trial.told:
                self.ended(trial)

    def ended(self, trial: TrialHistory) -> None:
        """A trial was told to the searcher; it will never go on."""
        if trial.job != trial.trial:
            if all(head.status in ENDED for head in self._history.trials_of(trial.job)):
                self._files.drop_checkpoint(trial.job)
            return
        if trial.status != "completed" or trial.is_control:
            self._files.drop_checkpoint(trial.trial)
            return
        if trial.phase not in SEARCHED:
            return
        insort(self._kept, (trial.value_loss or 0.0, trial.number, trial.trial))
        for _, _, loser in self._kept[self._best :]:
            self._files.drop_checkpoint(loser)
        del self._kept[self._best :]
