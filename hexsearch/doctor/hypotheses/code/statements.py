"""What may have been meant in place of a statement, or of the value that it sets or returns."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import cast

from hexsearch.doctor.hypotheses.code.expressions import number_of

# The type of a value, its shape and its kind of numbers.
Signature = tuple[str, tuple[int, ...], str]
NUMBER: Signature = "number", (), "f"


def without(body: list[ast.stmt]) -> Iterator[tuple[int, list[ast.stmt]]]:
    """Each statement left out, with its place, and neighbours exchanged."""
    for place, statement in enumerate(body):
        rest = body[:place] + body[place + 1 :]
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.If) and rest:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                yield place, rest
        pair = body[place : place + 2]
        if len(pair) == 2 and all(isinstance(each, ast.Assign | ast.AugAssign) for each in pair):
            yield place, [*body[:place], pair[1], pair[0], *body[place + 2 :]]


def conditions(node: ast.AST) -> Iterator[ast.expr]:
    """Other conditions of an `if`: the opposite, always and never."""
    if isinstance(node, ast.If):
        yield from (ast.UnaryOp(ast.Not(), node.test), ast.Constant(True), ast.Constant(False))


def wrapped(value: ast.expr, signature: Signature | None, size: int) -> Iterator[ast.expr]:
    """A value that is negated, turned or reflected as code so often forgets to.

    Args:
        signature: of the value when the code ran; None if it is not known.
        size: side of the board.
    """
    if signature is None:
        return
    kind, shape, numbers = signature
    if numbers != "b":
        yield ast.UnaryOp(ast.USub(), value)
        yield ast.BinOp(ast.Constant(1), ast.Sub(), value)
    if kind == "Tensor" or kind == "ndarray":
        if shape[-2:] == (size, size):
            yield from (_parsed(each, value) for each in _TURNS[kind])
        elif shape[-1:] == (size * size,):
            turned = f"_.reshape(-1, {size}, {size})"
            yield from (
                _parsed(each.replace("_", turned, 1) + f".reshape({_shape(shape)})", value)
                for each in _TURNS[kind]
            )


_TURNS = {
    "Tensor": {
        "_.swapaxes(-1, -2)": "transposed boards",
        "_.flip(-1, -2)": "boards given a half turn",
        "_.flip(-1)": "boards mirrored from left to right",
        "_.flip(-2)": "boards mirrored upside down",
    },
    "ndarray": {
        "_.swapaxes(-1, -2)": "transposed boards",
        "_[..., ::-1, ::-1]": "boards given a half turn",
        "_[..., ::-1]": "boards mirrored from left to right",
        "_[..., ::-1, :]": "boards mirrored upside down",
    },
}


def turn_of(before: str, after: str) -> str:
    """In words, how the second text turns what the first one gives; empty if it does not."""
    for turns in _TURNS.values():
        for text, words in turns.items():
            if after.count(text[1:]) > before.count(text[1:]):
                return words
    return ""


def _shape(shape: tuple[int, ...]) -> str:
    return ", ".join(["-1", *map(str, shape[1:])]) if len(shape) > 1 else str(shape[0])


class _Put(ast.NodeTransformer):
    def __init__(self, value: ast.expr) -> None:
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._value if node.id == "_" else node


def _parsed(text: str, value: ast.expr) -> ast.expr:
    """An expression in which `_` stands for a value."""
    made: ast.expr = _Put(value).visit(ast.parse(text, mode="eval").body)
    return made


def other_names(
    node: ast.AST, parent: ast.AST, known: Mapping[str, Signature]
) -> Iterator[ast.expr]:
    """Other names of values with the same type and shape, and products with them in a sum.

    In a comparison they may also stand for a number.
    """
    is_number = number_of(node) is not None
    if not isinstance(node, ast.Name | ast.Attribute) and not is_number:
        return
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return
    key = "" if is_number else ast.unparse(node)
    own = NUMBER if is_number else known.get(key)
    in_comparison = isinstance(parent, ast.Compare)
    in_sum = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Sub)
    if own is None or (is_number and not in_comparison):
        return
    for name, signature in known.items():
        if signature == own:
            other = ast.parse(name, mode="eval").body
            if name != key:
                yield other
            if name != key and in_sum and not is_number:
                yield ast.BinOp(cast(ast.expr, node), ast.Mult(), other)
                yield ast.BinOp(cast(ast.expr, node), ast.Div(), other)
            if in_comparison and own == NUMBER:
                yield ast.UnaryOp(ast.USub(), other)


def exchanges(
    function: ast.FunctionDef, known: Mapping[str, Signature]
) -> Iterator[tuple[str, str]]:
    """Pairs of names, attributes or numbers that may be exchanged throughout a function."""
    read = Counter(
        ast.unparse(node)
        for node in ast.walk(function)
        if isinstance(getattr(node, "ctx", None), ast.Load)
        or (isinstance(node, ast.expr) and number_of(node) is not None)
    )
    for first, second in combinations(known, 2):
        if known[first] == known[second] and read[first] and read[second]:
            yield first, second
    for pair in _NUMBERS:
        if read[pair[0]] and read[pair[1]] and read[pair[0]] + read[pair[1]] > 2:
            yield pair


_NUMBERS = ("0", "1"), ("1", "-1"), ("1", "2"), ("2", "3"), ("-1", "-2"), ("0", "-1")
