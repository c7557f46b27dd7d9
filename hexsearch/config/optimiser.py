"""Optimiser and learning-rate schedule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hexsearch.config.section import Section


class OptimiserConfig(Section):
    """Optimiser and learning-rate schedule, laid over the trial's whole budget."""

    # muon: orthogonal steps for the trunk's matrices and kernels, adamw for everything else.
    name: Literal["adamw", "sgd", "muon"] = "adamw"
    learning_rate: float = Field(4e-3, gt=0.0)
    weight_decay: float = Field(1e-2, ge=0.0)  # decoupled; never on norms and biases
    momentum: float = Field(0.9, ge=0.0, lt=1.0)  # sgd and muon (Nesterov); adamw's beta1
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    warmup: float = Field(0.1, ge=0.0, lt=1.0)  # share of the budget with a rising rate
    clip: float = Field(4.0, gt=0.0)  # largest global gradient norm
    # Half-life, in positions, of the averaged weights that are evaluated; 0: the last weights are.
    ema_half_life: int = Field(0, ge=0)
    value_lr_factor: float = Field(1.0, ge=0.0)  # on the value head's learning rate
    value_decay_factor: float = Field(1.0, ge=0.0)  # on the value head's weight decay
