"""What a study does besides proposing: the batches that its phases plan, in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hexsearch.config.phases import PhaseName
from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.summary import leader_summary
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory
from hexsearch.search.reruns import Batch, LeaderSummary, pruning_check_reruns, race_reruns
from hexsearch.search.space import SearchSpace
from hexsearch.study.comparison import comparison_outcome, comparison_runs
from hexsearch.study.confirmation import confirmation_batch

Summarise = Callable[[StudyHistory, StudyFolder], LeaderSummary]


@dataclass(frozen=True)
class Plans:
    """What a phase may read to plan its next batch.

    Attributes:
        history: of all trials so far.
        summarise: says who leads in a part of a history.
    """

    config: StudyConfig
    space: SearchSpace
    folder: StudyFolder
    history: StudyHistory
    summarise: Summarise

    @property
    def searched(self) -> StudyHistory:
        """The search and its reruns alone."""
        return self.history.only(SEARCHED)

    def summary(self, phases: Collection[PhaseName] = SEARCHED) -> LeaderSummary:
        """Who leads among the trials of some phases."""
        return self.summarise(self.history.only(phases), self.folder)


@dataclass(frozen=True)
class PhasePlanner:
    """The planner of one study; see hexsearch.search.reruns.Planner.

    The engine asks before the search, where a comparison comes first, and after it.
    """

    config: StudyConfig
    space: SearchSpace
    folder: StudyFolder
    summarise: Summarise = leader_summary

    def __call__(self, history: StudyHistory) -> Batch:
        """The first phase that is not through says what is to be trained."""
        plans = Plans(self.config, self.space, self.folder, history, self.summarise)
        for phase in self.config.phases:
            batch = PLANNERS[phase](plans) if phase in PLANNERS else Batch()
            if batch:
                return batch
        return Batch()


def _comparison(plans: Plans) -> Batch:
    """Heads that are not planned yet; then what the comparison led to."""
    if plans.history.compared is not None:
        return Batch()
    compared = plans.history.only({"compare"})
    planned = {(trial.variant, trial.replicate) for trial in compared.trials.values()}
    runs = tuple(
        run
        for run in comparison_runs(plans.config, plans.space)
        if (run.variant, run.replicate) not in planned
    )
    if runs or "search" not in plans.config.phases:
        return Batch(runs)
    summary = plans.summary({"compare"})
    return Batch(note=comparison_outcome(plans.config, plans.space, compared, summary))


def _pruning_check(plans: Plans) -> Batch:
    """Pruned trials that were drawn and have not been run to the end."""
    config = plans.config
    reruns = pruning_check_reruns(plans.searched, config.run.seed, config.pruning_check.share)
    return Batch(tuple(reruns))


def _race(plans: Plans) -> Batch:
    """Further seeds while the lead is not decided."""
    return Batch(tuple(race_reruns(plans.searched, plans.summary(), plans.config.race)))


def _confirm(plans: Plans) -> Batch:
    """Winners and the baseline that are not trained anew yet."""
    return confirmation_batch(plans.config, plans.history, plans.summary())


# One function a phase that trains; its settings and its trials' traits are in config/phases.py.
PLANNERS: Mapping[PhaseName, Callable[[Plans], Batch]] = MappingProxyType(
    {
        "compare": _comparison,
        "pruning_check": _pruning_check,
        "race": _race,
        "confirm": _confirm,
    }
)
