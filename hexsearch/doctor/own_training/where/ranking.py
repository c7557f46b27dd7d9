"""The lines of a slice, and which of them are shown first."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal

from hexsearch.doctor.own_training.where.expressions import computes, turns
from hexsearch.doctor.own_training.where.sources import Places, Source

First = Literal["", "numbers", "turns", "picking", "choosing"]


@dataclass
class Slice:
    """What was met on the way back.

    Attributes:
        depth: steps back, by file and line.
        aside: lines that were met only by way of an index, which says which items are used.
        picking: lines that were met by way of an index at all.
        choosing: lines that decide which items there are: loops and conditions.
        computes: lines on which something is computed.
        turns: lines on which boards or axes are turned.
        reached: parts of the searched calls that were met, by their paths.
    """

    depth: dict[tuple[str, int], int] = field(default_factory=dict)
    aside: set[tuple[str, int]] = field(default_factory=set)
    picking: set[tuple[str, int]] = field(default_factory=set)
    choosing: set[tuple[str, int]] = field(default_factory=set)
    computes: set[tuple[str, int]] = field(default_factory=set)
    turns: set[tuple[str, int]] = field(default_factory=set)
    reached: set[Places] = field(default_factory=set)

    def note(
        self,
        node: ast.expr,
        source: Source,
        depth: int,
        aside: bool,
        choosing: bool,
        turning: bool,
    ) -> None:
        """Add the line of an expression.

        Args:
            depth: steps back.
            aside, choosing: whether it was met by way of an index, or decides on items.
            turning: whether something is turned by it.
        """
        key = source.file, node.lineno
        if aside:
            self.picking.add(key)
        elif choosing:
            self.choosing.add(key)
        if aside and key not in self.depth:
            self.aside.add(key)
        elif not aside:
            self.aside.discard(key)
        self.depth.setdefault(key, depth)
        if computes(node, source) and not source.is_at_top(node):
            self.computes.add(key)
        if turning or turns(node):
            self.turns.add(key)

    def ranked(self, first: First = "") -> list[tuple[str, int]]:
        """Lines that compute something first, then those that are near.

        Args:
            first: what comes before: lines that turn boards, that pick items, or that decide
                which items there are; `numbers`: these last come after all others.
        """
        leading = {
            "turns": self.turns,
            "picking": self.picking | self.choosing,
            "choosing": self.choosing,
        }.get(first, set())

        def order(line: tuple[str, int]) -> tuple[bool, bool, bool, int]:
            last = line in self.aside and first in ("", "numbers")
            last |= line in self.choosing and first == "numbers"
            return line not in leading, last, line not in self.computes, self.depth[line]

        return sorted(self.depth, key=order)
