"""Decides which checkpoints a study keeps: those of unfinished trials and of the best ones."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable

from hexsearch.backend.remote.trial_files import TrialFiles
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory


class CheckpointRetention:
    """Removes the checkpoints of ended trials, except those of the best completed trials.

    The checkpoints of comparisons and confirmations are few and are kept. The checkpoint of a
    comparison's whole job is removed when each head has its own.

    Args:
        best: number of completed trials of the search whose checkpoints are kept.
        paused_bytes: disk space for the checkpoints of all paused trials together.
    """

    def __init__(
        self, files: TrialFiles, best: int, paused_bytes: float, history: StudyHistory
    ) -> None:
        self._files, self._best, self._history = files, best, history
        self._paused_bytes = paused_bytes
        self._paused: dict[str, int] = {}  # trial -> bytes of its checkpoint
        self._total = 0  # bytes of all of them
        self._kept: list[tuple[float, int, str]] = []  # value loss, number, trial; best first
        for trial in history.trials.values():
            if trial.told:
                self.ended(trial)

    def ended(self, trial: TrialHistory) -> None:
        """Handle the end of a trial, after the searcher was told."""
        if trial.job != trial.trial:
            if all(head.status in ENDED for head in self._history.trials_of(trial.job)):
                self._files.drop_checkpoint(trial.job)
            return
        if trial.status == "paused":
            self.leave(trial.trial)
            self._paused[trial.trial] = self._files.checkpoint_bytes(trial.trial)
            self._total += self._paused[trial.trial]
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

    def leave(self, trial: str) -> None:
        """Count the checkpoint of a trial no more, since it goes on or is removed."""
        self._total -= self._paused.pop(trial, 0)

    def surplus(self, least_first: Callable[[], Iterable[str]]) -> list[str]:
        """Paused trials whose checkpoints exceed the allowed disk space.

        Args:
            least_first: function for the paused trials, the least promising one first. It is called
                only if there is something to remove.
        """
        total, removed = self._total, []
        if total > self._paused_bytes:
            for name in least_first():
                total -= self._paused.get(name, 0)
                removed.append(name)
                if total <= self._paused_bytes:
                    break
        return removed

    def discard(self, trial: str) -> None:
        """Remove the checkpoint of a paused trial, after the ledger has recorded it as pruned."""
        self.leave(trial)
        self._files.drop_checkpoint(trial)
