"""The rungs of a study, and its pruning rule."""

from __future__ import annotations

from dataclasses import dataclass

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.pruners import PRUNERS
from hexsearch.search.pruners.base import Decision, Paired, Pruner
from hexsearch.training.report_points import round_up

__all__ = ["Decision", "Pruner", "RungSchedule", "make_pruner"]


@dataclass(frozen=True)
class RungSchedule:
    """The positions at which the trials of a study report, in whole batches."""

    rungs: tuple[int, ...]
    max_positions: int  # max_t in whole batches
    report_every: int | None

    @property
    def levels(self) -> tuple[int, ...]:
        """The rungs, and the end."""
        return (*self.rungs, self.max_positions)

    @classmethod
    def of(cls, config: SchedulerConfig, unit: int) -> RungSchedule:
        """The schedule, with rungs rounded up to a multiple of `unit`."""
        max_positions = round_up(config.max_t, unit)
        levels = PRUNERS[config.name].levels(config)
        rungs = tuple(sorted({round_up(level, unit) for level in levels} - {max_positions}))
        apart = round_up(config.report_every, unit) if config.report_every else None
        return cls(rungs, max_positions, apart)


def make_pruner(
    config: SchedulerConfig,
    schedule: RungSchedule,
    outlook: Outlook | None = None,
    paired: Paired | None = None,
) -> Pruner:
    """The pruning rule that a study names, for its rungs."""
    pruner = PRUNERS[config.name](config, schedule.rungs, schedule.max_positions)
    pruner.outlook, pruner.paired = outlook, paired
    return pruner
