"""Which functions of a user run, what their names hold, and other code for them."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.code.expressions import exchanged_with
from hexsearch.doctor.hypotheses.code.statements import NUMBER, Signature
from hexsearch.doctor.own_training.where.sources import Source, name_of, source_of
from hexsearch.model.plugins import is_of_a_user

# Functions with such calls do more than compute, and are never run with other code. Names alone
# stand for functions of Python: `net.eval()` is another thing.
_ACTS = {
    *(
        "save",
        "savez",
        "write_text",
        "write_bytes",
        "remove",
        "unlink",
        "rmdir",
        "rmtree",
        "rename",
    ),
    *("mkdir", "makedirs", "system", "Popen", "kill", "urlopen", "urlretrieve", "extractall"),
    *("download_url_to_file", "check_call", "check_output"),
}
_ACTING_NAMES = {"open", "input", "exec", "eval", "exit", *_ACTS}
_INNER = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>", "<module>")


@dataclass
class Ran:
    """A function of a user that has run.

    Attributes:
        node: its definition in `source`.
        objects: the functions with this code that exist.
        when: in which calls it ran, such as "load", "encode" or "answer".
        names: what local names, attributes of them and numbers of the module held when it returned.
        result: what it returned, or each part of a tuple.
    """

    source: Source
    node: ast.FunctionDef
    code: CodeType
    when: set[str] = field(default_factory=set)
    objects: list[FunctionType] = field(default_factory=list)
    names: dict[str, Signature] = field(default_factory=dict)
    result: list[Signature | None] = field(default_factory=list)


class Watch:
    """Notes the functions of a user that run in calls."""

    def __init__(self) -> None:
        self._ran: dict[CodeType, Ran | None] = {}

    @contextmanager
    def during(self, when: str) -> Iterator[None]:
        """Note what runs inside a `with` block, under a name."""

        def noted(frame: FrameType, event: str, value: Any) -> None:
            if event not in ("call", "return"):
                return
            ran = self._of(frame.f_code)
            if ran is not None:
                ran.when.add(when)
                if event == "return" and not ran.names:
                    held = {key: signature(each) for key, each in _held(ran.node, frame)}
                    ran.names = {key: each for key, each in held.items() if each is not None}
                    parts = value if isinstance(value, tuple) else [value]
                    ran.result = [signature(part) for part in parts]

        before = sys.getprofile()  # that of a profiler cannot be set again
        sys.setprofile(noted)
        try:
            yield
        finally:
            sys.setprofile(before if callable(before) else None)

    def found(self) -> list[Ran]:
        """The functions that other code can stand in for, in the order of their first calls."""
        ran = [each for each in self._ran.values() if each is not None]
        codes = {each.code: each for each in ran}
        if codes:
            for each in gc.get_referrers(*codes):
                if isinstance(each, FunctionType) and each.__code__ in codes:
                    codes[each.__code__].objects.append(each)
        return [each for each in ran if each.objects]

    def _of(self, code: CodeType) -> Ran | None:
        if code not in self._ran:
            self._ran[code] = _ran(code)
        return self._ran[code]


def _ran(code: CodeType) -> Ran | None:
    """A function of a user; None if it is not, or if it may do more than compute."""
    if code.co_name in _INNER or not is_of_a_user(code.co_filename):
        return None
    source = source_of(code.co_filename)
    if source is None:
        return None
    for node in source.functions.get(code.co_name, ()):
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        if first == code.co_firstlineno:
            ran = Ran(source, node, code)
            # A file that has changed since the import holds other code than what runs.
            return ran if not _acts(node) and _is_as_written(code, source) else None
    return None


def _held(node: ast.FunctionDef, frame: FrameType) -> Iterator[tuple[str, Any]]:
    """What names and attributes that a function reads hold, by their source."""
    local, whole = frame.f_locals, frame.f_globals
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and each.id in local:
            yield each.id, local[each.id]
        elif isinstance(each, ast.Name) and isinstance(whole.get(each.id), int | float):
            yield each.id, whole[each.id]
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            owner = local.get(each.value.id)
            attributes = getattr(owner, "__dict__", {})
            if each.attr in attributes:
                yield ast.unparse(each), attributes[each.attr]


def _acts(node: ast.AST) -> bool:
    """Whether a function may write, or run without an end."""
    for each in ast.walk(node):
        if isinstance(each, ast.While | ast.Yield | ast.YieldFrom | ast.Await | ast.Global):
            return True
        if isinstance(each, ast.Call):
            acting = _ACTING_NAMES if isinstance(each.func, ast.Name) else _ACTS
            if name_of(each.func) in acting:
                return True
    return False


def signature(value: Any) -> Signature | None:
    """Type, shape and kind of numbers of a value; None for what is neither array nor number."""
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        kind = "b" if str(value.dtype) == "torch.bool" else "f"
        return "Tensor", tuple(value.shape), kind
    if isinstance(value, np.ndarray):
        return "ndarray", value.shape, "b" if value.dtype == np.bool_ else "f"
    if isinstance(value, bool | np.bool_):
        return "number", (), "b"
    if isinstance(value, int | float | np.number):
        return NUMBER
    return None


def compiled(ran: Ran) -> CodeType | None:
    """The code of a function's definition as its syntax tree is now; None if it has none."""
    whole: ast.AST = ran.node
    for above in ran.source.above(ran.node):
        if isinstance(above, ast.ClassDef) and whole is ran.node:
            whole = exchanged_with(above, body=[whole])  # other methods do not matter
        elif not isinstance(above, ast.Module):
            whole = above
    try:
        module = ast.Module([whole], [])  # type: ignore[list-item]
        made = compile(module, ran.source.file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return None
    return next((each for each in _inside(made) if _is_other(each, ran.code)), None)


def _is_as_written(code: CodeType, source: Source) -> bool:
    """Whether a function's code is that of its file."""
    whole = _whole(source)
    found = () if whole is None else _inside(whole)
    return any(_is_other(each, code) and _computes_as(each, code) for each in found)


def _computes_as(first: CodeType, second: CodeType) -> bool:
    """Whether two codes do the same, with the same names and constants."""
    alike = (
        (each.co_code, each.co_names, each.co_varnames, len(each.co_consts))
        for each in (first, second)
    )
    if len(set(alike)) > 1:
        return False
    return all(
        _computes_as(one, other)
        if isinstance(one, CodeType) and isinstance(other, CodeType)
        else (type(one), one) == (type(other), other)
        for one, other in zip(first.co_consts, second.co_consts, strict=True)
    )


@lru_cache(maxsize=16)
def _whole(source: Source) -> CodeType | None:
    try:
        return compile(source.tree, source.file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return None


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _inside(each)


def _is_other(code: CodeType, own: CodeType) -> bool:
    """Whether code can stand in for that of a function."""
    return (
        code.co_name == own.co_name
        and code.co_firstlineno == own.co_firstlineno
        and code.co_freevars == own.co_freevars
    )


@contextmanager
def running(functions: Sequence[FunctionType], code: CodeType) -> Iterator[None]:
    """Let functions run other code."""
    kept = [function.__code__ for function in functions]
    try:
        for function in functions:
            function.__code__ = code
        yield
    finally:
        for function, own in zip(functions, kept, strict=True):
            function.__code__ = own
