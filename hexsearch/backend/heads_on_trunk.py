"""One interface over a trial with one head and several heads on a shared trunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.position_set import PositionSet
from hexsearch.model.cost import NetworkCost
from hexsearch.training.frozen_trunk import FrozenTrunk
from hexsearch.training.metrics import Evaluation
from hexsearch.training.report import TrialReport
from hexsearch.training.shared_step import Mode
from hexsearch.training.shared_trial import SharedTrial
from hexsearch.training.trial import Trial


class HeadsOnTrunk:
    """A training of one or more value heads."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        dataset: Dataset,
        *,
        max_positions: int,
        seed: int,
        device: torch.device,
        mode: Mode | None,
        frozen_trunk: FrozenTrunk | None,
    ) -> None:
        self.dataset, self.config = dataset, configs[0]
        self._alone: Trial | None = None
        self._shared: SharedTrial | None = None
        if mode is None:
            self._alone = Trial(configs[0], dataset, max_positions, seed, device)
        else:
            self._shared = SharedTrial(
                configs, dataset, max_positions, seed, mode, device, frozen_trunk
            )

    @property
    def _trial(self) -> Trial | SharedTrial:
        trial = self._alone or self._shared
        assert trial is not None
        return trial

    @property
    def positions_seen(self) -> int:
        return self._trial.positions_seen

    @property
    def is_compiled(self) -> bool:
        return self._trial.execution.compiled

    def train_to(self, positions: int) -> None:
        self._trial.train_to(positions)

    def reports(self) -> Sequence[TrialReport]:
        if self._shared is not None:
            return self._shared.report()
        assert self._alone is not None
        return [self._alone.report()]

    @property
    def costs(self) -> Sequence[NetworkCost]:
        if self._shared is not None:
            return self._shared.costs
        assert self._alone is not None
        return [self._alone.cost]

    def evaluate(self, positions: PositionSet) -> tuple[Evaluation, float]:
        assert self._alone is not None
        return self._alone.evaluate(positions)

    def state(self) -> dict[str, Any]:
        return self._trial.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self._trial.load_state(state)

    def head_states(self) -> Sequence[dict[str, Any]]:
        assert self._shared is not None
        return self._shared.head_states()
