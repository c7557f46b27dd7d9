"""Operators of mutation testing: each makes small faults in one place of a function's syntax tree.

An operator gets a node and yields the nodes that may stand in its place. The operators are the
usual ones of the literature (DeMillo, Lipton and Sayward, 1978; Jia and Harman, 2011), and some for
code that computes with arrays: a reduction, a dimension, a copy.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hexsearch.doctor.hypotheses.code.expressions import called, exchanged_with, number_of

Operator = Callable[[ast.AST], Iterator[ast.AST]]
N = TypeVar("N", bound=ast.AST)

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
}
_LOGIC: dict[type[ast.AST], type[Any]] = {
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,  # for arrays
    ast.BitOr: ast.BitAnd,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_REDUCTIONS = {
    name: other
    for pair in (("min", "max"), ("amin", "amax"), ("minimum", "maximum"), ("mean", "sum"))
    for name, other in (pair, pair[::-1])
}
_COPIES = ("clone", "copy", "detach", "deepcopy")
_DIMENSIONS = ("dim", "axis", "start_dim", "end_dim")
# Methods whose first argument is a dimension, and functions whose second one is.
_BY_DIMENSION = (
    *("sum", "mean", "amin", "amax", "min", "max", "argmin", "argmax", "std", "var", "any", "all"),
    *("softmax", "log_softmax", "logsumexp", "cumsum", "flatten", "squeeze", "unsqueeze", "unbind"),
)
_JOINED_BY_DIMENSION = ("cat", "stack", "softmax", "log_softmax", "cumsum", "index_select")
# What is not mutated: annotations, decorators, and messages, which no digest could show.
_SKIPPED_FIELDS = ("annotation", "returns", "decorator_list", "format_spec")
_SKIPPED = (ast.Raise, ast.Assert, ast.JoinedStr)


def places(function: ast.AST) -> list[ast.AST]:
    """Nodes of a function where a mutant can be, in the order of the source."""
    found = [function]
    for name, value in ast.iter_fields(function):
        if name in _SKIPPED_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, _SKIPPED):
                found += places(child)
    return found


def replaced(function: N, place: int, node: ast.AST) -> N:
    """A copy of a function with another node at one of its places."""
    changed = copy.deepcopy(function)
    old, new = places(changed)[place], copy.deepcopy(node)
    for parent in ast.walk(changed):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                value[:] = [new if child is old else child for child in value]
    return ast.fix_missing_locations(changed)


def _constant(number: int | float | bool, at: ast.AST) -> ast.Constant:
    return ast.copy_location(ast.Constant(number), at)


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    """+ and -, * and /, // and % exchanged, also in an assignment such as +=."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield exchanged_with(node, op=_ARITHMETIC[type(node.op)]())


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """< and <=, > and >=, == and != exchanged."""
    if isinstance(node, ast.Compare):
        for place, each in enumerate(node.ops):
            if type(each) in _COMPARISONS:
                other = _COMPARISONS[type(each)]()
                yield exchanged_with(node, ops=[*node.ops[:place], other, *node.ops[place + 1 :]])


def logic(node: ast.AST) -> Iterator[ast.AST]:
    """`and` and `or` exchanged, and & and |, which stand for them with arrays."""
    if isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in _LOGIC:
        yield exchanged_with(node, op=_LOGIC[type(node.op)]())


def negation(node: ast.AST) -> Iterator[ast.AST]:
    """`not` left out, and ~, which stands for it with arrays."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        yield node.operand


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """A number off by one, halved or doubled; 0 and 1, True and False exchanged."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _constant(not node.value, node)
    elif isinstance(node, ast.Constant) and (number := number_of(node)) is not None:
        if number in (0, 1):
            others = [type(number)(1 - number), *([number * 2] if number else [])]
        elif isinstance(number, int):
            others = [number + 1, number * 2, number // 2]
        else:
            others = [number * 2, number / 2]
        for other in dict.fromkeys(others):
            yield _constant(other, node)


def index(node: ast.AST) -> Iterator[ast.AST]:
    """Index 0 and -1 exchanged, another index and each bound of a slice off by one."""
    if not isinstance(node, ast.Subscript):
        return
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for place, part in enumerate(parts):
        for other in _other_bounds(part) if isinstance(part, ast.Slice) else _other_index(part):
            elements = [*parts[:place], other, *parts[place + 1 :]]
            whole = (
                exchanged_with(node.slice, elts=elements)
                if isinstance(node.slice, ast.Tuple)
                else other
            )
            yield exchanged_with(node, slice=whole)


def _other_index(part: ast.expr) -> Iterator[ast.expr]:
    number = number_of(part)
    if isinstance(number, int):
        yield _constant({0: -1, -1: 0}.get(number, number - 1), part)


def _other_bounds(part: ast.Slice) -> Iterator[ast.expr]:
    for side in ("lower", "upper"):
        bound = getattr(part, side)
        for step in (1, -1) if bound is not None else ():
            number = number_of(bound)
            if number is None:
                kind = ast.Add() if step == 1 else ast.Sub()
                other: ast.expr = ast.BinOp(bound, kind, _constant(1, bound))
            else:
                other = _constant(number + step, bound)
            yield exchanged_with(part, **{side: ast.copy_location(other, bound)})


def arguments(node: ast.AST) -> Iterator[ast.AST]:
    """Two neighbouring positional arguments exchanged."""
    given = node.args if isinstance(node, ast.Call) else []
    if any(isinstance(each, ast.Starred) for each in given):
        return
    for place in range(len(given) - 1):
        first, second = given[place : place + 2]
        if ast.dump(first) != ast.dump(second):
            yield exchanged_with(node, args=[*given[:place], second, first, *given[place + 2 :]])


def keyword(node: ast.AST) -> Iterator[ast.AST]:
    """A keyword argument left out."""
    given = node.keywords if isinstance(node, ast.Call) else []
    for place, each in enumerate(given):
        if each.arg is not None:
            yield exchanged_with(node, keywords=[*given[:place], *given[place + 1 :]])


def statement(node: ast.AST) -> Iterator[ast.AST]:
    """Left out: an assignment to an attribute or an item, an update in place, a call."""
    goes = isinstance(node, ast.AugAssign)
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        parts = [p for t in targets for p in (t.elts if isinstance(t, ast.Tuple) else [t])]
        goes = any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts)
    if goes or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.copy_location(ast.Pass(), node)


def reduction(node: ast.AST) -> Iterator[ast.AST]:
    """`min` and `max`, `mean` and `sum` exchanged."""
    if isinstance(node, ast.Call) and called(node) in _REDUCTIONS:
        name = "attr" if isinstance(node.func, ast.Attribute) else "id"
        yield exchanged_with(
            node, func=exchanged_with(node.func, **{name: _REDUCTIONS[called(node)]})
        )


def dimension(node: ast.AST) -> Iterator[ast.AST]:
    """Another dimension: 0 and 1 exchanged, -1 and -2, and otherwise the one before it."""
    if not isinstance(node, ast.Call):
        return
    for place, each in enumerate(node.keywords):
        if each.arg in _DIMENSIONS and isinstance(number_of(each.value), int):
            changed = exchanged_with(each, value=_other_dimension(each.value))
            yield exchanged_with(
                node, keywords=[*node.keywords[:place], changed, *node.keywords[place + 1 :]]
            )
    given = _dimension_place(node)
    if given is not None:
        args = list(node.args)
        args[given] = _other_dimension(args[given])
        yield exchanged_with(node, args=args)


def _dimension_place(node: ast.Call) -> int | None:
    """Which positional argument of a call is a dimension."""
    if not isinstance(node.func, ast.Attribute):
        return None
    for place, names in ((0, _BY_DIMENSION), (1, _JOINED_BY_DIMENSION)):
        if node.func.attr in names and len(node.args) == place + 1:
            return place if isinstance(number_of(node.args[place]), int) else None
    return None


def _other_dimension(node: ast.expr) -> ast.Constant:
    number = ast.literal_eval(node)
    return _constant({0: 1, -1: -2, -2: -1}.get(number, number - 1), node)


def left_out_copy(node: ast.AST) -> Iterator[ast.AST]:
    """`.clone()`, `.copy()`, `.detach()` or `deepcopy` left out."""
    if not isinstance(node, ast.Call) or called(node) not in _COPIES or node.keywords:
        return
    if isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value
    elif isinstance(node.func, ast.Name) and len(node.args) == 1:
        yield node.args[0]


OPERATORS: dict[str, Operator] = {
    "arithmetic": arithmetic,
    "comparison": comparison,
    "logic": logic,
    "negation left out": negation,
    "constant": constant,
    "index": index,
    "arguments exchanged": arguments,
    "keyword left out": keyword,
    "statement left out": statement,
    "reduction": reduction,
    "dimension": dimension,
    "copy left out": left_out_copy,
}


def has_own_operator(nodes: list[ast.AST]) -> set[int]:
    """Ids of the numbers that `index` and `dimension` change, which `constant` leaves to them."""
    owned: list[ast.expr | None] = []
    for node in nodes:
        if isinstance(node, ast.Subscript):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for part in parts:
                owned += [part.lower, part.upper] if isinstance(part, ast.Slice) else [part]
        elif isinstance(node, ast.Call):
            owned += [each.value for each in node.keywords if each.arg in _DIMENSIONS]
            place = _dimension_place(node)
            owned += [] if place is None else [node.args[place]]
    inner = [each.operand for each in owned if isinstance(each, ast.UnaryOp)]
    return {id(each) for each in (*owned, *inner) if number_of(each) is not None}
