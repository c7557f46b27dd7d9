"""Median stopping: stop what is worse than the median at the same positions.

Source: Golovin et al., "Google Vizier", KDD 2017, with the value at the same positions in place
of running averages.
"""

from __future__ import annotations

from collections.abc import Iterable

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.search.pruners.asha import AshaPruner


class MedianPruner(AshaPruner):
    """Compares at every report, once five trials are known there."""

    least = 5  # of fewer trials a median says little

    @classmethod
    def levels(cls, config: SchedulerConfig) -> Iterable[int]:
        """Every report from the grace period on."""
        every = config.report_every or config.first_rung
        return range(config.first_rung, config.max_t, every)

    @property
    def share(self) -> float:
        """Half."""
        return 0.5
