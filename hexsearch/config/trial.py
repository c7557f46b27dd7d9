"""Configuration of a trial: network, read-out, encoder, curriculum and optimiser."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.config.policy_head import PolicyHeadConfig
from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import MAX_TEXT, MAX_WEIGHT, Section
from hexsearch.config.trunk import NetworkConfig, TrunkConfig
from hexsearch.config.value_head import ValueHeadConfig

MAX_BATCH = 1_000_000
MAX_PARAMETERS = 1_000_000_000  # 16 GB with gradients and the optimiser's moments


class EncoderConfig(Section):
    """How a position is encoded for the network."""

    perspective: Literal["absolute", "mover"] = Field(
        "mover",
        description="absolute: planes blue, red, side to move. mover: two planes; the board is "
        "reflected and recoloured so that the side to move connects top to bottom.",
    )
    edge_ring: bool = Field(
        True, description="add each colour's edges as a ring of stones: boards of N + 2"
    )
    history: bool = Field(
        False,
        description="add a plane that shows how recently each stone was played: 1 for the last "
        "one, and 0.79 times as much for each ply before it",
    )


class TrialConfig(Section):
    """All settings of a variant. With a seed they define a trial.

    Written out, it holds either `network` or `trunk` and `value_head`: what a trial does not have
    is left out.
    """

    network: NetworkConfig | None = Field(
        None,
        description="a whole network of your own, package.module:factory, in place of trunk, value "
        "head and policy head",
    )
    trunk: TrunkConfig = Field(
        default_factory=TrunkConfig, description="shared body, from planes to features"
    )
    value_head: ValueHeadConfig = Field(
        default_factory=ValueHeadConfig, description="from features to one raw value"
    )
    policy_head: PolicyHeadConfig = Field(
        default_factory=PolicyHeadConfig, description="from features to one logit for each cell"
    )
    auxiliary: AuxiliaryConfig = Field(
        default_factory=AuxiliaryConfig, description="auxiliary heads for training the trunk"
    )
    readout: ReadoutConfig = Field(
        default_factory=ReadoutConfig, description="from raw value to loss and probability"
    )
    encoder: EncoderConfig = Field(
        default_factory=EncoderConfig, description="how a position is encoded"
    )
    curriculum: CurriculumConfig = Field(
        default_factory=CurriculumConfig, description="which training positions are drawn"
    )
    optimiser: OptimiserConfig = Field(
        default_factory=OptimiserConfig, description="optimiser and learning rate"
    )
    start_from: str | None = Field(
        None,
        max_length=MAX_TEXT,
        description="A checkpoint whose trunk and policy head training begins with, in place of "
        "fresh ones, whatever board it was for; starter.pt comes with the package.",
    )
    batch_size: int = Field(64, ge=2, le=MAX_BATCH, description="positions in each step")
    value_weight: float = Field(
        1.0, gt=0.0, le=MAX_WEIGHT, description="weight of the value loss in the training loss"
    )
    augment: bool = Field(True, description="apply a random symmetry to each sample")
    micro_batch: int = Field(
        0,
        ge=0,
        le=MAX_BATCH,
        description="Positions in one forward and backward pass; a step has several of them. 0: "
        "the whole batch.",
    )
    # In these three, auto is looked up in a table by class of device (training/execution.py).
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format of the training step; auto: by the kind of device"
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = Field(
        "auto", description="order of the axes in memory; auto: by the kind of device"
    )
    compile: Literal["auto", "always", "never"] = Field(
        "auto", description="use of torch.compile; auto: by the kind of device"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_one_network(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("network") is not None:
            beside = [name for name in ("trunk", "value_head") if name in raw]
            if beside:
                raise ValueError(
                    f"network is given beside {' and '.join(beside)}: a whole network has a trunk "
                    "and heads of its own. Leave one or the other out"
                )
        return raw

    @model_validator(mode="after")
    def _fits_whole_network(self) -> TrialConfig:
        if self.network is None:
            return self
        usual = OptimiserConfig()
        reasons = {
            "policy_head.family": self.policy_head.family != "linear",
            "auxiliary": bool(self.auxiliary.weights),
            "start_from": self.start_from is not None,
            "readout.start_at_prior": self.readout.start_at_prior,
            "optimiser.value_lr_factor": self.optimiser.value_lr_factor != usual.value_lr_factor,
            "optimiser.value_decay_factor": self.optimiser.value_decay_factor
            != usual.value_decay_factor,
        }
        given = [name for name, is_given in reasons.items() if is_given]
        if given:
            raise ValueError(
                f"{', '.join(given)}: acts on a part of the built-in network, and network "
                f"{self.network.name} is one whole; leave it out"
            )
        return self

    @model_serializer(mode="wrap")
    def _only_what_it_has(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        for name in ("network",) if self.network is None else ("trunk", "value_head"):
            content.pop(name, None)
        return content

    @model_validator(mode="after")
    def _head_fits_trunk(self) -> TrialConfig:
        head, trunk = self.value_head, self.trunk
        if head.inputs != trunk.features:
            raise ValueError(
                f"value_head {head.name} takes {head.inputs} features, but trunk "
                f"{trunk.name} has {trunk.features}; set both to the same number"
            )
        return self

    @model_validator(mode="after")
    def _is_trainable(self) -> TrialConfig:
        """Check the size of the network from its settings, before it is built."""
        count = self.trunk.estimated_parameters + self.value_head.estimated_parameters
        if count > MAX_PARAMETERS:
            raise ValueError(
                f"the network would have about {count:,} parameters; at most {MAX_PARAMETERS:,} "
                "are allowed. Lower channels, blocks or widths"
            )
        return self

    def estimated_bytes(self, board_size: int) -> int:
        """Approximate memory for training: weights, gradients, two moments, and activations.

        0 for a network of the user's own, whose size is not known before it is built.
        """
        if self.network is not None:
            return 0
        weights = self.trunk.estimated_parameters + self.value_head.estimated_parameters
        side = board_size + 2 * self.encoder.edge_ring
        positions = min(self.micro_batch or self.batch_size, self.batch_size)
        return 4 * (4 * weights + 3 * positions * self.trunk.activations(side))

    @property
    def head_name(self) -> str:
        """What tables call its value head: the head's spelling, or the whole network's name."""
        return self.value_head.name if self.network is None else self.network.name


def default_settings() -> dict[str, Any]:
    """Every setting below `trial` with its default, those of a whole network included."""
    return {"network": {"family": None, "options": {}}, **TrialConfig().model_dump()}
