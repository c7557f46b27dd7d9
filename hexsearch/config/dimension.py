"""Dimensions of a study, which are its searched settings, and presets for common dimensions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.section import PlainValue, Section, suggest

# Names that may stand for a dimension: `value_head: named_heads`.
DIMENSION_PRESETS: dict[str, dict[str, Any]] = {
    # The variants of the project's first question.
    "named_heads": {
        "choice": ["512->1", "512->32->1", "512->64->1", "512->128->64->1", "reduced 512->64->1"]
    },
    "proper_readouts": {"choice": ["bce", "sigmoid_mse", "tanh_mse"]},
    "adamw_rates": {"float": [5.0e-4, 2.0e-2], "log": True},
    "sgd_rates": {"float": [5.0e-3, 3.0e-1], "log": True},
    "weight_decays": {"float": [1.0e-4, 1.0e-1], "log": True},
    "policy_weights": {"float": [0.05, 1.0], "log": True},
}
_MAX_CHOICES = 1000
_WIDEST = 10**12  # largest absolute value of a bound
# Pairs of keys by which other tools name the bounds of a range, and keys for a list of values.
_BOUNDS = (("min", "max"), ("low", "high"), ("lower", "upper"), ("minimum", "maximum"))
_LISTS = ("values", "choices", "categories", "options", "grid", "sequence")
_RANGES = ("bounds", "range", "uniform", "loguniform", "quniform", "randint", "lograndint")
_FOREIGN = frozenset(
    [name for pair in _BOUNDS for name in pair]
    + [*_LISTS, *_RANGES, "value", "distribution", "type", "scale", "q", "log_scale", "base", "mu"]
    + ["sigma", "probabilities"]
)


class DimensionConfig(Section):
    """One searched setting: exactly one of `choice`, `float` and `int`, with or without `when`."""

    choice: list[PlainValue] | None = Field(
        None, max_length=_MAX_CHOICES, description="the values, written as under trial"
    )
    float_: list[float] | None = Field(None, alias="float", description="[lowest, highest]")
    int_: list[int] | None = Field(None, alias="int", description="[lowest, highest]")
    log: bool = Field(False, description="float or int: search the logarithm")
    step: int | None = Field(
        None, ge=1, le=_WIDEST, description="int: only lowest, lowest + step, ..."
    )
    when: dict[str, PlainValue] = Field(
        default_factory=dict,
        max_length=20,
        description="dimension -> value or list of values for which this dimension exists; all "
        "conditions must hold",
    )

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"preset": raw}
        if isinstance(raw, dict) and "preset" in raw:
            name = raw["preset"]
            if not isinstance(name, str) or name not in DIMENSION_PRESETS:
                known = list(DIMENSION_PRESETS)
                raise ValueError(f"unknown preset {name!r}; {suggest(str(name), known)}")
            rest = {key: value for key, value in raw.items() if key != "preset"}
            return {**DIMENSION_PRESETS[name], **rest}
        if isinstance(raw, dict):
            foreign = [str(key) for key in raw if key in _FOREIGN]
            if foreign:
                raise ValueError(
                    f"{', '.join(foreign)}: keys of another tool; here it is {translated(raw)}"
                )
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
                raise ValueError("log and step are for float and int, not for choice")
            self._refuse_repeats(self.choice)
            return self
        bounds = self.bounds(given[0])
        assert bounds is not None
        if len(bounds) != 2 or bounds[0] > bounds[1]:
            raise ValueError(f"{given[0]} must be [lowest, highest], got {bounds[:4]}")
        if max(abs(bound) for bound in bounds) > _WIDEST:
            raise ValueError(
                f"{given[0]} {bounds}: bounds must be between {-_WIDEST:,} and {_WIDEST:,}"
            )
        if self.log and bounds[0] <= 0:
            raise ValueError(f"a log scale needs bounds above 0, got {bounds}")
        if self.step and (given[0] == "float" or self.log):
            raise ValueError("step is only for an int without log")
        if self.step and (bounds[1] - bounds[0]) % self.step:
            reached = bounds[1] - (bounds[1] - bounds[0]) % self.step
            raise ValueError(
                f"steps of {self.step} from {bounds[0]} end at {reached}, not at {bounds[1]}; "
                f"write int: [{bounds[0]}, {reached}], or use another step"
            )
        return self

    @staticmethod
    def _refuse_repeats(choices: list[Any]) -> None:
        seen: set[str] = set()
        for choice in choices:
            text = json.dumps(choice, sort_keys=True)
            if text in seen:
                raise ValueError(f"choice holds {text} twice; remove one")
            seen.add(text)

    def bounds(self, kind: str) -> list[Any] | None:
        """The list given under `choice`, `float` or `int`."""
        return {"choice": self.choice, "float": self.float_, "int": self.int_}[kind]


def translated(raw: Mapping[str, Any]) -> str:
    """A dimension of another tool's file, as it is written here.

    >>> translated({"distribution": "log_uniform_values", "min": 0.001, "max": 0.1})
    '{float: [0.001, 0.1], log: true}'
    >>> translated({"values": ["adamw", "sgd"]})
    '{choice: [adamw, sgd]}'
    """
    for name in _LISTS:
        if isinstance(raw.get(name), list):
            return f"{{choice: {_flow(raw[name])}}}"
    if "value" in raw:
        return f"not a dimension: write the value {_flow(raw['value'])} under trial"
    bounds = next(
        ([raw[low], raw[high]] for low, high in _BOUNDS if low in raw and high in raw), None
    )
    for name in _RANGES:
        if bounds is None and isinstance(raw.get(name), list):
            bounds = raw[name][:2]
    if bounds is None:
        return "{float: [lowest, highest]}, {int: [lowest, highest]} or {choice: [values]}"
    hints = " ".join([*map(str, raw), *(v for v in raw.values() if isinstance(v, str))]).lower()
    whole = all(isinstance(bound, int) for bound in bounds) and "float" not in hints
    step = raw.get("step", raw.get("q"))
    parts = [f"{'int' if whole else 'float'}: {_flow(bounds)}"]
    if "log" in hints and raw.get("log") is not False:
        parts.append("log: true")
    elif whole and isinstance(step, int) and step > 1:
        parts.append(f"step: {step}")
    return f"{{{', '.join(parts)}}}"


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, list):
        shown = ", ".join(_flow(inner) for inner in value[:8])
        return f"[{shown}, ...]" if len(value) > 8 else f"[{shown}]"
    return value[:60] if isinstance(value, str) else json.dumps(value)[:60]
