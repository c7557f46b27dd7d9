"""The value head: its families, and the spellings that stand for them."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.import_path import is_import_path
from hexsearch.config.section import IntTuple, Section

_SPELLING = re.compile(r"(?P<reduced>reduced )?(?P<widths>\d+(?:->\d+)*)->1\Z")


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
