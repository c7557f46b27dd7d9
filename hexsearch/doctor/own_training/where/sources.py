"""A user's files as syntax trees: where names and attributes are set, and functions called."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from hexsearch.model.plugins import is_of_a_user

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Scope = Function | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Places = tuple[int | str, ...]  # places in tuples and keys of mappings, from the outside


@dataclass(frozen=True)
class Set:
    """One place at which a name gets a value, or part of it.

    Attributes:
        value: the expression.
        path: which part of the expression it is.
        in_turn: the name gets the items of the expression, one after the other.
    """

    value: ast.expr
    path: Places = ()
    in_turn: bool = False


class Source:
    """One file of a user."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.tree = ast.parse(Path(file).read_text(encoding="utf-8"))
        # What runs as a program only is not what was watched.
        self.tree.body = [each for each in self.tree.body if not _is_for_a_program(each)]
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }
        self._calls: dict[str, list[ast.Call]] = defaultdict(list)
        self._conditions: dict[ast.AST, list[ast.expr]] = {}
        self._results: dict[ast.AST, list[ast.Return | ast.Yield | ast.YieldFrom]] = {}
        self.functions: dict[str, list[ast.FunctionDef]] = defaultdict(list)
        self.classes: dict[str, ast.ClassDef] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                self.functions[node.name].append(node)
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Call):
                self._calls[name_of(node.func)].append(node)

    @cached_property
    def imported(self) -> dict[str, Source]:
        """Other files of the user, by the names that are imported from them."""
        found: dict[str, Source] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                file = getattr(sys.modules.get(node.module or ""), "__file__", None)
                other = source_of(file) if file else None
                if other is not None and other is not self:
                    found |= {each.asname or each.name: other for each in node.names}
        return found

    @cached_property
    def modules(self) -> set[str]:
        """Names that are imported, from any module."""
        return {
            (each.asname or each.name).split(".")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for each in node.names
        }

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that hold a node, from the innermost one on."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def scope_of(self, node: ast.AST) -> Scope | None:
        """The innermost function or comprehension around a node; None at the top level."""
        return next((each for each in self.above(node) if isinstance(each, Scope)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The class that a function is a method of."""
        parent = self.parents.get(node)
        return parent if isinstance(parent, ast.ClassDef) else None

    def conditions_on(self, node: ast.AST) -> list[ast.expr]:
        """Conditions under which what a node holds runs at all, or is left out."""
        if node not in self._conditions:
            self._conditions[node] = list(_conditions(node))
        return self._conditions[node]

    def results_of(self, function: ast.FunctionDef) -> list[ast.Return | ast.Yield | ast.YieldFrom]:
        """The statements of a function that give a value back."""
        if function not in self._results:
            self._results[function] = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom)
                and node.value is not None
                and self.scope_of(node) is function
            ]
        return self._results[function]

    def makes(self, name: str) -> bool:
        """Whether a function or class of this name is defined or imported from the user."""
        known = self.functions, self.classes, self.imported, self.records
        return any(name in each for each in known)

    def calls_of(self, name: str) -> list[ast.Call]:
        """Calls of a function or class with this name."""
        return self._calls.get(name, [])

    def around(self, number: int) -> ast.stmt | None:
        """The innermost statement of a line."""
        held = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or 0)
        ]
        return max(held, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)

    def set_in(self, scope: Scope | None, name: str) -> list[Set]:
        """Where a name is set in a scope; with None, at the top level."""
        return self._sets[scope].get(name, [])

    def is_at_top(self, node: ast.AST) -> bool:
        """Whether a node is outside all functions, as settings are."""
        return not any(isinstance(each, Function) for each in self.above(node))

    def is_constant(self, name: str) -> bool:
        """Whether a name is set at the top level alone, to a constant."""
        known = self.set_in(None, name)
        elsewhere = any(name in names for scope, names in self._sets.items() if scope is not None)
        return (
            bool(known)
            and not elsewhere
            and all(isinstance(each.value, ast.Constant) for each in known)
        )

    def fields_of(self, name: str) -> list[str]:
        """The annotated fields of a class, or those of a namedtuple, in their order."""
        if name in self.classes:
            return [
                each.target.id
                for each in self.classes[name].body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
        for each in self.set_in(None, name):
            if isinstance(each.value, ast.Call) and name_of(each.value.func) == "namedtuple":
                return _names_in(each.value.args[1:2])
        return []

    @cached_property
    def records(self) -> list[str]:
        """Names of classes and namedtuples that have fields."""
        names = [*self.classes, *self._sets[None]]
        return [name for name in names if self.fields_of(name)]

    def set_as(self, attribute: str) -> list[Set]:
        """Where any code sets an attribute of an object of this name."""
        return self._attributes.get(attribute, [])

    @cached_property
    def _sets(self) -> dict[Scope | None, dict[str, list[Set]]]:
        found: dict[Scope | None, dict[str, list[Set]]] = defaultdict(lambda: defaultdict(list))
        for node in ast.walk(self.tree):
            for target, each in _assigned(node):
                if isinstance(target, ast.Name):
                    found[self.scope_of(node)][target.id].append(each)
        return found

    @cached_property
    def _attributes(self) -> dict[str, list[Set]]:
        found: dict[str, list[Set]] = defaultdict(list)
        for node in ast.walk(self.tree):
            for target, each in _assigned(node):
                if isinstance(target, ast.Attribute):
                    found[target.attr].append(each)
        return found


def name_of(function: ast.expr) -> str:
    """The last name of what is called: `f` of `a.b.f`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _conditions(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.If | ast.While):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.For):
        leaving = (ast.Continue, ast.Break, ast.Return)
        for each in node.body:
            if isinstance(each, ast.If) and any(isinstance(n, leaving) for n in ast.walk(each)):
                yield each.test


def _names_in(arguments: list[ast.expr]) -> list[str]:
    """The names of a namedtuple: one text, or a list of texts."""
    texts = [n.value for a in arguments for n in ast.walk(a) if isinstance(n, ast.Constant)]
    return [name for text in texts for name in str(text).replace(",", " ").split()]


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, Set]]:
    """Names and attributes that a node sets, or changes, with the expressions."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _parts(target, node.value, ())
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and node.value:
        yield from _parts(node.target, node.value, ())
    elif isinstance(node, ast.For | ast.comprehension):
        for target, each in _parts(node.target, node.iter, ()):
            yield target, replace(each, in_turn=True)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _parts(node.optional_vars, node.context_expr, ())
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value  # x.append(y), x.copy_(y): a call for its effect changes x
        if isinstance(call.func, ast.Attribute):
            for argument in call.args:
                yield from _parts(call.func.value, argument, ())


def _parts(target: ast.expr, value: ast.expr, path: Places) -> Iterator[tuple[ast.expr, Set]]:
    if isinstance(target, ast.Tuple | ast.List):
        for place, each in enumerate(target.elts):
            yield from _parts(each, value, (*path, place))
    elif isinstance(target, ast.Starred):
        yield from _parts(target.value, value, ())
    elif isinstance(target, ast.Subscript):
        inner = key_of(target)
        yield from _parts(target.value, value, ())
        if inner is None:  # which entries are set matters, too
            yield from _parts(target.value, target.slice, ())
    else:
        yield target, Set(value, path)


def key_of(subscript: ast.Subscript) -> int | str | None:
    """The constant key or place in square brackets."""
    key = subscript.slice
    if isinstance(key, ast.Constant) and isinstance(key.value, int | str):
        return key.value
    return None


def source_of(file: str) -> Source | None:
    """A user's file as it is now; None if it is none, or cannot be read."""
    if not is_of_a_user(file):
        return None
    try:
        return _parsed(file, Path(file).stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=64)
def _parsed(file: str, changed: int) -> Source:
    return Source(file)


def _is_for_a_program(node: ast.stmt) -> bool:
    """Whether a statement is `if __name__ == "__main__"`."""
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
        return False
    sides = [node.test.left, *node.test.comparators]
    return any(isinstance(each, ast.Name) and each.id == "__name__" for each in sides)
