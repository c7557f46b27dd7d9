"""Configuration of the trunk, the shared body of the network, its presets; whole networks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from hexsearch.config.section import MAX_TEXT, MAX_WIDTH, IntTuple, Options, Section, is_import_path

TRUNK_PRESETS: dict[str, dict[str, Any]] = {
    # The network of the original project, whose value head did not learn.
    "resnet18": {
        "stem_kernel": 5,
        "channels": (64, 128, 256, 512),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 2, 2, 2),
    },
    # For CPUs: a quarter of the width and half the depth, but the same 512 features.
    "small": {
        "stem_kernel": 5,
        "channels": (16, 32, 64, 128),
        "blocks": (1, 1, 1, 1),
        "strides": (1, 2, 2, 2),
    },
    # For tests: training takes less than a second.
    "tiny": {
        "stem_kernel": 3,
        "channels": (8, 16),
        "blocks": (1, 1),
        "strides": (1, 2),
    },
    # Full resolution throughout: Hex depends on connections, which strides blur.
    "no_stride": {
        "stem_kernel": 5,
        "channels": (64, 64, 64, 64),
        "blocks": (2, 2, 2, 2),
        "strides": (1, 1, 1, 1),
    },
    # Like KataGo and KataHex, with six blocks: pre-activation, global pooling, Mish.
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

_MAX_STAGES = 16
_LARGEST = {"channels": 8192, "blocks": 200, "strides": 19}  # for one stage


class NetworkConfig(Section):
    """A network of your own, trunk and both heads, in place of `trunk` and `value_head`."""

    family: str = Field(max_length=MAX_TEXT, description="package.module:factory")
    options: Options = Field(
        default_factory=dict, description="keyword arguments of the factory, which may be searched"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_family(cls, raw: Any) -> Any:
        return {"family": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _is_import_path(self) -> NetworkConfig:
        if not is_import_path(self.family):
            raise ValueError(
                f"{self.family!r} is not an import path; write 'package.module:factory', or "
                "choose a built-in trunk by trunk"
            )
        return self

    @property
    def name(self) -> str:
        """The factory with its options."""
        options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{self.family}({options})" if options else self.family


class TrunkConfig(Section):
    """The shared body: a stem, stages of residual blocks, `features` channels at the end."""

    family: str = Field(
        "resnet", max_length=MAX_TEXT, description="resnet, or package.module:factory"
    )
    preset: str = Field(
        "small",
        max_length=MAX_TEXT,
        description="settings of this preset; settings given beside it have priority",
    )
    stem_kernel: Literal[3, 5] = Field(5, description="rows and columns of the first convolution")
    channels: IntTuple = Field(
        (16, 32, 64, 128), max_length=_MAX_STAGES, description="channels of each stage"
    )
    blocks: IntTuple = Field(
        (1, 1, 1, 1), max_length=_MAX_STAGES, description="residual blocks of each stage"
    )
    strides: IntTuple = Field(
        (1, 2, 2, 2), max_length=_MAX_STAGES, description="stride of each stage's first block"
    )
    block: Literal["plain", "preact", "bottleneck"] = Field(
        "plain", description="kind of residual block"
    )
    squeeze_excitation: bool = Field(
        False, description="each block scales its channels by numbers from the whole map"
    )
    global_pooling_every: int = Field(
        0,
        ge=0,
        le=_LARGEST["blocks"],
        description="every k-th block pools over the whole map; 0: none",
    )
    equivariant: bool = Field(
        False,
        description="group convolutions for the half turn of the board, at the cost of ordinary "
        "ones: a board and the turned board get the same answer",
    )
    features: int = Field(512, ge=1, le=MAX_WIDTH, description="channels that the heads get")
    norm: Literal["batch", "layer", "group", "none"] = Field(
        "batch", description="normalisation after each convolution"
    )
    activation: Literal["relu", "silu", "mish", "gelu"] = Field(
        "relu", description="activation between layers"
    )
    options: Options = Field(default_factory=dict, description="keyword arguments of a plug-in")

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"family": raw} if is_import_path(raw) else {"preset": raw}
        if isinstance(raw, dict):
            preset = raw.get("preset", "small")
            if not isinstance(preset, str) or preset not in TRUNK_PRESETS:
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
                raise ValueError("options are for plug-ins only; the built-in trunk has none")
            return self
        given = [name for name in _BUILT_IN_ONLY if getattr(self, name) != _default(name)]
        if given:
            raise ValueError(
                f"{', '.join(given)}: settings of the built-in trunk; a plug-in gets its settings "
                "through options"
            )
        return self

    @model_validator(mode="after")
    def _stages_agree(self) -> TrunkConfig:
        lengths = {len(self.channels), len(self.blocks), len(self.strides)}
        if lengths == {0} or len(lengths) != 1:
            raise ValueError(
                f"channels, blocks and strides have {len(self.channels)}, {len(self.blocks)} and "
                f"{len(self.strides)} entries; give one entry for every stage"
            )
        for name in ("channels", "blocks", "strides"):
            entries = getattr(self, name)
            if min(entries) < 1:
                raise ValueError(f"{name} {list(entries)}: every entry must be 1 or more")
            if max(entries) > _LARGEST[name]:
                raise ValueError(
                    f"{name} {list(entries)}: every entry must be at most {_LARGEST[name]:,}"
                )
        odd = [width for width in (*self.channels, self.features) if width % 2]
        if self.equivariant and odd:
            raise ValueError(
                f"equivariant trunks divide their channels between a board and the turned board; "
                f"make {odd[0]} in channels or features an even number"
            )
        if self.global_pooling_every > sum(self.blocks):
            raise ValueError(
                f"global_pooling_every is {self.global_pooling_every}, but there are "
                f"{sum(self.blocks)} blocks: none would pool. Lower it"
            )
        return self

    @property
    def estimated_parameters(self) -> int:
        """Approximate number of weights of the built-in trunk; 0 for a plug-in."""
        if is_import_path(self.family):
            return 0
        before = self.channels[0]
        total = 3 * self.stem_kernel**2 * before
        for channels, blocks in zip(self.channels, self.blocks, strict=True):
            inside = channels // 2 if self.block == "bottleneck" else channels
            first = before * inside if self.block == "bottleneck" else 9 * before * channels
            later = channels * inside if self.block == "bottleneck" else 9 * channels**2
            rest = 9 * inside**2 + inside * channels if self.block == "bottleneck" else later
            total += first + before * channels + (blocks - 1) * later + blocks * rest
            before = channels
        total += before * self.features
        return total // 2 if self.equivariant else total

    def activations(self, side: int) -> int:
        """Approximate number of stored activations for one position; 0 for a plug-in."""
        if is_import_path(self.family):
            return 0
        total = side**2 * self.channels[0]
        for channels, blocks, stride in zip(self.channels, self.blocks, self.strides, strict=True):
            side = -(-side // stride)
            total += 2 * blocks * channels * side**2
        return total + self.features * side**2

    @property
    def name(self) -> str:
        """The name of its preset or plug-in."""
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
    "equivariant",
    "norm",
    "activation",
)


def _default(name: str) -> Any:
    return TrunkConfig.model_fields[name].default
