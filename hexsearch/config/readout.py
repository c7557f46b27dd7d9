"""The read-out: how a raw value becomes a loss and a probability."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from hexsearch.config.import_path import is_import_path
from hexsearch.config.section import Section


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
