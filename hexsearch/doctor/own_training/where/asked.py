"""Lines behind what a network is given, and behind what its losses are given."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hexsearch.doctor.own_training.where.lines import Line
from hexsearch.doctor.own_training.where.ranking import First
from hexsearch.doctor.own_training.where.slices import Backward
from hexsearch.doctor.own_training.where.sources import Places, Source, name_of, source_of


def behind_planes(call: Line | None, first: First = "") -> list[Line]:
    """Lines that a network's input comes from, those that compute something first.

    Args:
        call: where the network is called.
        first: which lines come before, as in Slice.
    """
    at = _call_at(call)
    if at is None:
        return []
    source, node = at
    backward = Backward()
    backward.follow(source, *node.args[:1], *(each.value for each in node.keywords[:1]))
    return _lines(backward, first)


def behind_targets(
    losses: Sequence[Line], call: Line | None, place: str, later: bool = False
) -> list[Line]:
    """Lines that the target of a loss comes from, those that compute something first.

    Args:
        losses: lines that compute the loss, from the network's output on.
        call: where the network is called.
        place: the output's place in what the network returns, as `value` or `1`.
        later: what the loss is multiplied by later on, in place of the target.
    """
    at = _call_at(call)
    if at is None:
        return []
    wanted, passed = _path(place), not later
    for line in losses:
        source = source_of(line.file)
        statement = source.around(line.number) if source is not None else None
        if source is None or statement is None:
            continue
        targets = list(_targets(source, statement, frozenset({at[1]}), wanted))
        if targets and not passed:
            passed = True
        elif targets:
            backward = Backward()
            backward.follow(source, *targets)
            return _lines(backward)
    return []


def behind_call(call: Line) -> list[Line]:
    """Lines that the arguments of a call come from, as those of an optimiser."""
    at = _call_at(call)
    if at is None:
        return []
    source, node = at
    backward = Backward()
    backward.follow(source, *node.args, *(each.value for each in node.keywords))
    return _lines(backward)


def makers_of(losses: Sequence[Line]) -> list[Line]:
    """Where the modules are made that these lines call, as a loss that is an attribute."""
    found = []
    for line in losses:
        source = source_of(line.file)
        statement = source.around(line.number) if source is not None else None
        if source is None or statement is None:
            continue
        for call in (n for n in ast.walk(statement) if isinstance(n, ast.Call)):
            name = name_of(call.func)
            known = source.set_as(name) if isinstance(call.func, ast.Attribute) else []
            if isinstance(call.func, ast.Name):
                known = source.set_in(source.scope_of(call), name) or source.set_in(None, name)
            values = [each.value for each in known if isinstance(each.value, ast.Call | ast.Tuple)]
            found += [Line(source.file, value.lineno) for value in values]
    return list(dict.fromkeys(found))


def behind_results(function: Callable[..., Any] | None, place: str = "") -> list[Line]:
    """Lines that what a function returns comes from, or the part of it at a place."""
    function = inspect.unwrap(function) if callable(function) else None
    code = getattr(function, "__code__", None)
    source = source_of(code.co_filename) if code is not None else None
    if code is None or source is None:
        return []
    for node in source.functions.get(code.co_name, []):
        if node.lineno <= code.co_firstlineno + len(node.decorator_list) <= (node.end_lineno or 0):
            return behind_function(source, node, _path(place))
    return [Line(source.file, code.co_firstlineno)]  # a lambda


def behind_function(source: Source, function: ast.FunctionDef, path: Places = ()) -> list[Line]:
    """The same for a function in a file."""
    backward = Backward(upwards=False)
    for each in source.results_of(function):
        assert each.value is not None
        backward.follow(source, each.value, path=path)
    return _lines(backward)


def _lines(backward: Backward, first: First = "") -> list[Line]:
    return [Line(file, number) for file, number in backward.found.ranked(first)]


def _path(place: str) -> Places:
    return tuple(int(part) if part.isdigit() else part for part in place.split(".") if part)


def _call_at(line: Line | None) -> tuple[Source, ast.Call] | None:
    """The call that a frame was at."""
    source = source_of(line.file) if line is not None else None
    if source is None or line is None:
        return None
    calls = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _place(node) == line.columns
    ]
    return (source, calls[0]) if calls else None


def _place(node: ast.expr) -> tuple[int | None, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _targets(
    source: Source, statement: ast.stmt, until: frozenset[ast.AST], wanted: Places
) -> Iterator[ast.expr]:
    """Values beside the wanted output, in the smallest expression that holds any.

    Values that come from any output of the network are none.
    """
    reached = {}
    for leaf in _leaves(source, statement):
        backward = Backward(until)
        reached[leaf] = backward.follow(source, leaf).reached
    for leaf, paths in reached.items():
        if not any(path[: len(wanted)] in ((), wanted) for path in paths):
            continue
        for above in source.above(leaf):
            below = set(ast.walk(above))
            others = [each for each, found in reached.items() if each in below and not found]
            if others or above is statement:
                yield from others
                break
        return


def _leaves(source: Source, statement: ast.stmt) -> Iterator[ast.expr]:
    """Variables, attributes and items in a statement, without what is called or imported."""
    for node in ast.walk(statement):
        if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
            continue
        holder = source.parents.get(node)
        if isinstance(holder, ast.Subscript) and holder.slice is node:
            continue  # it says which items are used
        leaf: ast.expr = node
        for above in source.above(node):
            if isinstance(above, ast.Attribute | ast.Subscript) and above.value is leaf:
                leaf = above
                continue
            if isinstance(above, ast.Call) and above.func is leaf:
                # What a method is called on is a value; a function or a module is none.
                leaf = leaf.value if isinstance(leaf, ast.Attribute) else above
            break
        is_value = not isinstance(leaf, ast.Call) and not (
            isinstance(leaf, ast.Name)
            and (leaf.id in source.modules or source.is_constant(leaf.id))
        )
        if is_value and not (isinstance(leaf, ast.Attribute) and leaf.attr in source.functions):
            yield leaf
