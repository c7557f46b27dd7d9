"""The read-out: how a raw value becomes a loss and a probability."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hexsearch.config.section import MAX_TEXT, Options, Section, is_import_path

READOUTS = ("bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh", "raw_mse")
CONTROLS = ("raw_mse",)  # negative controls: their trials are listed and never ranked


class ReadoutConfig(Section):
    """How a raw value becomes a loss and a probability: one object, never two."""

    name: str = Field(
        "bce",
        max_length=MAX_TEXT,
        description=f"{', '.join(READOUTS)}, or package.module:factory",
    )
    label_smoothing: float = Field(
        0.0, ge=0.0, lt=0.5, description="how far targets are moved from 0 and 1"
    )
    start_at_prior: bool = Field(
        False,
        description="Begin by answering the share of wins among the training positions, not 50%.",
    )
    decode: Literal["matched", "mismatched"] = Field(
        "matched",
        description="raw_mse only: matched clamps the raw output to [0, 1], mismatched takes its "
        "sigmoid",
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
            raise ValueError("options are for plug-ins; a built-in read-out takes none")
        if self.decode == "mismatched" and self.name != "raw_mse":
            raise ValueError(
                f"decode: only the negative control raw_mse can be read wrongly, not {self.name}"
            )
        return self

    @property
    def is_control(self) -> bool:
        """Whether it is there to show what goes wrong, and must never win."""
        return self.name in CONTROLS
