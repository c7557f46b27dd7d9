"""Auxiliary heads: what else the trunk is taught, and how much of each; by default nothing."""

from __future__ import annotations

from pydantic import Field

from hexsearch.config.section import MAX_PLIES, MAX_WEIGHT, Section

# What a weight stands for: a head, its loss and its targets; the order in which they are built.
AUXILIARY_HEADS = ("moves_left", "ownership", "winning_chain", "future_stones")


class FutureStonesConfig(Section):
    """Who puts a stone where within the next moves."""

    weight: float = Field(
        0.0, ge=0.0, le=MAX_WEIGHT, description="in the training loss; 0 leaves the head out"
    )
    plies: int = Field(8, ge=1, le=MAX_PLIES, description="how far ahead, in plies")


class AuxiliaryConfig(Section):
    """Weights in the training loss of what is asked of the trunk beside value and policy.

    0 leaves a head out: it is not built, draws no random number and costs nothing. The heads
    teach the trunk during training; no answer comes from them.
    """

    moves_left: float = Field(
        0.0,
        ge=0.0,
        le=MAX_WEIGHT,
        description="How long the game still lasts, in pairs of plies, which say nothing of who "
        "ends it.",
    )
    ownership: float = Field(
        0.0, ge=0.0, le=MAX_WEIGHT, description="whose stone lies on each free cell at the end"
    )
    winning_chain: float = Field(
        0.0, ge=0.0, le=MAX_WEIGHT, description="which cells join the winner's edges at the end"
    )
    future_stones: FutureStonesConfig = Field(
        default_factory=FutureStonesConfig,
        description="who puts a stone where within the next moves",
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weights above 0 by head, in the order of AUXILIARY_HEADS."""
        weights = {
            "moves_left": self.moves_left,
            "ownership": self.ownership,
            "winning_chain": self.winning_chain,
            "future_stones": self.future_stones.weight,
        }
        return {name: weights[name] for name in AUXILIARY_HEADS if weights[name] > 0.0}
