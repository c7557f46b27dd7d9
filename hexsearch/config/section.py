"""Base class of configuration sections, and the wording of their faults."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
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
_SUGGESTED = 3  # settings in a suggestion
_CLOSE = 0.8  # similarity of a name in a deeper section, from which it is suggested
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


def as_yaml(value: object) -> str:
    """A value in one line, as a search space states it.

    >>> as_yaml({"norm": None, "widths": [64, 32], "residual": True})
    '{norm: null, widths: [64, 32], residual: true}'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_yaml(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value)


def quoted(value: object) -> str:
    """As `as_yaml`, with text in quotes, as a message states it."""
    return repr(value) if isinstance(value, str) else as_yaml(value)


def suggest(name: str, known: list[str]) -> str:
    """`did you mean 'x'?`, or the list of known names.

    >>> suggest("redution_factor", ["grace_period", "reduction_factor"])
    "did you mean 'reduction_factor'?"
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def suggest_setting(key: str, section: type[Section]) -> str:
    """As `suggest`, for a key of a section. A name that stands in a deeper section is found, too.

    >>> from hexsearch.config.trial import TrialConfig
    >>> suggest_setting("learning_rate", TrialConfig)
    "did you mean 'optimiser.learning_rate'?"
    """
    known = [field.alias or name for name, field in section.model_fields.items()]
    meant = _ELSEWHERE.get(key)
    if meant and key not in known and (meant in known or "." in meant):
        return f"here it is called {meant}"
    paths = list(_paths_below(section))
    deeper = [path for path in paths if path.endswith(f".{key}")]
    if not deeper and not get_close_matches(key, known):
        close = get_close_matches(key, [path.rpartition(".")[2] for path in paths], 1, _CLOSE)
        deeper = [path for path in paths if close and path.endswith(f".{close[0]}")]
    if deeper:
        return f"did you mean {' or '.join(map(repr, deeper[:_SUGGESTED]))}?"
    return suggest(key, known)


def _paths_below(section: type[Section]) -> Iterator[str]:
    """Every setting of a section and of those in it, by its dotted path."""
    for name, field in section.model_fields.items():
        key = field.alias or name
        yield key
        kinds = [field.annotation, *get_args(field.annotation)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from (f"{key}.{path}" for path in _paths_below(kind))


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
        inner = _section_at(section, fault["loc"][:-1])
        return f"{location}: unknown key; {suggest_setting(str(fault['loc'][-1]), inner)}"
    if kind == "missing":
        return f"{location}: missing"
    if kind == "literal_error":
        known = [str(option) for option in _literals_at(section, fault["loc"])]
        return f"{location}: unknown value {printed(value)}; {suggest(str(value), known)}"
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
        "greater_than": "must be above {gt}",
        "greater_than_equal": "must be {ge} or more",
        "less_than": "must be below {lt}",
        "less_than_equal": "must be at most {le}",
        "finite_number": "must be a finite number",
        "too_long": "must have at most {max_length} entries",
        "too_short": "must have {min_length} entries or more",
        "string_too_long": "must have at most {max_length} characters",
        "string_too_short": "must not be empty",
    }.get(kind)
    limits = {n: f"{v:,.15g}" for n, v in context.items() if isinstance(v, int | float)}
    problem = bounds.format(**limits) if bounds else f"{fault['msg'][0].lower()}{fault['msg'][1:]}"
    return f"{location}: {problem}, got {printed(value)}"


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping of {printed(value)}"
    return f"a list of {printed(value)}" if isinstance(value, list | tuple) else printed(value)


def printed(value: object) -> str:
    """A value in a message: text in quotes, long values cut, lists and mappings counted."""
    if isinstance(value, list | tuple | dict):
        return f"{len(value):,} {'entry' if len(value) == 1 else 'entries'}"
    text = quoted(value)
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


def _section_at(section: type[Section], location: tuple[object, ...]) -> type[Section]:
    kind = _field_at(section, location)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else section


def _literals_at(section: type[Section], location: tuple[object, ...]) -> list[object]:
    return list(get_args(_field_at(section, location)))
