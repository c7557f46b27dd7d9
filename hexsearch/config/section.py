"""What every configuration section has in common, and how its faults are worded."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from hexsearch.errors import ConfigError


class Section(BaseModel):
    """A frozen YAML section: unknown keys and loose types are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


def tuple_from_list(value: object) -> object:
    """A YAML list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


IntTuple = Annotated[tuple[int, ...], BeforeValidator(tuple_from_list)]
StrTuple = Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)]

S = TypeVar("S", bound=Section)


def build(section: type[S], raw: object, where: str) -> S:
    """Make a section from one YAML mapping.

    Args:
        where: prefix of every fault, such as `quick.yaml: scheduler`.
    Raises:
        ConfigError: every fault of the mapping, each with its dotted path.
    """
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            [_describe(section, dict(fault), where) for fault in error.errors()]
        ) from error


def suggest(name: str, known: list[str]) -> str:
    """`did you mean 'x'?`, or the list of what is known.

    >>> suggest("redution_factor", ["grace_period", "reduction_factor"])
    "did you mean 'reduction_factor'?"
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def dotted(where: str, *parts: object) -> str:
    """Join a prefix and keys: a file name is parted by ': ', keys by '.'."""
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
        return f"{location}: unknown key; {suggest(str(fault['loc'][-1]), known)}"
    if kind == "missing":
        return f"{location}: missing"
    if kind == "literal_error":
        known = [str(option) for option in _literals_at(section, fault["loc"])]
        return f"{location}: unknown value {value!r}; {suggest(str(value), known)}"
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
    }.get(kind)
    if expected:
        return f"{location}: expected {expected}, got {type(value).__name__} {value!r}"
    return f"{location}: {fault['msg'][0].lower()}{fault['msg'][1:]}, got {value!r}"


def _field_at(section: type[Section], location: tuple[object, ...]) -> Any:
    """The annotation that a fault's location leads to, as far as sections go."""
    found: Any = section
    for part in location:
        if get_origin(found) is dict:
            found = get_args(found)[1]
        elif isinstance(found, type) and issubclass(found, Section) and part in found.model_fields:
            found = found.model_fields[str(part)].annotation
    return found


def _keys_at(section: type[Section], location: tuple[object, ...]) -> list[str]:
    found = _field_at(section, location)
    if isinstance(found, type) and issubclass(found, Section):
        return list(found.model_fields)
    return list(section.model_fields)


def _literals_at(section: type[Section], location: tuple[object, ...]) -> list[object]:
    return list(get_args(_field_at(section, location)))
