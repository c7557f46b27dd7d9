"""What one trial is: network, read-out, optimiser, curriculum. A unit beside every number."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.section import IntTuple, Section

_SPELLING = re.compile(r"(?P<reduced>reduced )?(?P<widths>\d+(?:->\d+)*)->1\Z")
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")

__all__ = [
    "TRUNK_PRESETS",
    "CurriculumConfig",
    "EncoderConfig",
    "OptimiserConfig",
    "PolicyHeadConfig",
    "ReadoutConfig",
    "TrialConfig",
    "TrunkConfig",
    "ValueHeadConfig",
    "is_import_path",
    "parse_value_head",
]

TRUNK_PRESETS: dict[str, dict[str, Any]] = {
    # The network of the project whose value head would not learn; features are its last stage.
    "resnet18": {
        "stem_kernel": 5,
        "channels": (64, 128, 256, 512),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 2, 2, 2),
        "features": 512,
    },
    # For a CPU: a quarter of the width, half the depth, widened to the same 512 features.
    "small": {
        "stem_kernel": 5,
        "channels": (16, 32, 64, 128),
        "blocks": (1, 1, 1, 1),
        "strides": (1, 2, 2, 2),
        "features": 512,
    },
    # For tests: seconds become fractions of one.
    "tiny": {
        "stem_kernel": 3,
        "channels": (8, 16),
        "blocks": (1, 1),
        "strides": (1, 2),
        "features": 512,
    },
    # Full resolution throughout: Hex is about connections, and striding blurs them.
    "no_stride": {
        "stem_kernel": 5,
        "channels": (64, 64, 64, 64),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 1, 1, 1),
        "features": 512,
    },
}


def is_import_path(text: str) -> bool:
    """Whether text names a plug-in, `package.module:factory`."""
    return _IMPORT_PATH.match(text) is not None


def parse_value_head(spelling: str) -> dict[str, Any]:
    """The mapping that a head's spelling stands for.

    Raises:
        ValueError: says how heads are spelled.
    """
    if is_import_path(spelling):
        return {"family": spelling}
    match = _SPELLING.match(spelling)
    if match is None:
        raise ValueError(
            f"{spelling!r} is no value head; write '512->1', '512->64->1', 'reduced 512->64->1', "
            "or an import path 'package.module:factory'"
        )
    inputs, *widths = (int(width) for width in match["widths"].split("->"))
    if match["reduced"]:
        if not widths:
            raise ValueError(
                f"{spelling!r}: 'reduced' needs the channels, as in 'reduced 512->64->1'"
            )
        return {
            "family": "bottleneck",
            "inputs": inputs,
            "channels": widths[0],
            "widths": tuple(widths[1:]),
        }
    return {"family": "mlp" if widths else "linear", "inputs": inputs, "widths": tuple(widths)}


class TrunkConfig(Section):
    """The shared body: a stem, stages of residual blocks, `features` channels at the end."""

    preset: str = "small"
    stem_kernel: Literal[3, 5] = 5
    channels: IntTuple = (16, 32, 64, 128)
    blocks: IntTuple = (1, 1, 1, 1)
    strides: IntTuple = (1, 2, 2, 2)
    features: int = Field(512, ge=1)  # channels that the heads see
    norm: Literal["batch", "group", "none"] = "batch"
    activation: Literal["relu", "silu", "mish", "gelu"] = "relu"

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"preset": raw}
        if isinstance(raw, dict):
            preset = raw.get("preset", "small")
            if preset not in TRUNK_PRESETS:
                known = ", ".join(TRUNK_PRESETS)
                raise ValueError(f"unknown trunk preset {preset!r}; known are {known}")
            return {"preset": preset, **TRUNK_PRESETS[preset], **raw}
        return raw

    @model_validator(mode="after")
    def _stages_agree(self) -> TrunkConfig:
        lengths = {len(self.channels), len(self.blocks), len(self.strides)}
        if lengths == {0} or len(lengths) != 1:
            raise ValueError(
                f"channels, blocks and strides have {len(self.channels)}, {len(self.blocks)} and "
                f"{len(self.strides)} entries; give one of each for every stage"
            )
        for name in ("channels", "blocks", "strides"):
            if min(getattr(self, name)) < 1:
                raise ValueError(
                    f"{name} {list(getattr(self, name))}: every entry must be 1 or more"
                )
        return self


class ValueHeadConfig(Section):
    """Trunk features to one raw value. `512->64->1` spells an MLP after mean pooling.

    `reduced 512->64->1` spells a 1x1 convolution to 64 channels before the pooling.
    """

    family: str = "linear"  # linear, mlp, bottleneck, or package.module:factory
    inputs: int = Field(512, ge=1)  # trunk features; must equal trunk.features
    widths: IntTuple = ()  # hidden layers of the MLP
    channels: int = Field(0, ge=0)  # bottleneck: channels left by the 1x1 convolution
    dropout: float = Field(0.0, ge=0.0, lt=1.0)  # before the last layer
    options: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of a plug-in

    @model_validator(mode="before")
    @classmethod
    def _parse_spelling(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "spelling" in raw:
            raw = dict(raw)
            return {**parse_value_head(raw.pop("spelling")), **raw}
        return parse_value_head(raw) if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _family_fits(self) -> ValueHeadConfig:
        if not is_import_path(self.family):
            if self.family not in ("linear", "mlp", "bottleneck"):
                raise ValueError(
                    f"unknown family {self.family!r}; known are linear, mlp, bottleneck, or an "
                    "import path 'package.module:factory'"
                )
            if self.options:
                raise ValueError("options are for plug-ins; a built-in family takes none")
        if self.family == "linear" and self.widths:
            raise ValueError(
                f"family linear has no hidden widths, got {list(self.widths)}; use mlp"
            )
        if self.family == "mlp" and not self.widths:
            raise ValueError("family mlp needs widths, such as [64]; without any it is 'linear'")
        if (self.family == "bottleneck") != (self.channels > 0):
            raise ValueError("channels belongs to family bottleneck, which needs it above 0")
        if any(width < 1 for width in self.widths):
            raise ValueError(f"widths {list(self.widths)}: every width must be 1 or more")
        return self

    @property
    def name(self) -> str:
        """Its spelling, with what departs from the default."""
        if is_import_path(self.family):
            options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
            return f"{self.family}({options})" if options else self.family
        layers = [self.inputs, *([self.channels] if self.channels else []), *self.widths, 1]
        spelled = ("reduced " if self.channels else "") + "->".join(map(str, layers))
        return spelled + (f" dropout {self.dropout:g}" if self.dropout else "")


class PolicyHeadConfig(Section):
    """Trunk features to one logit for each cell."""

    family: Literal["linear"] = "linear"  # mean pooling, then one linear layer
    weight: float = Field(1.0, ge=0.0)  # of the policy loss in the training loss; 0 leaves it out


class ReadoutConfig(Section):
    """How a raw value becomes a loss and a probability: one object, never two."""

    name: str = "bce"  # bce, sigmoid_mse, tanh_mse, tanh_logcosh, or package.module:factory
    label_smoothing: float = Field(0.0, ge=0.0, lt=0.5)
    options: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of a plug-in

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"name": raw} if isinstance(raw, str) else raw

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ("bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh") and not is_import_path(
            name
        ):
            raise ValueError(
                f"unknown read-out {name!r}; known are bce, sigmoid_mse, tanh_mse, tanh_logcosh, "
                "or an import path 'package.module:factory'"
            )
        return name


class EncoderConfig(Section):
    """How a position is shown to the network."""

    # absolute: planes blue, red, side to move. mover: reflected and recoloured so that whoever is
    # to move connects top to bottom; two planes.
    perspective: Literal["absolute", "mover"] = "mover"
    edge_ring: bool = False  # paint each colour's edges as a ring of stones: boards of N + 2


class OptimiserConfig(Section):
    """Optimiser and learning-rate schedule, laid over the trial's whole budget."""

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0.0)
    weight_decay: float = Field(1e-2, ge=0.0)  # decoupled; never on norms and biases
    momentum: float = Field(0.9, ge=0.0, lt=1.0)  # sgd (Nesterov); adamw's beta1
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    warmup: float = Field(0.1, ge=0.0, lt=1.0)  # share of the budget with a rising rate
    clip: float = Field(4.0, gt=0.0)  # largest global gradient norm
    value_lr_factor: float = Field(1.0, ge=0.0)  # on the value head's learning rate


class TrialConfig(Section):
    """Everything that makes a variant; with a seed, a trial."""

    trunk: TrunkConfig = Field(default_factory=TrunkConfig)
    value_head: ValueHeadConfig = Field(default_factory=ValueHeadConfig)
    policy_head: PolicyHeadConfig = Field(default_factory=PolicyHeadConfig)
    readout: ReadoutConfig = Field(default_factory=ReadoutConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig)
    batch_size: int = Field(256, ge=2)  # positions a step
    value_weight: float = Field(1.0, gt=0.0)  # of the value loss in the training loss
    augment: bool = True  # show each sample under a symmetry drawn at random
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 on a GPU

    @model_validator(mode="after")
    def _head_fits_trunk(self) -> TrialConfig:
        head, trunk = self.value_head, self.trunk
        if head.inputs != trunk.features:
            raise ValueError(
                f"value_head {head.name} takes {head.inputs} features, but trunk "
                f"{trunk.preset} gives {trunk.features}; make the two agree"
            )
        return self
