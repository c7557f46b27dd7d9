"""The policy head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hexsearch.config.section import Section


class PolicyHeadConfig(Section):
    """Trunk features to one logit for each cell."""

    family: Literal["linear"] = "linear"  # mean pooling, then one linear layer
    weight: float = Field(1.0, ge=0.0)  # of the policy loss in the training loss; 0 leaves it out
