"""The shared body of the network, and the presets that searches start from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from hexsearch.config.section import IntTuple, Section

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
