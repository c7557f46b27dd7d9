"""Optimiser and learning-rate schedule."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hexsearch.config.section import MAX_POSITIONS, Section


class OptimiserConfig(Section):
    """Optimiser and learning-rate schedule. The schedule covers the trial's whole budget."""

    name: Literal["adamw", "sgd", "muon"] = Field(
        "adamw",
        description="muon: orthogonal steps for the trunk's matrices and kernels, adamw for "
        "everything else",
    )
    learning_rate: float = Field(4e-3, gt=0.0, le=100.0, description="highest rate of the schedule")
    weight_decay: float = Field(
        1e-2, ge=0.0, le=100.0, description="decoupled weight decay; not on norms and biases"
    )
    momentum: float = Field(
        0.9, ge=0.0, lt=1.0, description="momentum of sgd and muon (Nesterov); beta1 of adamw"
    )
    schedule: Literal["one_cycle", "cosine", "constant"] = Field(
        "one_cycle", description="schedule of the learning rate after the warm-up"
    )
    warmup: float = Field(0.1, ge=0.0, lt=1.0, description="share of the budget with a rising rate")
    clip: float = Field(4.0, gt=0.0, le=1e9, description="largest global gradient norm")
    ema_half_life: int = Field(
        0,
        ge=0,
        le=MAX_POSITIONS,
        description="Half-life, in positions, of the averaged weights that are evaluated; 0: the "
        "last weights are evaluated.",
    )
    value_lr_factor: float = Field(
        1.0, ge=0.0, le=1000.0, description="factor of the value head's learning rate"
    )
    value_decay_factor: float = Field(
        1.0, ge=0.0, le=1000.0, description="factor of the value head's weight decay"
    )
