"""Places in the syntax tree of a function, and the source of what stands there."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from typing import Any

from hexsearch.doctor.hypotheses.code.expressions import number_of
from hexsearch.doctor.hypotheses.code.running import Ran

_SKIPPED_FIELDS = ("annotation", "returns", "decorator_list", "format_spec", "type_params")
_SKIPPED = ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Pass, ast.Global
Place = tuple[ast.AST, str, int | None, ast.AST]
BLOCKS = ast.FunctionDef, ast.If, ast.For, ast.With
LONGEST = 90  # characters of code that are shown


def nodes(node: ast.AST, apart: set[ast.FunctionDef]) -> Iterator[ast.AST]:
    """A node and all below it, but not definitions that are examined apart."""
    yield node
    for _, _, _, child in children(node, apart):
        yield from nodes(child, apart)


def places(node: ast.AST, apart: set[ast.FunctionDef]) -> Iterator[Place]:
    """Where something else may stand: the parent, its field, the place there, and what is there."""
    for parent, name, place, child in children(node, apart):
        yield parent, name, place, child
        # A sign is a part of its number.
        if number_of(child) is None:
            yield from places(child, apart)


def children(node: ast.AST, apart: set[ast.FunctionDef]) -> list[Place]:
    """The places of what a node holds itself."""
    found: list[Place] = []
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED_FIELDS or (isinstance(node, ast.FunctionDef) and name == "args"):
            continue
        held = enumerate(value) if isinstance(value, list) else [(None, value)]
        for place, child in held:
            if isinstance(child, ast.AST) and not isinstance(child, _SKIPPED):
                if child not in apart:
                    found.append((node, name, place, child))
    return found


def holders(ran: Ran, node: ast.AST) -> Iterator[ast.AST]:
    """A node and what holds it, up to the statement."""
    for each in (node, *ran.source.above(node)):
        yield each
        if isinstance(each, ast.stmt):
            return


def placed(new: Any, old: ast.AST) -> Any:
    """A new expression at the place of an old one in the file."""
    return ast.fix_missing_locations(ast.copy_location(copy.copy(new), old))


def text_of(node: ast.AST) -> str:
    """The source of a node on one line, for a block its first line."""
    text = ast.unparse(node)
    text = text.partition("\n")[0] if isinstance(node, BLOCKS) else text
    return " ".join(text.split())


def shortened(texts: Sequence[str]) -> list[str]:
    """Texts that are short enough to be shown, cut off where they are alike."""
    first = next((n for n, each in enumerate(zip(*texts, strict=False)) if len(set(each)) > 1), 0)
    begin = max(0, first - LONGEST // 3) if max(map(len, texts)) > LONGEST else 0
    return [
        ("..." if begin else "")
        + (each[begin:] if len(each) - begin <= LONGEST else each[begin : begin + LONGEST] + "...")
        for each in texts
    ]


def put(parent: ast.AST, name: str, place: int | None, node: Any) -> None:
    """Let something stand at a place."""
    if place is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[place] = node
