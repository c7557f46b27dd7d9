"""The policy head."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.section import MAX_TEXT, MAX_WEIGHT, Options, Section, is_import_path

FAMILIES = ("linear", "convolution")


class PolicyHeadConfig(Section):
    """From trunk features to one logit for each cell."""

    family: str = Field(
        "linear",
        max_length=MAX_TEXT,
        description="linear: mean pooling, then one linear layer; convolution: a cell's logit from "
        "what lies around it; or package.module:factory",
    )
    weight: float = Field(
        0.2,
        ge=0.0,
        le=MAX_WEIGHT,
        description="weight of the policy loss in the training loss; 0 leaves it out",
    )
    options: Options = Field(default_factory=dict, description="keyword arguments of a plug-in")

    @model_validator(mode="before")
    @classmethod
    def _from_family(cls, raw: Any) -> Any:
        return {"family": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _family_fits(self) -> PolicyHeadConfig:
        if not is_import_path(self.family):
            if self.family not in FAMILIES:
                raise ValueError(
                    f"unknown family {self.family!r}; known are {', '.join(FAMILIES)}, or an "
                    "import path 'package.module:factory'"
                )
            if self.options:
                raise ValueError("options are for plug-ins only; a built-in family has none")
        return self

    @property
    def name(self) -> str:
        """The family, with a plug-in's options."""
        options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{self.family}({options})" if options else self.family
