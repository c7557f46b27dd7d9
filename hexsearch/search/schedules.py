"""The positions seen at which the trials of each phase report or save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hexsearch.config.phases import PHASE_TRIALS, PhaseName
from hexsearch.config.study import StudyConfig
from hexsearch.search.pruning import RungSchedule
from hexsearch.search.space import SearchSpace, position_unit
from hexsearch.training.report_points import report_points, round_up

_COMPARE_REPORTS = 6  # evaluations over the whole budget, unless the study sets report_every
_CONFIRM_SAVES = 10  # checkpoints over the whole budget


@dataclass(frozen=True)
class PhaseSchedules:
    """The rungs of a search, and the report points of every phase.

    Attributes:
        rungs: rungs at which the search compares its trials.
        by_kind: report points by `PhaseTrials.points`. With `saved`, a trial only saves its
            checkpoint at all points except the last.
    """

    rungs: RungSchedule
    by_kind: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, config: StudyConfig, space: SearchSpace) -> PhaseSchedules:
        """The schedules of a study. Every point is a whole number of batches."""
        unit = position_unit(space)
        rungs = RungSchedule.of(config.scheduler, unit)
        # Heads on one trunk have one batch size. A search may have several.
        shared = RungSchedule.of(config.scheduler, space.default.batch_size)
        every = shared.report_every or max(1, shared.max_positions // _COMPARE_REPORTS)
        # There are whole batches between checkpoints, so that `train` gives the same run.
        save_every = round_up(max(1, rungs.max_positions // _CONFIRM_SAVES), unit)
        return cls(
            rungs,
            {
                "shared_trunk": report_points(shared.max_positions, every, ()),
                "rungs": report_points(rungs.max_positions, rungs.report_every, rungs.rungs),
                "saved": report_points(rungs.max_positions, save_every, ()),
            },
        )

    def points(self, phase: PhaseName) -> tuple[int, ...]:
        """The report points of a phase's trials, in order."""
        return self.by_kind[PHASE_TRIALS[phase].points]

    def max_positions(self, phase: PhaseName) -> int:
        """The number of positions after which a trial of a phase is complete."""
        return self.points(phase)[-1]
