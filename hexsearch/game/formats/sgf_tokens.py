"""SGF text to properties of the main line, one game at a time.

Our own small parser, for a reason: sgfmill 1.1.1, the best kept one, reads all of the tournament
files that we have, but LittleGolem does not escape player names. A name with `]` makes sgfmill
give up, and one that ends in `\\` silently swallows the board size that follows. It also says no
line numbers, and one bad game loses the rest of a collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MARK = re.compile(r"[();]|[A-Za-z]+|\[")
_VALUE_END = re.compile(r"[\]\\]")
# What may follow a value: another value, a node, a tree, or the next property.
_AFTER_VALUE = re.compile(r"\s*(?:\Z|[\[;()]|[A-Za-z]{1,12}\s*\[)")
_KNOWN = re.compile(r"(?:PB|PW|SZ|RE|GC|SO|EV|FF|GM|DT)\[")
_NEW_GAME = re.compile(r"\s*\(\s*;\s*(?:FF|GM|SZ|AP|EV|CA|PB)\s*\[")
_LONGEST_VALUE = 4096  # characters kept of a comment
_LONGEST_GAME = 100_000  # properties on a main line


@dataclass
class SgfGame:
    """The main line of one game tree.

    Attributes:
        line: where its tree begins.
        nodes: for each node its (property, values), in order.
        fault: why it cannot be used, or None.
    """

    line: int
    nodes: list[list[tuple[str, list[str]]]] = field(default_factory=list)
    fault: str | None = None


def sgf_games(lines: Iterable[str]) -> Iterator[SgfGame]:
    """Game trees of a collection, as they end; what lies outside of any tree is skipped.

    At a branch the first variation is followed. A tree that never closes ends where the next
    one begins, and is faulty.
    """
    game: SgfGame | None = None
    depth = 0  # open parentheses
    main_depth = 0  # depth of the main line; beyond the first ')' everything is a variation
    value: list[str] | None = None  # pieces of a property value that is still open
    for number, line in enumerate(lines, start=1):
        position = 0
        if game is not None and _NEW_GAME.match(line):
            game.fault = game.fault or "its parentheses or brackets never close"
            yield game
            game, value, depth = None, None, 0
        while position < len(line):
            if value is not None:
                position, closed = _read_value(line, position, value)
                if closed:
                    _store(game, "".join(value)[:_LONGEST_VALUE])
                    value = None
                continue
            match = _MARK.search(line, position)
            if match is None:
                break
            position, text = match.end(), match[0]
            if text == "(":
                depth += 1
                if game is None:
                    game, main_depth = SgfGame(number), 1
                elif main_depth == depth - 1:
                    main_depth = depth
            elif game is None:
                continue
            elif text == ")":
                if main_depth == depth:
                    main_depth = 10**9  # the main line is complete
                depth -= 1
                if depth == 0:
                    yield game
                    game = None
            elif text == "[":
                value = []
                if main_depth != depth:
                    value = ["\0"]  # of a variation: read, not kept
            elif main_depth == depth:
                _add(game, text)
    if game is not None:
        game.fault = game.fault or "its parentheses or brackets never close"
        yield game


def _add(game: SgfGame, text: str) -> None:
    if text == ";":
        game.nodes.append([])
    elif not game.nodes:
        game.fault = game.fault or f"property {text[:12]} stands outside of any node"
    elif len(game.nodes) + len(game.nodes[-1]) > _LONGEST_GAME:
        game.fault = game.fault or "it is too long for a game of Hex"
    else:
        # Old files spell names out, 'GaMe': only capitals count.
        name = "".join(letter for letter in text if letter.isupper()) or text.upper()
        game.nodes[-1].append((name, []))


def _store(game: SgfGame | None, value: str) -> None:
    if game is None or value.startswith("\0"):
        return
    if not game.nodes or not game.nodes[-1]:
        game.fault = game.fault or "a value stands without a property"
    else:
        game.nodes[-1][-1][1].append(value)


def _read_value(line: str, position: int, value: list[str]) -> tuple[int, bool]:
    """Read on in a value: where it stopped, and whether the value ended there."""
    while True:
        match = _VALUE_END.search(line, position)
        if match is None:
            value.append(line[position:])
            return len(line), False
        at = match.start()
        value.append(line[position:at])
        if match[0] == "]":
            if _AFTER_VALUE.match(line, at + 1):
                return at + 1, True
            value.append("]")  # unescaped, in a player's name
            position = at + 1
        elif line.startswith("\\]", at) and _KNOWN.match(line, at + 2):
            value.append("\\")  # a player's name that ends in a backslash
            return at + 2, True
        else:
            value.append(line[at + 1 : at + 2].rstrip("\n"))
            position = at + 2
            if position >= len(line):
                return len(line), False
