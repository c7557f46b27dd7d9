"""Configuration of the value head: families, and spellings that stand for a configuration.

A spelling is the family, the widths from the trunk features to the value, and the settings that
are not the default: `512->64->1`, `reduced 512->64->1`, `flatten 512->4->128->1`,
`mean_max 512->64->1 dropout 0.1`, `attention reduced 512->32->64->1 heads 8 norm layer`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from hexsearch.config.section import MAX_TEXT, MAX_WIDTH, IntTuple, Options, Section, is_import_path

FAMILIES = ("linear", "mlp", "bottleneck", "flatten", "mean_max", "gpool", "attention")
_POOLED = ("mean_max", "gpool", "attention")  # with or without a 1x1 convolution before pooling
_SPELLING = re.compile(
    r"(?:(?P<family>flatten|mean_max|gpool|attention) )?(?P<reduced>reduced )?"
    r"(?P<widths>\d{1,9}(?:->\d{1,9})*)->1(?P<rest>(?: (?:dropout|norm|activation|heads) \S+)*)\Z"
)
_ATTENTION_HEADS = 4
_MAX_LAYERS = 16


def parse_value_head(spelling: str) -> dict[str, Any]:
    """The mapping that a head's spelling stands for.

    Raises:
        ValueError: it is not a spelling; the message gives examples.
    """
    if is_import_path(spelling):
        return {"family": spelling}
    if len(spelling) > MAX_TEXT:
        raise ValueError(f"a value head's spelling cannot have {len(spelling):,} characters")
    match = _SPELLING.match(spelling)
    if match is None:
        raise ValueError(
            f"{spelling!r} is not a value head; write '512->1', '512->64->1', "
            "'reduced 512->64->1', 'flatten 512->4->128->1', 'mean_max 512->64->1', "
            "'gpool reduced 512->32->64->1', 'attention 512->64->1', or an import path "
            "'package.module:factory'"
        )
    inputs, *widths = (int(width) for width in match["widths"].split("->"))
    family, channels = match["family"], 0
    if match["reduced"] or family == "flatten":
        if match["reduced"] and family == "flatten":
            raise ValueError(f"{spelling!r}: flatten always reduces; leave 'reduced' out")
        if not widths:
            example = "flatten 512->4->128->1" if family else "reduced 512->64->1"
            raise ValueError(f"{spelling!r}: the number of channels is missing, as in '{example}'")
        channels, *widths = widths
    if family is None:
        family = "bottleneck" if channels else "mlp" if widths else "linear"
    return {
        "family": family,
        "inputs": inputs,
        "channels": channels,
        "widths": tuple(widths),
        **_parse_settings(spelling, match["rest"]),
    }


def _parse_settings(spelling: str, rest: str) -> dict[str, Any]:
    """`dropout 0.1 norm layer` as a mapping."""
    words = rest.split()
    settings: dict[str, Any] = dict(zip(words[::2], words[1::2], strict=True))
    if 2 * len(settings) < len(words):
        raise ValueError(f"{spelling!r}: a setting is given twice")
    for name, convert in (("dropout", float), ("heads", int)):
        if name in settings:
            try:
                settings[name] = convert(settings[name])
            except ValueError:
                raise ValueError(
                    f"{spelling!r}: {name} {settings[name]!r} is not a number"
                ) from None
    return settings


class ValueHeadConfig(Section):
    """From trunk features to one raw value.

    `512->64->1` is an MLP after mean pooling. `reduced 512->64->1` has a 1x1 convolution to 64
    channels before the pooling.
    """

    family: str = Field(
        "linear",
        max_length=MAX_TEXT,
        description=f"{', '.join(FAMILIES)}, or package.module:factory",
    )
    inputs: int = Field(
        512, ge=1, le=MAX_WIDTH, description="number of trunk features; must equal trunk.features"
    )
    channels: int = Field(
        0,
        ge=0,
        le=MAX_WIDTH,
        description="channels after a 1x1 convolution before the pooling; 0: no convolution",
    )
    widths: IntTuple = Field(
        (), max_length=_MAX_LAYERS, description="widths of the hidden layers after the pooling"
    )
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="dropout before the last layer")
    norm: Literal["none", "batch", "layer"] = Field(
        "none", description="normalisation of the hidden layers"
    )
    activation: Literal["relu", "silu", "mish", "gelu"] = Field(
        "relu", description="activation of the hidden layers and the convolution"
    )
    heads: int = Field(
        0, ge=0, le=1024, description="attention: groups of channels, each with its own weights"
    )
    options: Options = Field(default_factory=dict, description="keyword arguments of a plug-in")

    @model_validator(mode="before")
    @classmethod
    def _parse_spelling(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = parse_value_head(raw)
        elif isinstance(raw, dict) and "spelling" in raw:
            raw = dict(raw)
            raw = {**parse_value_head(raw.pop("spelling")), **raw}
        if isinstance(raw, dict) and raw.get("family") == "attention":
            return {"heads": _ATTENTION_HEADS, **raw}
        return raw

    @model_validator(mode="after")
    def _family_fits(self) -> ValueHeadConfig:
        problem = self._unknown() or self._misfit()
        if problem:
            raise ValueError(problem)
        return self

    def _unknown(self) -> str | None:
        if self.family in FAMILIES:
            return (
                "options are for plug-ins only; a built-in family has none"
                if self.options
                else None
            )
        if not is_import_path(self.family):
            return (
                f"unknown family {self.family!r}; known are {', '.join(FAMILIES)}, or an import "
                "path 'package.module:factory'"
            )
        given = [name for name in _BUILT_IN_ONLY if getattr(self, name) != _default(name)]
        if given:
            return (
                f"{', '.join(given)}: settings of built-in families; a plug-in gets its settings "
                "through options"
            )
        return None

    def _misfit(self) -> str | None:
        family, seen = self.family, self.channels or self.inputs
        if any(not 1 <= width <= MAX_WIDTH for width in self.widths):
            return f"widths {list(self.widths)}: every width must be from 1 to {MAX_WIDTH:,}"
        if family == "linear" and self.widths:
            return f"family linear has no hidden widths, got {list(self.widths)}; use mlp"
        if family == "mlp" and not self.widths:
            return "family mlp needs widths, such as [64]; without widths use 'linear'"
        if family in ("bottleneck", "flatten") and not self.channels:
            return f"family {family} has a 1x1 convolution; channels must be above 0"
        if self.channels and family in ("linear", "mlp"):
            return f"channels: family {family} has no 1x1 convolution; use bottleneck"
        if family == "attention" and (not self.heads or seen % self.heads):
            return f"heads is {self.heads}; it must divide the {seen} channels and be above 0"
        if self.heads and family != "attention":
            return "heads is only for family attention"
        if self.norm != "none" and not self.widths:
            return "norm applies to hidden layers, but widths is empty: it would have no effect"
        if self.activation != "relu" and not (self.widths or self.channels):
            return "activation has no effect: there is neither a hidden layer nor a convolution"
        return None

    @property
    def estimated_parameters(self) -> int:
        """Approximate number of weights of a built-in head; 0 for a plug-in."""
        seen = self.channels or self.inputs
        # flatten takes every cell of the map (at most 21x21 with the edge ring).
        pooled = seen * (441 if self.family == "flatten" else 3)
        layers = [pooled, *self.widths, 1]
        return self.inputs * self.channels + sum(a * b for a, b in pairwise(layers))

    @property
    def name(self) -> str:
        """Its spelling, with the settings that are not the default. `parse_value_head` reads it."""
        if is_import_path(self.family):
            options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
            return f"{self.family}({options})" if options else self.family
        reduced = self.channels and self.family != "flatten"
        layers = [self.inputs, *([self.channels] if self.channels else []), *self.widths, 1]
        parts = [
            *([self.family] if self.family in (*_POOLED, "flatten") else []),
            *(["reduced"] if reduced else []),
            "->".join(map(str, layers)),
        ]
        usual = {"dropout": 0.0, "norm": "none", "activation": "relu"}
        usual["heads"] = _ATTENTION_HEADS if self.family == "attention" else 0
        for setting, value in usual.items():
            if getattr(self, setting) != value:
                parts += [setting, str(getattr(self, setting))]
        return " ".join(parts)


_BUILT_IN_ONLY = ("channels", "widths", "dropout", "norm", "activation", "heads")


def _default(name: str) -> Any:
    return ValueHeadConfig.model_fields[name].default
