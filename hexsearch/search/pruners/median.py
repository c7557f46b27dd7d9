"""Median stopping: prune trials that are worse than the median after equal positions.

Source: Golovin et al., "Google Vizier", KDD 2017. The value at a report takes the place of the
running average.
"""

from __future__ import annotations

from collections.abc import Iterable

from hexsearch.config.scheduler import SchedulerConfig
from hexsearch.search.pruners.asha import AshaPruner


class MedianPruner(AshaPruner):
    """Compares at every report, after five other trials have reached it."""

    least = 5  # a median of fewer trials says little

    @classmethod
    def levels(cls, config: SchedulerConfig) -> Iterable[int]:
        """Every report from the grace period on."""
        every = config.report_every or config.first_rung
        return range(config.first_rung, config.max_t, every)

    @property
    def share(self) -> float:
        """Half."""
        return 0.5
