"""The shared body of the network, and the presets that searches start from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from hexsearch.config.import_path import is_import_path
from hexsearch.config.section import IntTuple, Section

TRUNK_PRESETS: dict[str, dict[str, Any]] = {
    # The network of the project whose value head would not learn; features are its last stage.
    "resnet18": {
        "stem_kernel": 5,
        "channels": (64, 128, 256, 512),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 2, 2, 2),
    },
    # For a CPU: a quarter of the width, half the depth, widened to the same 512 features.
    "small": {
        "stem_kernel": 5,
        "channels": (16, 32, 64, 128),
        "blocks": (1, 1, 1, 1),
        "strides": (1, 2, 2, 2),
    },
    # For tests: seconds become fractions of one.
    "tiny": {
        "stem_kernel": 3,
        "channels": (8, 16),
        "blocks": (1, 1),
        "strides": (1, 2),
    },
    # Full resolution throughout: Hex is about connections, and striding blurs them.
    "no_stride": {
        "stem_kernel": 5,
        "channels": (64, 64, 64, 64),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 1, 1, 1),
    },
    # What KataGo and KataHex settled on, at six blocks: pre-activation, global pooling, Mish.
    "kata_like": {
        "stem_kernel": 3,
        "channels": (64,),
        "blocks": (6,),
        "strides": (1,),
        "block": "preact",
        "global_pooling_every": 3,
        "activation": "mish",
    },
}


class TrunkConfig(Section):
    """The shared body: a stem, stages of residual blocks, `features` channels at the end."""

    family: str = "resnet"  # or package.module:factory
    preset: str = "small"  # where the rest comes from; what is given beside it comes first
    stem_kernel: Literal[3, 5] = 5
    channels: IntTuple = (16, 32, 64, 128)  # of each stage
    blocks: IntTuple = (1, 1, 1, 1)  # of each stage
    strides: IntTuple = (1, 2, 2, 2)  # of each stage's first block
    block: Literal["plain", "preact", "bottleneck"] = "plain"
    squeeze_excitation: bool = False  # each block weighs its channels by what the whole map holds
    global_pooling_every: int = Field(0, ge=0)  # every k-th block sees the whole map; 0: none
    features: int = Field(512, ge=1)  # channels that the heads see
    norm: Literal["batch", "layer", "group", "none"] = "batch"
    activation: Literal["relu", "silu", "mish", "gelu"] = "relu"
    options: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of a plug-in

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"family": raw} if is_import_path(raw) else {"preset": raw}
        if isinstance(raw, dict):
            preset = raw.get("preset", "small")
            if preset not in TRUNK_PRESETS:
                known = ", ".join(TRUNK_PRESETS)
                raise ValueError(f"unknown trunk preset {preset!r}; known are {known}")
            return {"preset": preset, **TRUNK_PRESETS[preset], **raw}
        return raw

    @model_validator(mode="after")
    def _family_fits(self) -> TrunkConfig:
        if not is_import_path(self.family):
            if self.family != "resnet":
                raise ValueError(
                    f"unknown family {self.family!r}; known are resnet, or an import path "
                    "'package.module:factory'"
                )
            if self.options:
                raise ValueError("options are for plug-ins; the built-in trunk takes none")
            return self
        given = [name for name in _BUILT_IN_ONLY if getattr(self, name) != _default(name)]
        if given:
            raise ValueError(
                f"{', '.join(given)}: settings of the built-in trunk; a plug-in gets what it needs "
                "through options"
            )
        return self

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
        if self.global_pooling_every > sum(self.blocks):
            raise ValueError(
                f"global_pooling_every is {self.global_pooling_every}, but there are "
                f"{sum(self.blocks)} blocks: none would pool. Lower it"
            )
        return self

    @property
    def name(self) -> str:
        """The preset or the plug-in that it comes from."""
        return self.family if is_import_path(self.family) else self.preset


_BUILT_IN_ONLY = (
    "preset",
    "stem_kernel",
    "channels",
    "blocks",
    "strides",
    "block",
    "squeeze_excitation",
    "global_pooling_every",
    "norm",
    "activation",
)


def _default(name: str) -> Any:
    return TrunkConfig.model_fields[name].default
