"""Mutants of the package's functions: which ones there are, and one of them put in place.

A mutant is one function with one small fault (see mutation_operators.py). It is compiled with the
globals of its module and takes the function's place in its module or class, and wherever another
module of the same rooms has imported it by name.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from mutation_operators import OPERATORS, has_own_operator, places, replaced

ROOMS = ("hexsearch.data", "hexsearch.model", "hexsearch.training")
ROOT = Path(__file__).parents[1]
_SHOWN = 88  # characters of a source line
Function = ast.FunctionDef


@dataclass(frozen=True)
class Mutant:
    """One function with a fault in one place.

    Attributes:
        module: name of its module; owner: names of the classes that the function is in.
        function: the sound function; spot: number of the place that is changed, as in `places`.
        node: what stands there in the mutant.
        operator: name of the operator.
        line: of the changed place; lines: first and last one of its statement.
        number: which one it is of the mutants of its function.
        before, after: source of the place, without and with the fault.
    """

    module: str
    owner: tuple[str, ...]
    function: Function
    spot: int
    node: ast.AST
    operator: str
    line: int
    lines: tuple[int, int]
    number: int
    before: str
    after: str

    @property
    def where(self) -> str:
        """Its module and function."""
        return ".".join((self.module, *self.owner, self.function.name))

    @property
    def key(self) -> str:
        """What tells it from all other mutants of the same code."""
        return f"{self.where}:{self.number}: {self.operator}: {self.before} -> {self.after}"

    @property
    def place(self) -> str:
        """Its file and line."""
        return f"{self.module.replace('.', '/')}.py:{self.line}"


def modules(rooms: Sequence[str] = ROOMS) -> list[ModuleType]:
    """All modules of some packages, in alphabetical order."""
    found = []
    for room in rooms:
        package = importlib.import_module(room)
        paths = getattr(package, "__path__", [])
        found += [importlib.import_module(m.name) for m in pkgutil.walk_packages(paths, f"{room}.")]
        found.append(package)
    return sorted(found, key=lambda module: module.__name__)


def mutants_of(module: ModuleType) -> Iterator[Mutant]:
    """All mutants of a module's functions and methods, in the order of the source."""
    source = inspect.getsource(module)
    for owner, function in _functions(ast.parse(source), ()):
        yield from _mutants_of(module, owner, function, source)


def _functions(
    node: ast.Module | ast.ClassDef, owner: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Function]]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef):
            yield owner, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*owner, child.name))


def _mutants_of(
    module: ModuleType, owner: tuple[str, ...], function: Function, source: str
) -> Iterator[Mutant]:
    nodes = places(function)
    owned = has_own_operator(nodes)
    start = min([function.lineno, *(each.lineno for each in function.decorator_list)])
    end, number = _header_end(function), 0
    for place, node in enumerate(nodes):
        if isinstance(node, ast.stmt) and place:
            start, end = node.lineno, _header_end(node)
        for name, operator in OPERATORS.items():
            if name == "constant" and id(node) in owned:
                continue
            for other in operator(node):
                if name == "keyword left out" and _is_needed(module, node, other):
                    continue
                before, after = _shown(source, node, other)
                line = cast(ast.expr, node).lineno
                lines = (min(start, line), max(end, line))
                yield Mutant(
                    module.__name__,
                    owner,
                    function,
                    place,
                    other,
                    name,
                    line,
                    lines,
                    number,
                    before,
                    after,
                )
                number += 1


def _header_end(node: ast.stmt) -> int:
    """The last line of a statement without the statements inside it."""
    inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
    first = min((child.lineno for child in inner), default=None)
    end = node.end_lineno or node.lineno
    return end if first is None else max(node.lineno, first - 1)


def _is_needed(module: ModuleType, node: ast.AST, other: ast.AST) -> bool:
    """Whether the callee is known and has no default for the keyword that is left out."""
    assert isinstance(node, ast.Call) and isinstance(other, ast.Call)
    kept = {each.arg for each in other.keywords}
    names = {each.arg for each in node.keywords if each.arg and each.arg not in kept}
    try:
        callee: Any = module
        for part in ast.unparse(node.func).split("."):
            callee = getattr(callee, part)
        parameters = inspect.signature(callee).parameters
    except (AttributeError, TypeError, ValueError):
        return False
    known = [parameters[name] for name in names if name in parameters]
    return any(parameter.default is inspect.Parameter.empty for parameter in known)


def _shown(source: str, node: ast.AST, other: ast.AST) -> tuple[str, str]:
    """The lines of a node in the source, before and after, each in one line."""
    lines = source.encode().splitlines()
    spot = cast(ast.expr, node)
    first, last = spot.lineno - 1, (spot.end_lineno or spot.lineno) - 1
    head, tail = lines[first][: spot.col_offset], lines[last][spot.end_col_offset :]
    before = b" ".join(line.strip() for line in lines[first : last + 1]).decode()
    new = "(left out)" if isinstance(other, ast.Pass) else ast.unparse(other)
    after = f"{head.decode()}{new}{tail.decode()}".strip()
    return _narrow(before, after)


def _narrow(before: str, after: str) -> tuple[str, str]:
    """Two long lines cut to the part in which they differ."""
    length = max(len(before), len(after))
    if length <= _SHOWN:
        return before, after
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    start = max(0, min(same - _SHOWN // 3, length - _SHOWN))
    mark = "..." if start else ""
    cut = [
        mark + line[start : start + _SHOWN] + ("..." if len(line) > start + _SHOWN else "")
        for line in (before, after)
    ]
    return cut[0], cut[1]


def compiled(mutant: Mutant) -> Any:
    """What the mutant's definition makes: a function, a property, a class method and so on."""
    module = sys.modules[mutant.module]
    owner: Any = functools.reduce(getattr, mutant.owner, module)
    # `super()` reads `__class__`, so the definition stands in a function that has it.
    around = ast.parse("def make(__class__): pass").body[0]
    assert isinstance(around, ast.FunctionDef)
    back = ast.parse(f"return {mutant.function.name}").body
    around.body = [replaced(mutant.function, mutant.spot, mutant.node), *back]
    tree = ast.fix_missing_locations(ast.Module([around], []))
    flags = importlib.import_module("__future__").annotations.compiler_flag
    code = compile(tree, str(module.__file__), "exec", flags, dont_inherit=True)
    made: dict[str, Any] = {}
    exec(code, module.__dict__, made)
    return made["make"](owner)


def install(mutant: Mutant, patch: pytest.MonkeyPatch) -> None:
    """Put a mutant in the place of its function, wherever it was imported by name.

    A fault in the source is everywhere, too. The patch undoes it.
    """
    owner: Any = functools.reduce(getattr, mutant.owner, sys.modules[mutant.module])
    name, new = mutant.function.name, compiled(mutant)
    sound = vars(owner)[name]
    if mutant.owner:
        if isinstance(new, functools.cached_property):
            new.__set_name__(owner, name)
        patch.setattr(owner, name, new)
        return
    for module in _loaded():
        for held, value in list(vars(module).items()):
            if value is sound:
                patch.setattr(module, held, new)
            elif isinstance(value, dict) and held != "__builtins__":
                for key in [key for key, each in value.items() if each is sound]:
                    patch.setitem(value, key, new)


def _loaded() -> list[ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith("hexsearch.")]
