"""One searched setting of a study, and the presets that spell common ones."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.section import Section, suggest

# A name in place of a dimension: `value_head: named_heads`.
DIMENSION_PRESETS: dict[str, dict[str, Any]] = {
    # The variants that started this project.
    "named_heads": {
        "choice": ["512->1", "512->32->1", "512->64->1", "512->128->64->1", "reduced 512->64->1"]
    },
    "proper_readouts": {"choice": ["bce", "sigmoid_mse", "tanh_mse"]},
    "adamw_rates": {"float": [5.0e-4, 2.0e-2], "log": True},
    "sgd_rates": {"float": [5.0e-3, 3.0e-1], "log": True},
    "weight_decays": {"float": [1.0e-4, 1.0e-1], "log": True},
    "policy_weights": {"float": [0.05, 1.0], "log": True},
}


class DimensionConfig(Section):
    """One searched setting: exactly one of `choice`, `float` and `int`, perhaps conditional."""

    choice: list[Any] | None = None
    float_: list[float] | None = Field(None, alias="float")
    int_: list[int] | None = Field(None, alias="int")
    log: bool = False
    step: int | None = Field(None, ge=1)  # of an int
    when: dict[str, Any] = Field(default_factory=dict)  # dimension -> value or list of values

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"preset": raw}
        if isinstance(raw, dict) and "preset" in raw:
            name = raw["preset"]
            if name not in DIMENSION_PRESETS:
                known = list(DIMENSION_PRESETS)
                raise ValueError(f"unknown preset {name!r}; {suggest(str(name), known)}")
            rest = {key: value for key, value in raw.items() if key != "preset"}
            return {**DIMENSION_PRESETS[name], **rest}
        return raw

    @model_validator(mode="after")
    def _one_kind(self) -> DimensionConfig:
        given = [name for name in ("choice", "float", "int") if self.bounds(name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of choice, float and int, got {given or 'none'}")
        if self.choice is not None:
            if not self.choice:
                raise ValueError("choice is empty")
            if self.log or self.step:
                raise ValueError("log and step belong to float and int, not to choice")
            return self
        bounds = self.bounds(given[0])
        assert bounds is not None
        if len(bounds) != 2 or bounds[0] > bounds[1]:
            raise ValueError(f"{given[0]} wants [lowest, highest], got {bounds}")
        if self.log and bounds[0] <= 0:
            raise ValueError(f"a log scale needs bounds above 0, got {bounds}")
        if self.step and (given[0] == "float" or self.log):
            raise ValueError("step belongs to an int without log")
        return self

    def bounds(self, kind: str) -> list[Any] | None:
        """The list given under `choice`, `float` or `int`."""
        return {"choice": self.choice, "float": self.float_, "int": self.int_}[kind]
