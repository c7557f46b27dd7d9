"""Auxiliary heads and their weights in the training loss. By default there are none."""

from __future__ import annotations

from pydantic import Field

from hexsearch.config.section import MAX_PLIES, MAX_WEIGHT, Section

# The heads that have a weight, in the order in which they are built.
AUXILIARY_HEADS = ("moves_left", "ownership", "winning_chain", "future_stones")


class FutureStonesConfig(Section):
    """Auxiliary head for the stones of the next plies."""

    weight: float = Field(
        0.0, ge=0.0, le=MAX_WEIGHT, description="weight in the training loss; 0: no such head"
    )
    plies: int = Field(8, ge=1, le=MAX_PLIES, description="number of next plies")


class AuxiliaryConfig(Section):
    """Weights of the auxiliary heads in the training loss.

    A head with weight 0 is not built, draws no random numbers and costs nothing. Auxiliary heads
    only help to train the trunk; they are not used for answers.
    """

    moves_left: float = Field(
        0.0,
        ge=0.0,
        le=MAX_WEIGHT,
        description="Weight of the head for the pairs of plies until the end of the game.",
    )
    ownership: float = Field(
        0.0,
        ge=0.0,
        le=MAX_WEIGHT,
        description="weight of the head for the owner of each empty cell at the end",
    )
    winning_chain: float = Field(
        0.0,
        ge=0.0,
        le=MAX_WEIGHT,
        description="weight of the head for the cells that join the winner's edges at the end",
    )
    future_stones: FutureStonesConfig = Field(
        default_factory=FutureStonesConfig,
        description="head for the stones of the next plies",
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
