"""From which lines of a user's code a value comes: a backward slice of the program.

Names are followed from where they are used to where they are set, through functions, methods,
attributes, lists, loaders and conditions of the user's own files, without running anything. What
runs in between in what order is not looked at, so a slice may hold lines that do not matter.
Source: Weiser, Program slicing, 1984.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hexsearch.doctor.own_training.where.expressions import (
    CARRYING,
    CHOOSING,
    SIZES,
    is_of_module,
    parameters,
    picks,
    turns,
)
from hexsearch.doctor.own_training.where.ranking import Slice
from hexsearch.doctor.own_training.where.sources import (
    Function,
    Places,
    Scope,
    Source,
    key_of,
    name_of,
)

_ITEMS = ("__getitem__", "__iter__", "__next__", "__call__")  # what gives parts of an object
_MOST, _WAITING = 4_000, 16_000  # expressions that are visited, and that wait for it


@dataclass(frozen=True)
class _Step:
    node: ast.expr
    source: Source
    path: Places
    depth: int
    aside: bool = False
    choosing: bool = False
    turning: bool = False
    entered: tuple[ast.Call, Source] | None = None  # the call of the function that it is in


class Backward:
    """Follows expressions back to where they come from."""

    def __init__(self, until: frozenset[ast.AST] = frozenset(), upwards: bool = True) -> None:
        """Make one that has followed nothing yet.

        Args:
            until: calls that are not followed further, such as those of the network.
            upwards: parameters are followed to all callers of their function, and not only to
                the call by which it was entered.
        """
        self.until, self.upwards = until, upwards
        self.found = Slice()
        self._waiting: deque[_Step] = deque()
        self._seen: set[tuple[Any, ...]] = set()

    def follow(self, source: Source, *nodes: ast.expr, path: Places = ()) -> Slice:
        """The slice of some expressions, together with what was followed before."""
        self._waiting.extend(_Step(node, source, path, 0) for node in nodes)
        while self._waiting and len(self._seen) < _MOST:
            step = self._waiting.popleft()
            key = step.node, step.path, step.entered
            if key in self._seen:
                continue
            self._seen.add(key)
            if step.node in self.until:
                self.found.reached.add(step.path)
                continue
            is_given = isinstance(step.node, ast.Name | ast.Constant) and step.depth == 0
            if not is_given:
                self.found.note(
                    step.node, step.source, step.depth, step.aside, step.choosing, step.turning
                )
            if len(self._waiting) < _WAITING:  # of what is behind these nothing is visited
                self._waiting.extend(self._behind(step))
        return self.found

    def _behind(self, step: _Step) -> Iterator[_Step]:
        node, path = step.node, step.path
        match node:
            case ast.Name():
                yield from self._of_name(step, node.id)
            case ast.Attribute():
                yield from self._of_attribute(step, node)
            case ast.Subscript():
                key = key_of(node)
                inner = path if key is None else (key, *path)
                yield self._next(step, node.value, inner)
                if key is None:
                    for each in self._within(step, node.slice, itself=True):
                        yield replace(each, aside=step.aside or picks(node.slice))
            case ast.Tuple() | ast.List():
                yield from self._of_sequence(step, node)
            case ast.Dict():
                for key_node, value in zip(node.keys, node.values, strict=True):
                    name = key_node.value if isinstance(key_node, ast.Constant) else None
                    if not path or path[0] == name:
                        yield self._next(step, value, path[1:])
            case ast.Call():
                yield from self._of_call(step, node)
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                yield self._next(step, node.elt, path)
            case ast.DictComp():
                yield self._next(step, node.value, path)
            case ast.IfExp():
                yield self._next(step, node.body, path)
                yield self._next(step, node.orelse, path)
                yield self._next(step, node.test, ())
            case ast.Starred() | ast.Await() | ast.NamedExpr():
                yield self._next(step, node.value, path)
            case ast.Lambda():
                yield self._next(step, node.body, path)
            case _:
                yield from self._within(step, node)

    def _next(
        self, step: _Step, node: ast.expr, path: Places, source: Source | None = None
    ) -> _Step:
        return _Step(
            node, source or step.source, path, step.depth + 1, step.aside, False, step.turning
        )

    def _within(self, step: _Step, node: ast.AST, itself: bool = False) -> Iterator[_Step]:
        """All expressions directly below a node, or the node itself if it is one."""
        if itself and isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
            yield self._next(step, node, ())
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield self._next(step, child, ())

    def _of_sequence(self, step: _Step, node: ast.Tuple | ast.List) -> Iterator[_Step]:
        place = step.path[0] if step.path else None
        if isinstance(place, int) and -len(node.elts) <= place < len(node.elts):
            yield self._next(step, node.elts[place], step.path[1:])
            return
        for each in node.elts:
            yield self._next(step, each, step.path)

    def _of_name(self, step: _Step, name: str) -> Iterator[_Step]:
        source = step.source
        scope = source.scope_of(step.node)
        while True:
            known = source.set_in(scope, name)
            for each in known:
                given = self._next(step, each.value, (*each.path, *step.path))
                yield replace(given, choosing=each.in_turn)
                yield from self._conditions(step, each.value, scope)
            if isinstance(scope, Function) and name in parameters(scope):
                yield from self._arguments(step, scope, name)
                return
            if known or scope is None:
                return
            scope = source.scope_of(scope)

    def _conditions(self, step: _Step, value: ast.AST, scope: Scope | None) -> Iterator[_Step]:
        """Conditions, within the scope, under which a value is set."""
        for above in step.source.above(value):
            if above is scope:
                return
            for test in step.source.conditions_on(above):
                yield replace(self._next(step, test, ()), choosing=True)

    def _arguments(self, step: _Step, function: Function, name: str) -> Iterator[_Step]:
        """What callers in the same file give for a parameter, and its default."""
        if isinstance(function, ast.Lambda):
            return
        owner = step.source.class_of(function)
        names = parameters(function)
        called = function.name
        if owner is not None:
            names = names[1:]
            called = owner.name if function.name == "__init__" else called
        if step.entered is not None and name_of(step.entered[0].func) == called:
            calls = [step.entered]
        elif self.upwards:
            calls = [(call, step.source) for call in step.source.calls_of(called)]
        else:
            return
        out = replace(step, entered=None)
        for call, source in calls:
            for keyword in call.keywords:
                if keyword.arg == name:
                    yield self._next(out, keyword.value, step.path, source)
            if name in names and names.index(name) < len(call.args):
                yield self._next(out, call.args[names.index(name)], step.path, source)
        given = function.args.args[-len(function.args.defaults) :] if function.args.defaults else []
        for argument, default in zip(given, function.args.defaults, strict=False):
            if argument.arg == name:
                yield self._next(step, default, ())

    def _of_attribute(self, step: _Step, node: ast.Attribute) -> Iterator[_Step]:
        known = step.source.set_as(node.attr)
        for each in known:
            yield self._next(step, each.value, (*each.path, *step.path))
            yield from self._conditions(step, each.value, step.source.scope_of(each.value))
        for record in step.source.records:
            fields = step.source.fields_of(record)
            if node.attr in fields:
                for call in step.source.calls_of(record):
                    yield from self._of_record(step, call, fields, fields.index(node.attr))
        for method in step.source.functions.get(node.attr, []):  # a property
            if any(name_of(d) in ("property", "cached_property") for d in method.decorator_list):
                yield from self._results(step, method, step.source)
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield self._next(step, node.value, () if known else step.path)

    def _of_record(
        self, step: _Step, call: ast.Call, fields: list[str], place: int
    ) -> Iterator[_Step]:
        """One field of an object that is made with its fields."""
        for keyword in call.keywords:
            if keyword.arg == fields[place]:
                yield self._next(step, keyword.value, step.path)
        starred = next((n for n, a in enumerate(call.args) if isinstance(a, ast.Starred)), None)
        if starred is not None and starred <= place:
            given = call.args[starred]
            assert isinstance(given, ast.Starred)
            yield self._next(step, given.value, (place - starred, *step.path))
        elif place < len(call.args):
            yield self._next(step, call.args[place], step.path)

    def _of_call(self, step: _Step, node: ast.Call) -> Iterator[_Step]:
        name, path = name_of(node.func), step.path
        if name in SIZES:
            return
        source = step.source
        if isinstance(node.func, ast.Name) and name in source.imported:
            source = source.imported[name]
        if not is_of_module(node.func, step.source):
            inside = replace(step, entered=(node, step.source))
            for function in source.functions.get(name, []):
                yield from self._results(inside, function, source)
            if name in source.classes:
                yield from self._of_methods(step, source.classes[name], source, *_ITEMS)
            fields = source.fields_of(name)
            place = fields.index(path[0]) if path and path[0] in fields else path[0] if path else ""
            if isinstance(place, int) and -len(fields) <= place < len(fields):
                own = replace(step, path=path[1:])
                yield from self._of_record(own, node, fields, place % len(fields))
            if name in source.functions or name in source.classes or fields:
                return
        if name == "enumerate" and path and node.args:
            if path[0] == 1:
                yield self._next(step, node.args[0], path[1:])
            return
        starred = any(isinstance(each, ast.Starred) for each in node.args)
        if name == "zip" and path and isinstance(path[0], int) and not starred:
            for each in node.args[path[0] : path[0] + 1]:
                yield self._next(step, each, path[1:])
            return
        for keyword in node.keywords:
            if keyword.arg == "collate_fn" and isinstance(keyword.value, ast.Name):
                for function in source.functions.get(keyword.value.id, []):
                    yield from self._results(step, function, source)
        # A container that is called for an element keeps the places in it.
        inner = path if name in CARRYING | CHOOSING else ()
        if isinstance(node.func, ast.Attribute):
            yield self._next(step, node.func.value, path)
            for made in source.set_as(name):  # a module that is an attribute, as self.softmax
                yield self._next(step, made.value, ())
                called = name_of(made.value.func) if isinstance(made.value, ast.Call) else ""
                yield from self._of_methods(step, source.classes.get(called), source, "forward")
        for value in [*node.args, *(k.value for k in node.keywords)]:
            yield replace(self._next(step, value, inner), turning=step.turning or turns(node))

    def _of_methods(
        self, step: _Step, kind: ast.ClassDef | None, source: Source, *names: str
    ) -> Iterator[_Step]:
        """What methods of a class return."""
        for member in kind.body if kind is not None else []:
            if isinstance(member, ast.FunctionDef) and member.name in names:
                yield from self._results(step, member, source)

    def _results(self, step: _Step, function: ast.FunctionDef, source: Source) -> Iterator[_Step]:
        """What a function returns or yields."""
        inside = replace(step, source=source)
        for node in source.results_of(function):
            assert node.value is not None
            yield self._next(inside, node.value, step.path)
            yield from self._conditions(inside, node, function)
