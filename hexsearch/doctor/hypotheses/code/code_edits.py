"""Edits of one place of a user's code that loads a network, encodes and answers.

No list of mistakes is behind them: whatever one slip of the pen has changed, some edit of one place
changes back, and games tell which.
"""

from __future__ import annotations

import ast
import contextlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType

import torch
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.expressions import called, number_of, variants
from hexsearch.doctor.hypotheses.code.places import (
    LONGEST,
    holders,
    nodes,
    placed,
    places,
    put,
    shortened,
    text_of,
)
from hexsearch.doctor.hypotheses.code.running import Ran, Watch, compiled, running
from hexsearch.doctor.hypotheses.code.statements import (
    Signature,
    conditions,
    exchanges,
    other_names,
    turn_of,
    without,
    wrapped,
)
from hexsearch.doctor.hypotheses.edits.edit import Edit

CODE, EXCHANGED = "code", "exchanged code"  # families
LOAD, ENCODE, ANSWER = "load", "encode", "answer"
_SLOW = 1.0  # seconds of a call that is too long to be made for each edit
_SMALL = 3  # larger numbers among the arguments of a layer are sizes of its weights
_SPLITTING = "GroupNorm", "MultiheadAttention"  # a number of these splits weights of any size


@dataclass(frozen=True)
class CodeEdit:
    """Another text of one place of a user's code.

    Attributes:
        ran: the function that it is in.
        line, file: where.
        before, after: source of what is changed; `after` is empty where it is left out.
        code: what the function runs with the edit.
        exchanges: the two that `before` names are exchanged in the whole function.
    """

    ran: Ran
    line: int
    before: str
    after: str
    code: CodeType
    exchanges: bool = False

    @property
    def file(self) -> str:
        return Path(self.ran.source.file).name

    def edit(self) -> Edit:
        """The same as an edit of the network."""
        name, place = self.ran.node.name, f"line {self.line} of {self.file}"
        change = f"`{self.after}` in" if self.after else f"`{self.before}` left out of"
        has = f"it has `{self.before}` where the network "
        has += f"needs `{self.after}`" if self.after else "is better without it"
        has += f" ({turned})" if (turned := turn_of(self.before, self.after)) else ""
        mend = f"write `{self.after}` there" if self.after else "leave it out"
        if self.exchanges:
            place = f"lines {self.line} to {self.ran.node.end_lineno} of {self.file}"
            change = f"{self.before} exchanged in"
            has = f"the network needs {self.before} exchanged all over it"
            mend = f"exchange {self.before} there"
        return Edit(
            EXCHANGED if self.exchanges else CODE,
            f"{change} {place}",
            f"{place}, in {name}(), does not fit the weights: {has}",
            f"compare {place} with the code that trained the network, and {mend}",
            partial(running, self.ran.objects, self.code),
            encodes=ENCODE in self.ran.when,
            loads=LOAD in self.ran.when,
        )


def code_edits(foreign: ForeignNetwork, positions: Positions) -> Iterator[Edit]:
    """Edits of all functions of the user that run, in turn: those that answer and encode first.

    Args:
        positions: a few, with either side to move.
    """
    watch = Watch()
    with watch.during(ENCODE):
        planes = foreign.planes(positions)
    with watch.during(ANSWER):
        foreign.reported(foreign.respond(planes)[1], positions)
    if foreign.factory is not None and _loads_again(foreign, planes):
        with watch.during(LOAD), contextlib.redirect_stdout(io.StringIO()):
            foreign.factory()
    ran = watch.found()
    queues = [_possible(edits_of(each, ran, foreign.size)) for each in ran]
    for edits in zip_longest(*queues):
        yield from (each.edit() for each in edits if each is not None)


def _possible(edits: Iterator[CodeEdit]) -> Iterator[CodeEdit]:
    """The edits up to one at which Python fails to write or to compile a user's code."""
    with contextlib.suppress(ValueError, RecursionError):
        yield from edits


def _loads_again(foreign: ForeignNetwork, planes: Tensor) -> bool:
    """Whether another call soon gives the same network.

    If some of it is random, edits would be worth their luck.
    """
    assert foreign.factory is not None
    began = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            again = ForeignNetwork(foreign.factory(), foreign.encoded, foreign.size)
        if time.perf_counter() - began > _SLOW:
            return False
        pairs = zip(again.respond(planes), foreign.respond(planes), strict=True)
        return all(torch.equal(one, other) for one, other in pairs)
    except Exception:  # whatever a second call breaks, the first one gave a network
        return False


def edits_of(ran: Ran, others: list[Ran], size: int) -> Iterator[CodeEdit]:
    """All edits of one place of a function, but not of functions in it that ran themselves.

    Args:
        others: all functions that ran.
        size: side of the board.
    """
    apart = {each.node for each in others if each is not ran}
    for parent, name, place, old in places(ran.node, apart):
        if isinstance(old, ast.stmt):
            continue
        for new in _options(ran, parent, old, size):
            yield from _made(ran, parent, name, place, old, new)
    for node in nodes(ran.node, apart):
        for body in ("body", "orelse"):
            held = getattr(node, body, None)
            if isinstance(held, list) and isinstance(
                node, ast.FunctionDef | ast.If | ast.For | ast.With
            ):
                for at, other in without(held):
                    yield from _rearranged(ran, node, body, at, other)
    for first, second in exchanges(ran.node, ran.names):
        yield from _exchanged(ran, first, second, apart)


def _options(ran: Ran, parent: ast.AST, old: ast.AST, size: int) -> Iterator[ast.AST]:
    if not isinstance(old, ast.expr) or _is_a_width(ran, parent, old):
        return
    yield from variants(old)
    if isinstance(parent, ast.If) and old is parent.test:
        yield from conditions(parent)
    yield from other_names(old, parent, ran.names)
    yield from wrapped(old, _signature(ran, parent, old), size)


def _is_a_width(ran: Ran, parent: ast.AST, old: ast.AST) -> bool:
    """Whether a number is a size of layers, with which weights of other sizes do not fit."""
    number = number_of(old)
    is_of_weights = isinstance(parent, ast.Call) and not called(parent).startswith(_SPLITTING)
    return is_of_weights and ran.node.name == "__init__" and number is not None and number > _SMALL


def _signature(ran: Ran, parent: ast.AST, old: ast.expr) -> Signature | None:
    """Of the value that a statement sets or returns, if it is known."""
    if isinstance(parent, ast.Assign) and old is parent.value and len(parent.targets) == 1:
        target = parent.targets[0]
        return ran.names.get(target.id) if isinstance(target, ast.Name) else None
    if isinstance(parent, ast.Return) and len(ran.result) == 1:
        return ran.result[0]
    above = ran.source.parents.get(parent)
    if isinstance(parent, ast.Tuple) and isinstance(above, ast.Return):
        if len(parent.elts) == len(ran.result):
            return ran.result[parent.elts.index(old)]
    return None


def _made(
    ran: Ran, parent: ast.AST, name: str, place: int | None, old: ast.AST, new: ast.AST
) -> Iterator[CodeEdit]:
    held_by = list(holders(ran, parent))
    before = [text_of(each) for each in held_by]
    new = placed(new, old)
    put(parent, name, place, new)
    try:
        code = compiled(ran)
        after = [text_of(each) for each in held_by]
    finally:
        put(parent, name, place, old)
    if code is not None and after[-1] != before[-1]:
        pairs = [(text_of(old), text_of(new)), *zip(before, after, strict=True)]
        short = [pair for pair in pairs if max(map(len, pair)) <= LONGEST]
        first, second = short[-1] if short else shortened(pairs[0])
        yield CodeEdit(ran, getattr(old, "lineno", ran.node.lineno), first, second, code)


def _rearranged(
    ran: Ran, node: ast.AST, body: str, at: int, other: list[ast.stmt]
) -> Iterator[CodeEdit]:
    own: list[ast.stmt] = getattr(node, body)
    setattr(node, body, other)
    try:
        code = compiled(ran)
    finally:
        setattr(node, body, own)
    if code is None:
        return
    if len(other) == len(own):
        pair = [text_of(each) for each in own[at : at + 2]]
        before, after = shortened(["; ".join(pair), "; ".join(pair[::-1])])
    else:
        (before,), after = shortened([text_of(own[at])]), ""
    yield CodeEdit(ran, own[at].lineno, before, after, code)


def _exchanged(
    ran: Ran, first: str, second: str, apart: set[ast.FunctionDef]
) -> Iterator[CodeEdit]:
    """A function in which two expressions stand where the other one stood."""
    texts = {first: second, second: first}
    both = [
        each
        for each in places(ran.node, apart)
        if isinstance(each[3], ast.expr)
        and ast.unparse(each[3]) in texts
        and not isinstance(getattr(each[3], "ctx", None), ast.Store)
    ]
    try:
        for parent, name, place, old in both:
            new = ast.parse(texts[ast.unparse(old)], mode="eval").body
            put(parent, name, place, placed(new, old))
        code = compiled(ran)
    finally:
        for parent, name, place, old in both:
            put(parent, name, place, old)
    if code is not None:
        yield CodeEdit(ran, ran.node.lineno, f"`{first}` and `{second}`", "", code, True)
