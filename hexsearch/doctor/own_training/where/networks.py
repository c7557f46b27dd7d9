"""Lines of a user's network: the modules that a text names, lists of modules, averages."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

from hexsearch.doctor.own_training.where.asked import behind_function
from hexsearch.doctor.own_training.where.lines import Line
from hexsearch.doctor.own_training.where.sources import Source, name_of, source_of

_CLASS = re.compile(r"\b[A-Z][A-Za-z0-9_]+\b")
_HOLDERS = (ast.List, ast.ListComp, ast.Dict, ast.DictComp, ast.Tuple)


def of_named(model: object, text: str) -> list[Line]:
    """Where the modules are made or computed whose classes a text names."""
    source = _source(model)
    if source is None:
        return []
    found = []
    for name in dict.fromkeys(_CLASS.findall(text)):
        if name in source.classes:
            for member in source.classes[name].body:
                if isinstance(member, ast.FunctionDef) and member.name == "forward":
                    found += behind_function(source, member)
        else:
            found += _at(source, source.calls_of(name))
    return found


def of_plain_lists(model: object) -> list[Line]:
    """Where attributes of modules are set to plain lists or mappings of modules."""
    source = _source(model)
    return [] if source is None else _at(source, _plain_lists(source))


def of_averages(model: object) -> list[Line]:
    """Where weights of two networks are gone through together, as for an average."""
    source = _source(model)
    if source is None:
        return []
    zipped = [
        call
        for call in source.calls_of("zip")
        if sum(_gives_weights(each) for each in call.args) > 1
    ]
    return _at(source, zipped)


def _source(model: object) -> Source | None:
    """The file in which the class of a model is written."""
    try:
        return source_of(inspect.getfile(type(model)))
    except (OSError, TypeError):
        return None


def _at(source: Source, nodes: list[ast.Call] | Iterator[ast.expr]) -> list[Line]:
    return [Line(source.file, node.lineno) for node in nodes]


def _plain_lists(source: Source) -> Iterator[ast.expr]:
    """Lists and mappings of modules that attributes are set to, or modules that are appended."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, _HOLDERS):
            is_attribute = any(isinstance(target, ast.Attribute) for target in node.targets)
            if is_attribute and _makes_modules(node.value):
                yield node.value
    for call in source.calls_of("append"):
        held = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(held, ast.Attribute) and any(map(_makes_modules, call.args)):
            known = [each.value for each in source.set_as(held.attr)]
            yield from (value for value in known if isinstance(value, _HOLDERS))
            yield call


def _makes_modules(node: ast.expr) -> bool:
    """Whether an expression calls something whose name begins with a capital letter."""
    made = (name_of(n.func) for n in ast.walk(node) if isinstance(n, ast.Call))
    return any(name[:1].isupper() for name in made)


def _gives_weights(node: ast.expr) -> bool:
    """Whether an argument of zip holds the weights of a network."""
    names = ("parameters", "named_parameters", "state_dict", "buffers")
    return any(isinstance(n, ast.Call) and name_of(n.func) in names for n in ast.walk(node))
