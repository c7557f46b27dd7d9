"""How value heads are compared on shared trunks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hexsearch.config.phases import PhaseSection
from hexsearch.config.section import MAX_TEXT


class CompareConfig(PhaseSection):
    """All value heads (and read-outs) of a finite space, trained on one trunk at once."""

    seeds: int = Field(3, ge=1, le=1000, description="trunks, each with a seed of its own")
    mode: Literal["joint", "probe"] = Field(
        "joint",
        description="joint: the trunk learns from the policy (and auxiliary heads) and the mean of "
        "the value heads; probe: from all but the value heads",
    )
    enqueue: int = Field(
        5,
        ge=0,
        le=1000,
        description="As the first phase of a study: so many heads, best first, begin the search.",
    )
    trunk: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="A checkpoint (model.pt, checkpoint.pt), from the folder that the command runs "
        "in: in mode probe its trunk and policy head are taken and frozen, and only the value "
        "heads train.",
    )
    trunk_hash: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="content of that file, filled in when the comparison begins",
    )

    def trainings(self, pruned: float) -> float:
        """One for each seed: all heads share a trunk, and most of its cost."""
        return self.seeds

    @model_validator(mode="after")
    def _frozen_fits(self) -> CompareConfig:
        if self.trunk is not None and self.mode != "probe":
            raise ValueError(
                f"mode {self.mode} trains the trunk, and trunk: {self.trunk} is a frozen one; "
                "take mode probe, or leave the trunk out"
            )
        if self.trunk_hash is not None and self.trunk is None:
            raise ValueError("trunk_hash is there without a trunk; leave it out")
        return self
