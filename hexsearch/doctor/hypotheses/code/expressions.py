"""What may have been meant in place of one expression: the usual slips, the other way round.

Each function gets a node of a syntax tree and yields expressions that may stand in its place. They
are the operators of mutation testing, with which a fault is made, and so undone, too (Debroy and
Wong, Using Mutation to Automatically Suggest Fixes for Faulty Programs, 2010).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from itertools import combinations
from typing import Any, TypeVar

from hexsearch.doctor.own_training.where.sources import name_of

N = TypeVar("N", bound=ast.AST)

_ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mod,),
    ast.Mod: (ast.FloorDiv,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
_FOUR = ast.Add, ast.Sub, ast.Mult, ast.Div
_IN_ORDER = ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.MatMult, ast.Pow
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.Gt, ast.LtE),
    ast.LtE: (ast.GtE, ast.Lt),
    ast.Gt: (ast.Lt, ast.GtE),
    ast.GtE: (ast.LtE, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
# Functions, classes and methods that stand for each other.
_ALIKE = (
    ("relu", "gelu", "silu", "elu", "leaky_relu", "mish", "tanh", "softplus", "hardswish", "relu6"),
    ("ReLU", "GELU", "SiLU", "ELU", "LeakyReLU", "Mish", "Tanh", "Softplus", "Hardswish", "ReLU6"),
    ("softmax", "sigmoid", "tanh", "log_softmax", "exp"),
    ("Softmax", "Sigmoid", "Tanh"),
    ("mean", "sum", "amax", "amin", "max", "min"),
    ("flipud", "fliplr", "transpose"),
    ("argmax", "argmin"),
    ("minimum", "maximum"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("hstack", "vstack"),
    ("avg_pool2d", "max_pool2d"),
    ("AvgPool2d", "MaxPool2d"),
    ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    ("floor", "ceil", "round"),
    ("repeat", "repeat_interleave", "tile"),
    ("triu", "tril"),
    ("sin", "cos"),
    ("masked_fill", "masked_fill_"),
    ("logical_and", "logical_or"),
    ("isin", "isnan"),
)
_WORDS = (
    ("ij", "xy"),
    ("zeros", "circular", "replicate", "reflect"),
    ("constant", "edge", "wrap", "reflect"),
    ("C", "F"),
    ("nearest", "bilinear", "bicubic", "area"),
    ("none", "tanh"),
)
_MOST_ELEMENTS = 8  # of a list in which each pair is exchanged


def variants(node: ast.AST) -> Iterator[ast.expr]:
    """What may have been meant in place of an expression."""
    for operator in _OPERATORS:
        yield from operator(node)


def exchanged_with(node: N, **fields: Any) -> N:
    """A shallow copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def called(node: ast.AST) -> str:
    """The last name of what a node calls; empty if it is no call of a name."""
    return name_of(node.func) if isinstance(node, ast.Call) else ""


def number_of(node: ast.AST | None) -> int | float | None:
    """The number that a node spells out, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        positive = number_of(node.operand)
        return None if positive is None else -positive
    is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return ast.literal_eval(node) if is_number else None  # type: ignore[arg-type]


def _numbers(node: ast.AST) -> Iterator[ast.expr]:
    """Another number; a sign is a part of it."""
    number = number_of(node)
    if number is None:
        return
    if isinstance(number, int):
        others: list[int | float] = [number + 1, number - 1, -number]
        others += [2 * number, *([number // 2] if number % 2 == 0 else [])]
        others += [0, 1, 2, 3] if abs(number) <= 3 else []
    else:
        others = [2 * number, number / 2, -number, 1.0 - number, 10 * number, number / 10, 0.0, 1.0]
        others += [number**0.5, number**2] if number > 0 else []
    for other in dict.fromkeys(others):
        if other != number:
            yield ast.Constant(other) if other >= 0 else _negative(ast.Constant(-other))


def _constants(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for words in _WORDS:
            if node.value in words:
                yield from (ast.Constant(word) for word in words if word != node.value)


def _negative(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def _arithmetic(node: ast.AST) -> Iterator[ast.expr]:
    """Another operation, the operands exchanged, or one of them alone."""
    if not isinstance(node, ast.BinOp):
        return
    for other in _ARITHMETIC.get(type(node.op), ()):
        yield exchanged_with(node, op=other())
    if isinstance(node.op, _IN_ORDER):
        yield exchanged_with(node, left=node.right, right=node.left)
    yield from (node.left, node.right)
    if isinstance(node.op, ast.Mult | ast.Add):  # what a mask leaves out is not unlikely so
        for value, mask in ((node.left, node.right), (node.right, node.left)):
            nowhere = ast.Compare(mask, [ast.Eq()], [ast.Constant(0)])
            function = ast.Attribute(value, "masked_fill", ast.Load())
            yield ast.Call(function, [nowhere, _negative(ast.Constant(1e9))], [])


def _signs(node: ast.AST) -> Iterator[ast.expr]:
    """A sign or a negation left out, and an operand inverted."""
    if isinstance(node, ast.UnaryOp) and number_of(node) is None:
        yield node.operand
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.BitAnd | ast.Mult):
        for side in ("left", "right"):
            operand = getattr(node, side)
            if number_of(operand) is None:
                inverted = [_negative(operand), ast.BinOp(ast.Constant(1), ast.Sub(), operand)]
                if isinstance(node.op, ast.BitAnd):
                    inverted = [ast.UnaryOp(ast.Invert(), operand)]
                yield from (exchanged_with(node, **{side: each}) for each in inverted)


def _comparisons(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield exchanged_with(node, ops=[other()])


def _logic(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp):
        other: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield exchanged_with(node, op=other)
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield exchanged_with(node, body=node.orelse, orelse=node.body)
        yield from (node.body, node.orelse)


def _calls(node: ast.AST) -> Iterator[ast.expr]:
    """Another function, other places of the arguments, or what is called left out."""
    if not isinstance(node, ast.Call):
        return
    name = called(node)
    for names in _ALIKE:
        if name in names:
            yield from (_renamed(node, other) for other in names if other != name)
    if isinstance(node.func, ast.Attribute) and not _is_room(node.func.value):
        yield node.func.value  # the object alone, without the method
    for argument in node.args[:3]:
        if not isinstance(argument, ast.Starred):
            yield argument
    for first, second in combinations(range(min(len(node.args), 5)), 2):
        yield exchanged_with(node, args=_swapped(node.args, first, second))
    for place in range(len(node.keywords)):
        yield exchanged_with(node, keywords=node.keywords[:place] + node.keywords[place + 1 :])
    if name in ("reshape", "ravel", "flatten") and not node.keywords:
        order = ast.keyword("order", ast.Constant("F"))
        yield exchanged_with(node, keywords=[order])


def _orders(node: ast.AST) -> Iterator[ast.expr]:
    """A call of a whole sum or product and not of a part of it, or the other way round.

    And two calls, one inside the other, in the other order.
    """
    if isinstance(node, ast.BinOp) and isinstance(node.op, _FOUR):
        for side in ("left", "right"):
            call = getattr(node, side)
            if isinstance(call, ast.Call) and (inner := _given(call)) is not None:
                yield _of(call, exchanged_with(node, **{side: inner}))
    elif isinstance(node, ast.Call) and (given := _given(node)) is not None:
        if isinstance(given, ast.BinOp) and isinstance(given.op, _FOUR):
            for side in ("left", "right"):
                part = getattr(given, side)
                if number_of(part) is None:
                    yield exchanged_with(given, **{side: _of(node, part)})
        elif isinstance(given, ast.Call) and (inner := _given(given)) is not None:
            yield _of(given, _of(node, inner))


def _given(call: ast.Call) -> ast.expr | None:
    """The first argument of a call; None if there is none, or several by a star."""
    first = call.args[0] if call.args else None
    return None if isinstance(first, ast.Starred) else first


def _of(call: ast.Call, argument: ast.expr) -> ast.Call:
    return exchanged_with(call, args=[argument, *call.args[1:]])


def _is_room(node: ast.expr) -> bool:
    """Whether a name is rather that of a module such as `torch` than of a value."""
    return isinstance(node, ast.Name) and node.id in ("torch", "np", "numpy", "F", "nn", "math")


def _renamed(call: ast.Call, name: str) -> ast.expr:
    if isinstance(call.func, ast.Attribute):
        return exchanged_with(call, func=exchanged_with(call.func, attr=name))
    return exchanged_with(call, func=ast.Name(name, ast.Load()))


def _lists(node: ast.AST) -> Iterator[ast.expr]:
    """Two elements of a tuple or list exchanged."""
    if isinstance(node, ast.Tuple | ast.List) and 2 <= len(node.elts) <= _MOST_ELEMENTS:
        for first, second in combinations(range(len(node.elts)), 2):
            if ast.dump(node.elts[first]) != ast.dump(node.elts[second]):
                yield exchanged_with(node, elts=_swapped(node.elts, first, second))


def _swapped(items: list[ast.expr], first: int, second: int) -> list[ast.expr]:
    other = list(items)
    other[first], other[second] = items[second], items[first]
    return other


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    """The whole in place of a part, and the first, second or last one for that of a name."""
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
            yield node.value
        elif isinstance(node.slice, ast.Name):
            for place in (ast.Constant(0), ast.Constant(1), _negative(ast.Constant(1))):
                yield exchanged_with(node, slice=place)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value


_OPERATORS = (
    _numbers,
    _constants,
    _comparisons,
    _arithmetic,
    _signs,
    _logic,
    _lists,
    _calls,
    _orders,
    _parts,
)
