"""The positions seen at which a trial reports, and what positions of different networks count.

With `scheduler.equal_compute: small`, a position counts as many as its network needs operations
for it, in positions of the trunk `small`. A network with four times the operations then trains on
a quarter of the positions, and all trials have cost the same wherever they are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.encoder import PositionEncoder
from hexsearch.errors import TrialError
from hexsearch.model.cost import count_flops
from hexsearch.model.network import build_network


def report_points(max_positions: int, every: int | None, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Positions at which a trial reports: its rungs, each multiple of `every`, and its last.

    >>> report_points(max_positions=100, every=40, rungs=(10, 30))
    (10, 30, 40, 80, 100)
    """
    regular = range(every, max_positions, every) if every else ()
    return tuple(sorted({*rungs, *regular, max_positions} - {0}))


def round_up(positions: int, unit: int) -> int:
    """`positions` rounded up to a multiple of a batch size, so that trials stop exactly there."""
    return math.ceil(positions / unit) * unit


@dataclass(frozen=True)
class PositionCount:
    """How the positions that a trial trains on count in its study.

    Attributes:
        points: counted positions at which the trial reports, in order.
        own: positions that it has trained on at these points.
        cost: what one of its positions counts.
    """

    points: tuple[int, ...]
    own: tuple[int, ...]
    cost: float = 1.0

    @classmethod
    def plain(cls, points: Sequence[int]) -> PositionCount:
        """Every position counts as one."""
        return cls(tuple(points), tuple(points))

    @classmethod
    def of(
        cls, points: Sequence[int], config: TrialConfig, data: DataConfig, reference: str | None
    ) -> PositionCount:
        """The count of a trial.

        Args:
            reference: preset of the trunk whose positions count as one; None counts every position
                as one.
        Raises:
            TrialError: two points are within one batch of each other, or no operation is counted.
        """
        if reference is None:
            return cls.plain(points)
        counted = operations(config, data)
        if not counted:
            raise TrialError(
                "scheduler.equal_compute: torch counts no operations in this network, so its "
                "positions have no cost; leave out equal_compute"
            )
        cost = counted / operations(reference_trial(reference), data)
        batch = config.batch_size
        own = tuple(max(1, round(point / cost / batch)) * batch for point in points)
        if len(set(own)) < len(own):
            raise TrialError(
                f"scheduler.equal_compute: {reference}: with {cost:.1f} times its operations, two "
                f"reports of a trial of {config.trunk.name} fall into one batch of {batch}. Raise "
                "scheduler.max_t or scheduler.grace_period"
            )
        return cls(tuple(points), own, cost)

    def counted(self, own: int) -> int:
        """What positions count; exactly a point where the trial stands at one."""
        if own in self.own:
            return self.points[self.own.index(own)]
        following = next((at for at, seen in enumerate(self.own) if seen > own), None)
        if following is None:
            return round(own * self.cost)
        least = self.points[following - 1] if following else 0
        return min(max(round(own * self.cost), least), self.points[following] - 1)


def operations(config: TrialConfig, data: DataConfig) -> int:
    """Operations of a forward pass over one position, with every head that is trained.

    The backward pass takes about twice as many in every network, so ratios are those of training.
    """
    encoder = PositionEncoder.of(config.encoder, data.board_size)
    network = build_network(config, encoder.planes, encoder.size, seed=0).eval()
    planes = torch.zeros(1, encoder.planes, encoder.side, encoder.side)
    with torch.no_grad():
        return count_flops(partial(network, auxiliary=True), planes)


def reference_trial(preset: str) -> TrialConfig:
    """The default trial with a trunk by name, whose positions count as one."""
    return build(TrialConfig, {"trunk": preset}, "trial")
