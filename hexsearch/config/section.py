"""Base class of configuration sections, and the wording of their faults."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from hexsearch.errors import ConfigError

# Every number has a finite range and every list a largest length. Several sections share these.
MAX_POSITIONS = 10**12  # positions seen; at a million a second this takes eleven days
MAX_PLIES = 19 * 19  # cells of the largest board
MAX_WEIGHT = 1000.0  # weight in the training loss
MAX_WIDTH = 65_536  # channels or units of one layer
MAX_TEXT = 2000  # characters
_MAX_ENTRIES = 1000  # entries of a list or mapping in the options of a plug-in
_PRINTED = 80  # characters of a value in a message
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


class Section(BaseModel):
    """A frozen YAML section. Unknown keys, other types and infinite numbers are faults."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False
    )


def is_import_path(text: str) -> bool:
    """Whether text names a plug-in, `package.module:factory`."""
    return len(text) <= MAX_TEXT and _IMPORT_PATH.match(text) is not None


def plain_value(value: Any) -> Any:
    """A value of any type, if it is within the bounds that hold for all values.

    Raises:
        ValueError: a number is infinite, or a text, list or whole number is too large.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"a whole number of {len(str(abs(value)))} digits; at most 18 are allowed")
    if isinstance(value, (str, list, dict)):
        limit = MAX_TEXT if isinstance(value, str) else _MAX_ENTRIES
        if len(value) > limit:
            raise ValueError(f"{len(value):,} entries or characters; at most {limit:,}")
    if isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            plain_value(inner)
    return value


def tuple_from_list(value: object) -> object:
    """A YAML list as a tuple. Other values are returned as they are."""
    return tuple(value) if isinstance(value, list) else value


IntTuple = Annotated[tuple[int, ...], BeforeValidator(tuple_from_list)]
StrTuple = Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)]

PlainValue = Annotated[Any, AfterValidator(plain_value)]
Options = Annotated[dict[str, PlainValue], Field(max_length=100)]
S = TypeVar("S", bound=Section)

# Keys of other tools -> the keys that mean the same here.
_ELSEWHERE = {
    "parameters": "search",
    "method": "searcher.name",
    "metric": "searcher.objectives",
    "early_terminate": "scheduler",
    "n_trials": "run.trials",
    "num_samples": "run.trials",
    "max_concurrent_trials": "run.max_concurrent",
    "timeout": "run.time_budget",
    "lr": "optimiser.learning_rate",
    "wd": "optimiser.weight_decay",
    "optimizer": "optimiser",
    "min_resource": "scheduler.grace_period",
    "max_resource": "scheduler.max_t",
    "dropout_rate": "dropout",
}


def build(section: type[S], raw: object, where: str) -> S:
    """Make a section from one YAML mapping.

    Args:
        where: prefix of every fault, such as `quick.yaml: scheduler`.
    Raises:
        ConfigError: the mapping has faults; lists all of them with their dotted paths.
    """
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            [_describe(section, dict(fault), where) for fault in error.errors()]
        ) from error


def suggest(name: str, known: list[str]) -> str:
    """`did you mean 'x'?`, or the list of known names.

    >>> suggest("redution_factor", ["grace_period", "reduction_factor"])
    "did you mean 'reduction_factor'?"
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def dotted(where: str, *parts: object) -> str:
    """Join a prefix and keys: ': ' follows a file name, and '.' separates keys."""
    path = ".".join(str(part) for part in parts)
    if not path:
        return where
    if not where:
        return path
    return where + ("" if where.endswith(" ") else ".") + path


def _describe(section: type[Section], fault: Mapping[str, Any], where: str) -> str:
    location = dotted(where, *fault["loc"])
    value, context = fault["input"], fault.get("ctx", {})
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _keys_at(section, fault["loc"][:-1])
        key = str(fault["loc"][-1])
        meant = _ELSEWHERE.get(key)
        if meant and key not in known and (meant in known or "." in meant):
            return f"{location}: unknown key; here it is called {meant}"
        return f"{location}: unknown key; {suggest(key, known)}"
    if kind == "missing":
        return f"{location}: missing"
    if kind == "literal_error":
        known = [str(option) for option in _literals_at(section, fault["loc"])]
        return f"{location}: unknown value {_printed(value)}; {suggest(str(value), known)}"
    if kind == "value_error":
        return f"{location}: {context['error']}"
    expected = {
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "bool_type": "true or false",
        "model_type": "a mapping",
        "dict_type": "a mapping",
        "tuple_type": "a list",
        "list_type": "a list",
        "string_pattern_mismatch": "a URL, such as s3://bucket/folder",
    }.get(kind)
    if expected:
        return f"{location}: expected {expected}, got {_kind_of(value)}"
    bounds = {
        "greater_than": "must be above {gt:,}",
        "greater_than_equal": "must be {ge:,} or more",
        "less_than": "must be below {lt:,}",
        "less_than_equal": "must be at most {le:,}",
        "finite_number": "must be a finite number",
        "too_long": "must have at most {max_length:,} entries",
        "too_short": "must have {min_length:,} entries or more",
        "string_too_long": "must have at most {max_length:,} characters",
        "string_too_short": "must not be empty",
    }.get(kind)
    problem = bounds.format(**context) if bounds else f"{fault['msg'][0].lower()}{fault['msg'][1:]}"
    return f"{location}: {problem}, got {_printed(value)}"


def _kind_of(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {_printed(value)}"


def _printed(value: object) -> str:
    text = f"{len(value):,} entries" if isinstance(value, (list, tuple, dict)) else repr(value)
    return text if len(text) <= _PRINTED else f"{text[:_PRINTED]}..."


def _field_at(section: type[Section], location: tuple[object, ...]) -> Any:
    """The annotation at a fault's location, as far as it leads through sections."""
    kind: Any = section
    for part in location:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, Section) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
    return kind


def _keys_at(section: type[Section], location: tuple[object, ...]) -> list[str]:
    kind = _field_at(section, location)
    inner = kind if isinstance(kind, type) and issubclass(kind, Section) else section
    return [field.alias or name for name, field in inner.model_fields.items()]


def _literals_at(section: type[Section], location: tuple[object, ...]) -> list[object]:
    return list(get_args(_field_at(section, location)))
