"""Comparison of value heads on shared trunks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hexsearch.config.phases import PhaseSection
from hexsearch.config.section import MAX_TEXT


class CompareConfig(PhaseSection):
    """All value heads (and read-outs) of a finite space are trained together on one trunk."""

    seeds: int = Field(3, ge=1, le=1000, description="number of trunks, each with another seed")
    mode: Literal["joint", "probe"] = Field(
        "joint",
        description="joint: the trunk learns from the policy, the auxiliary heads and the mean of "
        "the value heads; probe: not from the value heads",
    )
    enqueue: int = Field(
        5,
        ge=0,
        le=1000,
        description="If a search follows: it tries this number of the best heads first.",
    )
    trunk: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="Mode probe: path of a checkpoint (model.pt or checkpoint.pt), relative to the "
        "working directory. Its trunk and policy head are frozen, and only the value heads are "
        "trained.",
    )
    trunk_hash: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="hash of that file; hexsearch sets it when the comparison begins",
    )

    def trainings(self, pruned: float) -> float:
        """One for each seed, since all heads share a trunk and most of its cost."""
        return self.seeds

    @model_validator(mode="after")
    def _frozen_fits(self) -> CompareConfig:
        if self.trunk is not None and self.mode != "probe":
            raise ValueError(
                f"mode {self.mode} trains the trunk, but trunk: {self.trunk} is frozen; use mode "
                "probe, or leave the trunk out"
            )
        if self.trunk_hash is not None and self.trunk is None:
            raise ValueError("trunk_hash is given without a trunk; leave it out")
        return self
