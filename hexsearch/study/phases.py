"""What a study does besides proposing: the batches that its phases plan, in their order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.summary import leader_summary
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, Phase, StudyHistory
from hexsearch.search.reruns import Batch, LeaderSummary, pruning_check_reruns, race_reruns
from hexsearch.search.space import SearchSpace
from hexsearch.study.comparison import comparison_outcome, comparison_runs
from hexsearch.study.confirmation import confirmation_batch


@dataclass(frozen=True)
class PhasePlanner:
    """The planner of one study; see hexsearch.search.reruns.Planner.

    The engine asks before the search, where a comparison comes first, and after it.
    """

    config: StudyConfig
    space: SearchSpace
    folder: StudyFolder

    def __call__(self, history: StudyHistory) -> Batch:
        """The first phase that is not through says what is to be trained."""
        phases = self.config.phases
        if "compare" in phases and history.compared is None:
            batch = self._comparison(history)
            if batch or "search" not in phases:
                return batch
        searched = history.only(SEARCHED)
        if "pruning_check" in phases:
            share = self.config.pruning_check.share
            checked = pruning_check_reruns(searched, self.config.run.seed, share)
            if checked:
                return Batch(tuple(checked))
        if "race" in phases:
            raced = race_reruns(searched, self._summary(history, SEARCHED), self.config.race)
            if raced:
                return Batch(tuple(raced))
        if "confirm" in phases:
            return confirmation_batch(self.config, history, self._summary(history, SEARCHED))
        return Batch()

    def _comparison(self, history: StudyHistory) -> Batch:
        """Heads that are not planned yet; then what the comparison led to."""
        compared = history.only({"compare"})
        planned = {(trial.variant, trial.replicate) for trial in compared.trials.values()}
        runs = tuple(
            run
            for run in comparison_runs(self.config, self.space)
            if (run.variant, run.replicate) not in planned
        )
        if runs or "search" not in self.config.phases:
            return Batch(runs)
        summary = self._summary(history, {"compare"})
        return Batch(note=comparison_outcome(self.config, self.space, compared, summary))

    def _summary(self, history: StudyHistory, phases: Collection[Phase]) -> LeaderSummary:
        return leader_summary(history.only(phases), self.folder)
