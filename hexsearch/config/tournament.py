"""How value heads are compared on shared trunks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hexsearch.config.section import Section


class TournamentConfig(Section):
    """All value heads (and read-outs) of a finite space, trained on one trunk at once."""

    seeds: int = Field(3, ge=1)
    # joint: the trunk learns from the policy (and auxiliary heads) and the mean of the value heads;
    # probe: from all but the value heads
    mode: Literal["joint", "probe"] = "joint"
    # As the first stage of a study: so many heads, best first, begin the search.
    enqueue: int = Field(5, ge=0)
