"""Plans the trials of a study's phases, in their order; the engine itself plans the search."""

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
    """The data from which a phase plans its next batch.

    Attributes:
        history: history of all trials.
        summarise: function that gives the leaders of a part of a history.
    """

    config: StudyConfig
    space: SearchSpace
    folder: StudyFolder
    history: StudyHistory
    summarise: Summarise

    @property
    def searched(self) -> StudyHistory:
        """The history of the search and its reruns alone."""
        return self.history.only(SEARCHED)

    def summary(self, phases: Collection[PhaseName] = SEARCHED) -> LeaderSummary:
        """The leaders among the trials of the given phases."""
        return self.summarise(self.history.only(phases), self.folder)


@dataclass(frozen=True)
class PhasePlanner:
    """The planner of one study; see hexsearch.search.reruns.Planner.

    The engine calls it after the search, and also before it if a comparison comes first.
    """

    config: StudyConfig
    space: SearchSpace
    folder: StudyFolder
    summarise: Summarise = leader_summary

    def __call__(self, history: StudyHistory) -> Batch:
        """The next batch of the first phase that is not complete."""
        plans = Plans(self.config, self.space, self.folder, history, self.summarise)
        for phase in self.config.phases:
            batch = PLANNERS[phase](plans) if phase in PLANNERS else Batch()
            if batch:
                return batch
        return Batch()


def _comparison(plans: Plans) -> Batch:
    """Heads that are not planned yet; then the result of the comparison."""
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
    """Further seeds while variants are tied with the leader."""
    return Batch(tuple(race_reruns(plans.searched, plans.summary(), plans.config.race)))


def _confirm(plans: Plans) -> Batch:
    """Runs of winners and the baseline that are not planned yet."""
    return confirmation_batch(plans.config, plans.history, plans.summary())


# One function for each phase that trains. config/phases.py has the settings of the phases.
PLANNERS: Mapping[PhaseName, Callable[[Plans], Batch]] = MappingProxyType(
    {
        "compare": _comparison,
        "pruning_check": _pruning_check,
        "race": _race,
        "confirm": _confirm,
    }
)
