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
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError(
            f"{what} does not fit what stands before it ({type(error).__name__}: {error}); restore "
            "the file from a copy"
        ) from error


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


def misfit(value: Any) -> str | None:
    """The first field of a dataclass that holds something else, in words; None if all fit."""
    kind: Any = type(value)
    plain, others = _fields(kind)
    for name, kinds in plain:
        held = getattr(value, name)
        if not isinstance(held, kinds) and not (int in kinds and held != held):
            return _said(name, held)  # a count that is not known is nan
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
