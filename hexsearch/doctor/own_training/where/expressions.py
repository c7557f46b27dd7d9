"""What expressions of a program do: compute, carry, or decide which items there are."""

from __future__ import annotations

import ast

from hexsearch.doctor.own_training.where.sources import Function, Source, name_of

# Calls that only bring values into another container or type.
CARRYING = frozenset(
    "tensor from_numpy as_tensor array asarray stack cat concatenate append extend float int bool "
    "astype to cuda cpu long type DataLoader TensorDataset Subset zip enumerate len list tuple "
    "zeros empty zeros_like float32 float64 int64 int8 items values keys detach clone copy range "
    "contiguous ascontiguousarray pin_memory item numpy dict set deque default_collate copy "
    "squeeze unsqueeze".split()
)
CHOOSING = frozenset("sample choice choices map iter next reversed sorted".split())
SIZES = frozenset("len size numel shape ndim isinstance print".split())
_NARROW = frozenset("int8 uint8 int16 float16 bfloat16 half".split())  # types that lose numbers
_TURNING = frozenset("flip flipud fliplr rot90 transpose permute swapaxes roll T mT".split())
_COMPUTING = (ast.BinOp, ast.Compare, ast.IfExp, ast.UnaryOp, ast.BoolOp)


def computes(node: ast.expr, source: Source) -> bool:
    """Whether an expression makes other numbers of what it is given."""
    if isinstance(node, ast.Call):
        name = name_of(node.func)
        is_own = source.makes(name) and not is_of_module(node.func, source)
        if name == "range":
            return len(node.args) > 2  # with a step
        return not is_own and name not in CARRYING and name not in _TURNING
    if isinstance(node, ast.Attribute):
        return node.attr in _NARROW
    if isinstance(node, ast.Subscript):
        return not picks(node.slice)
    return isinstance(node, _COMPUTING)


def picks(index: ast.expr) -> bool:
    """Whether an index is a name, a constant, or a slice between two names."""
    if isinstance(index, ast.Slice):
        return index.step is None and all(
            isinstance(end, ast.Name | None) for end in (index.lower, index.upper)
        )
    return isinstance(index, ast.Name | ast.Constant)


def turns(node: ast.expr) -> bool:
    """Whether an expression turns boards, or exchanges axes."""
    named = node.func if isinstance(node, ast.Call) else node
    return isinstance(node, ast.Call | ast.Attribute) and name_of(named) in _TURNING


def is_of_module(function: ast.expr, source: Source) -> bool:
    """Whether what is called is a function of an imported module, as `random.sample`."""
    if not isinstance(function, ast.Attribute):
        return False
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id in source.modules


def parameters(function: Function) -> list[str]:
    """Names of the parameters, in their order."""
    given = function.args
    return [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
