"""Checks that the values of a record have the types of its fields.

A ledger may have been edited by hand or by another program. All values are checked when a record
is read, so other code can rely on the types.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hexsearch.errors import LedgerError

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")  # of a trial, and so of its folder
_MOST = 1 << 63  # whole numbers that numpy holds are smaller
# Sections of a study's configuration that are read from its first record.
_SECTIONS = ("data", "run", "search", "scheduler", "trial", "race")
Check = Callable[[Any], bool]
_Kinds = tuple[type, ...]


@contextmanager
def fitting(what: str) -> Iterator[None]:
    """Apply a record that may refer to a trial which no earlier record has introduced.

    Raises:
        LedgerError: it does.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise LedgerError(
            f"{what} does not fit what stands before it ({type(error).__name__}: {error}); restore "
            "the file from a copy"
        ) from error


def made(kind: type[T], values: dict[str, Any], name: str) -> T:
    """An instance of a dataclass from its fields.

    Raises:
        TypeError: a field is missing or unknown; says which, by the `name` of the instance.
    """
    try:
        return kind(**values)
    except TypeError as error:
        fields: Any = dataclasses.fields(kind)  # type: ignore[arg-type]
        unknown = values.keys() - {each.name for each in fields}
        missing = [
            each.name
            for each in fields
            if each.default is each.default_factory is dataclasses.MISSING
            and each.name not in values
        ]
        if missing:
            raise TypeError(f"{name} has no {missing[0]}") from error
        if unknown:
            raise TypeError(f"{name} has an unknown {min(unknown)[:40]!r}") from error
        raise


def all_made(kind: type[T], values: object, name: str) -> list[T]:
    """The same of a list.

    Raises:
        TypeError: it is no list of mappings.
    """
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise TypeError(_said(name, values))
    return [made(kind, each, name) for each in values]


def checked(event: T) -> T:
    """The event, if its fields hold what they should.

    Raises:
        TypeError: names a field that does not, or a name of a trial that could leave its folder.
    """
    fault = misfit(event)
    trial = getattr(event, "trial", None)
    if fault is None and trial is not None and not _NAME.match(trial):
        fault = f"trial is {trial[:40]!r}, no plain name"
    if fault is not None:
        raise TypeError(fault)
    return event


def config_misfit(config: Mapping[str, Any]) -> str | None:
    """The first section of a study's configuration that is none, in words; None if all are."""
    for name in _SECTIONS:
        if not isinstance(config.get(name, {}), dict):
            return _said(f"config.{name}", config[name])
    for name, dimension in config.get("search", {}).items():
        if not isinstance(dimension, dict):
            return _said(f"config.search.{name}", dimension)
    phases = config.get("phases", [])
    if not isinstance(phases, list | tuple) or not all(isinstance(name, str) for name in phases):
        return _said("config.phases", phases)
    return None


def stored_number(config: Mapping[str, Any], section: str, name: str, default: float) -> float:
    """A number of a stored configuration, or the default where there is none."""
    value = config.get(section, {}).get(name)
    return value if type(value) in (int, float) else default


def misfit(value: Any) -> str | None:
    """The first field of a dataclass that holds something else, in words; None if all fit."""
    kind: Any = type(value)
    plain, others = _fields(kind)
    for name, kinds in plain:
        held = getattr(value, name)
        if not isinstance(held, kinds) and not (int in kinds and held != held):
            return _said(name, held)  # a count that is not known is nan
        if type(held) is int and not -_MOST < held < _MOST:
            return _said(name, held)
    for name, fits in others:
        if not fits(getattr(value, name)):
            return _said(name, getattr(value, name))
    return None


def _said(name: str, value: object) -> str:
    if dataclasses.is_dataclass(value):
        return f"{name}.{misfit(value)}"
    return f"{name} is {str(value)[:40]!r}"


@cache
def _fields(kind: Any) -> tuple[list[tuple[str, _Kinds]], list[tuple[str, Check]]]:
    """Fields of plain kinds, which are many, and those that take a look inside."""
    plain: list[tuple[str, _Kinds]] = []
    others: list[tuple[str, Check]] = []
    hints = get_type_hints(kind)
    for each in dataclasses.fields(kind):
        kinds = _plain(hints[each.name])
        if kinds is None:
            others.append((each.name, _check(hints[each.name])))
        elif object not in kinds:
            plain.append((each.name, kinds))
    return plain, others


def _plain(hint: Any) -> _Kinds | None:
    """What `isinstance` is to be asked, where that is enough."""
    if hint is Any:
        return (object,)
    if hint is float:
        return (int, float)
    if hint in (int, str, bool, type(None)):
        return (hint,)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [_plain(part) for part in get_args(hint)]
        if None not in parts:
            return tuple(kind for part in parts for kind in part or ())
    if get_origin(hint) in (dict, Mapping) and get_args(hint)[1] is Any:
        return (dict,)
    return None


def _check(hint: Any) -> Check:
    if get_origin(hint) is Literal:
        known = get_args(hint)
        return lambda value: isinstance(value, str) and value in known
    if get_origin(hint) is list:
        (part,) = get_args(hint)
        inside = _inside(part)
        return lambda value: isinstance(value, list) and all(map(inside, value))
    if get_origin(hint) is dict or get_origin(hint) is Mapping:
        inside = _inside(get_args(hint)[1])
        return lambda value: isinstance(value, dict) and all(map(inside, value.values()))
    return lambda value: isinstance(value, hint) and misfit(value) is None


def _inside(hint: Any) -> Check:
    kinds = _plain(hint)
    return _check(hint) if kinds is None else lambda value: isinstance(value, kinds)
