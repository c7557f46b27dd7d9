"""What a study does besides searching: tournament before, replicates and confirmation after."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hexsearch.config.section import Section

StageName = Literal["tournament", "search", "confirm"]


class TournamentConfig(Section):
    """All value heads (and read-outs) of a finite space, trained on one trunk at once."""

    seeds: int = Field(3, ge=1)
    # joint: the trunk learns from the policy and the mean of the heads; probe: from the policy
    mode: Literal["joint", "probe"] = "joint"
    keep: int = Field(
        4, ge=1
    )  # as a study's first stage: at most so many heads go on to the search


class ReplicatesConfig(Section):
    """Further seeds, after the search, for variants that cannot be told from the leader."""

    max_seeds: int = Field(1, ge=1)  # of one variant; 1 leaves it at what the search ran
    trials: int = Field(20, ge=1)  # that may be spent in all


class ConfirmConfig(Section):
    """Winners and a baseline, trained anew at full budget and judged once on the test split."""

    winners: int = Field(1, ge=1)  # at most so many of those tied with the leader
    seeds: int = Field(3, ge=1)  # fresh ones for each
    baseline: str = "512->1"  # value head of the baseline; all else is as in `trial`
