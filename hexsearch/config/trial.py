"""What one trial is: network, read-out, optimiser, curriculum. A unit beside every number."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.config.policy_head import PolicyHeadConfig
from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import Section
from hexsearch.config.trunk import TrunkConfig
from hexsearch.config.value_head import ValueHeadConfig


class EncoderConfig(Section):
    """How a position is shown to the network."""

    # absolute: planes blue, red, side to move. mover: reflected and recoloured so that whoever is
    # to move connects top to bottom; two planes.
    perspective: Literal["absolute", "mover"] = "mover"
    edge_ring: bool = True  # paint each colour's edges as a ring of stones: boards of N + 2


class TrialConfig(Section):
    """Everything that makes a variant; with a seed, a trial."""

    trunk: TrunkConfig = Field(default_factory=TrunkConfig)
    value_head: ValueHeadConfig = Field(default_factory=ValueHeadConfig)
    policy_head: PolicyHeadConfig = Field(default_factory=PolicyHeadConfig)
    auxiliary: AuxiliaryConfig = Field(default_factory=AuxiliaryConfig)
    readout: ReadoutConfig = Field(default_factory=ReadoutConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig)
    batch_size: int = Field(64, ge=2)  # positions a step
    value_weight: float = Field(1.0, gt=0.0)  # of the value loss in the training loss
    augment: bool = True  # show each sample under a symmetry drawn at random
    # Positions of one forward and backward pass, several of which make a step; 0: all of it.
    micro_batch: int = Field(0, ge=0)
    # auto in these three: by a table of kinds of devices, in training/execution.py.
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: Literal["auto", "always", "never"] = "auto"

    @model_validator(mode="after")
    def _head_fits_trunk(self) -> TrialConfig:
        head, trunk = self.value_head, self.trunk
        if head.inputs != trunk.features:
            raise ValueError(
                f"value_head {head.name} takes {head.inputs} features, but trunk "
                f"{trunk.name} gives {trunk.features}; make the two agree"
            )
        return self
