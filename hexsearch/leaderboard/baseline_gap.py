"""The difference between the best row and the best baseline, paired by game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexsearch.leaderboard.paired_losses import common_table
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import baseline_folder, read_game_losses
from hexsearch.ledger.report import Baseline
from hexsearch.statistics.intervals import game_variance, interval


@dataclass(frozen=True)
class BaselineGap:
    """A row against a baseline.

    Attributes:
        row, baseline: their names.
        difference: value loss of the row minus that of the baseline, over the same games; low and
            high: its 95% interval over games.
    """

    row: str
    baseline: str
    difference: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The result in words."""
        size = f"{abs(self.difference):.4f}"
        if self.low <= 0.0 <= self.high:
            bounds = f"95% interval {self.low:+.4f} to {self.high:+.4f}, paired by game"
            return f"{self.row} cannot be told from the {self.baseline} ({bounds})"
        low, high = sorted((abs(self.low), abs(self.high)))
        word = "better" if self.high < 0.0 else "worse"
        bounds = f"95% interval {low:.4f} to {high:.4f}, paired by game"
        return f"{self.row} is {size} {word} than the {self.baseline} ({bounds})"


def baseline_gap(
    row: Row, baselines: Sequence[Baseline], folder: StudyFolder, stage: str | None
) -> BaselineGap | None:
    """Compare a row with the best baseline; None if per-game losses are missing."""
    best = min(baselines, key=lambda each: each.metrics.overall.value_loss, default=None)
    if best is None:
        return None
    runs = [read_game_losses(folder.trial(trial), row.positions_seen) for trial in row.trial_ids]
    losses = [run for run in runs if run is not None]
    beaten = read_game_losses(baseline_folder(folder.path, best.name), 0)
    if not losses or beaten is None:
        return None
    table = common_table([*losses, beaten], folder, stage)
    if table is None:
        return None
    means, influence = table.means, table.influence
    difference = float(means[:-1].mean() - means[-1])
    variance = float(game_variance(influence[:-1].mean(axis=0) - influence[-1]))
    low, high = interval(difference, variance, np.inf)
    return BaselineGap(row.name, best.name, difference, float(low), float(high))
