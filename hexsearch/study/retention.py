"""Which checkpoints a study keeps: those that a trial may go on from, and the best."""

from __future__ import annotations

from bisect import insort

from hexsearch.backend.file_sync import TrialFiles
from hexsearch.ledger.history import StudyHistory, TrialHistory


class CheckpointRetention:
    """Removes the checkpoints of trials that have ended, all but the best completed.

    Args:
        best: how many completed trials keep theirs.
    """

    def __init__(self, files: TrialFiles, best: int, history: StudyHistory) -> None:
        self._files, self._best = files, best
        self._kept: list[tuple[float, int, str]] = []  # value loss, number, trial; best first
        for trial in history.trials.values():
            if trial.told:
                self.ended(trial)

    def ended(self, trial: TrialHistory) -> None:
        """A trial was told to the searcher; it will never go on."""
        if trial.status != "completed" or trial.is_control:
            self._files.drop_checkpoint(trial.trial)
            return
        insort(self._kept, (trial.value_loss or 0.0, trial.number, trial.trial))
        for _, _, loser in self._kept[self._best :]:
            self._files.drop_checkpoint(loser)
        del self._kept[self._best :]
