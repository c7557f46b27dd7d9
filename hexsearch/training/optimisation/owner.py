"""Some parts of a network with their own optimiser, clipping, gradient monitor and dropout."""

from __future__ import annotations

from typing import Any

import torch

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.model.network import Parted
from hexsearch.training.monitors.gradients import GradientMonitor
from hexsearch.training.optimisation.optimiser import (
    build_optimiser,
    clip_gradients,
    load_optimiser,
)
from hexsearch.training.optimisation.schedule import set_learning_rate
from hexsearch.training.seeds import OwnGenerator, derive_seed


class Owner:
    """Trains some parts of a network.

    Attributes:
        gradients: the gradient monitor of these parts.
        randomness: the generator for dropout in these parts.
    """

    def __init__(
        self, parts: Parted, config: OptimiserConfig, seed: int, device: torch.device
    ) -> None:
        self._parts, self._config, self._device = parts, config, device
        self.optimiser = build_optimiser(parts, config, device)
        self.gradients = GradientMonitor(parts, config.clip)
        self.randomness = OwnGenerator(derive_seed(seed, "dropout"), device)

    def prepare(self, progress: float) -> None:
        """Set the learning rate and clear the gradients of the last step."""
        set_learning_rate(self.optimiser, self._config, progress)
        self.optimiser.zero_grad(set_to_none=True)

    def step(self, scaler: torch.amp.GradScaler, look: bool) -> None:
        """Unscale and clip the gradients, then update the weights.

        Args:
            look: sample this step with the monitor.
        """
        scaler.unscale_(self.optimiser)
        if look:
            self.gradients.before_clipping()
        norm = clip_gradients(self._parts, self._config.clip)
        if look:
            self.gradients.before_step(norm)
        scaler.step(self.optimiser)
        if look:
            self.gradients.after_step()

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "gradients": self.gradients.state(),
            "rng": self.randomness.state,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`.

        Raises:
            ValueError: it does not fit.
        """
        load_optimiser(self.optimiser, state["optimiser"])
        self.gradients.load_state(state["gradients"], self._device)
        self.randomness.state = state["rng"]
