"""The read-out, which turns a raw value into a loss and a probability."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hexsearch.config.section import MAX_TEXT, Options, Section, is_import_path

READOUTS = ("bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh", "raw_mse")
CONTROLS = ("raw_mse",)  # negative controls, whose trials are listed but never ranked


class ReadoutConfig(Section):
    """The read-out: one object turns a raw value into a loss and a probability."""

    name: str = Field(
        "bce",
        max_length=MAX_TEXT,
        description=f"{', '.join(READOUTS)}, or package.module:factory",
    )
    label_smoothing: float = Field(
        0.0, ge=0.0, lt=0.5, description="share by which targets are moved towards 0.5"
    )
    start_at_prior: bool = Field(
        False,
        description="The first answers are the share of wins among training positions, not 50%.",
    )
    decode: Literal["matched", "mismatched"] = Field(
        "matched",
        description="raw_mse only: matched clamps the raw output to [0, 1]; mismatched applies a "
        "sigmoid to it",
    )
    options: Options = Field(default_factory=dict, description="keyword arguments of a plug-in")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        return {"name": raw} if isinstance(raw, str) else raw

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in READOUTS and not is_import_path(name):
            raise ValueError(
                f"unknown read-out {name!r}; known are {', '.join(READOUTS)}, or an import path "
                "'package.module:factory'"
            )
        return name

    @model_validator(mode="after")
    def _settings_fit(self) -> ReadoutConfig:
        if self.options and not is_import_path(self.name):
            raise ValueError("options are for plug-ins only; a built-in read-out has none")
        if self.decode == "mismatched" and self.name != "raw_mse":
            raise ValueError(
                f"decode: is only for the negative control raw_mse, not for {self.name}"
            )
        return self

    @property
    def is_control(self) -> bool:
        """Whether it is a negative control, which shows a fault and is never ranked."""
        return self.name in CONTROLS
