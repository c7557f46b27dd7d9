"""Parser of SGF text: yields the properties of the main line, one game at a time.

We do not use sgfmill 1.1.1 because LittleGolem does not escape player names. sgfmill raises an
error for a name with `]`. A name that ends in `\\` makes it lose the board size that follows,
without an error. It also reports no line numbers, and after one bad game it cannot read the rest
of a collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO

from hexsearch.game.formats.lines import PIECE

_MARK = re.compile(r"[();\]]|[A-Za-z]+|\[")
_VALUE_END = re.compile(r"[\]\\]")
# After a value: another value, a node, a tree, the next property, or the end of the text.
_AFTER_VALUE = re.compile(r"\s*(?:\Z|[\[;()]|[A-Za-z]{1,12}\s*\[)")
_KNOWN = re.compile(r"(?:PB|PW|SZ|RE|GC|SO|EV|FF|GM|DT)\[")
_NEW_GAME = re.compile(r"\s*\(\s*;\s*(?:FF|GM|SZ|AP|EV|CA|PB)\s*\[")
_LONGEST_VALUE = 4096  # characters kept of a comment
_LONGEST_TEXT = 1 << 20  # characters of one value; a longer one has no closing bracket
_LONGEST_GAME = 2_000  # nodes, and properties of a node: the largest board has 361 cells
_MOST_VALUES = 400  # values of one property: more than the largest board has cells
_MOST_MARKS = 1_000_000  # parentheses, nodes, properties and values of a tree
_DEEPEST = 1_000  # nested variations
# Text that follows a value if that value ends in an unescaped backslash: a node, the end of the
# tree, or stones in the same node.
_STRUCTURE = re.compile(
    r"\s*(?:[;(]\s*)+[A-Z]{1,2}\s*\[|\s*\)\s*(?:\(\s*;|\Z)|\s*(?:A[BWE]|PL|[BW])\s*\["
)
_TWO_READINGS = (
    "a backslash before ']' can be read in two ways: it escapes the bracket, or it is the last "
    "character of the text in another encoding; state the encoding (CA), or delete the backslash"
)


@dataclass
class SgfGame:
    """The main line of one game tree.

    Attributes:
        line: number of the line on which the tree begins.
        nodes: for each node its pairs of property and values, in order.
        fault: why the game cannot be used, or None.
        is_endless: whether the rest of its tree is skipped.
        marks: number of parentheses, nodes, properties and values so far, with variations.
        last_mark: the latest of them.
    """

    line: int
    nodes: list[list[tuple[str, list[str]]]] = field(default_factory=list)
    fault: str | None = None
    is_endless: bool = False
    marks: int = 0
    last_mark: str = ""

    def note_mark(self, mark: str) -> None:
        """Count a mark, and look at its place. Gives up after too many."""
        self.marks += 1
        if self.marks > _MOST_MARKS:
            self.give_up(f"more than {_MOST_MARKS:,} marks")
        if self.last_mark == ")" and mark in (";", "["):
            # Its moves would be lost, since everything after the first ')' is a variation.
            self.fault = self.fault or "a node stands after a closed variation"
        if mark == "]":
            # A bracket inside of a text was taken for its end, so moves may be parts of the text.
            self.fault = self.fault or "a ']' closes nothing; write ']' inside of a text as '\\]'"
        self.last_mark = mark

    def give_up(self, fault: str) -> None:
        """Skip the rest of the tree, which may have gigabytes."""
        self.fault = f"{self.fault or fault} (skipped up to the next line that begins a game)"
        self.is_endless = True


def sgf_games(lines: Iterable[str]) -> Iterator[SgfGame]:
    """Yield each game tree of a collection when it ends. Text outside of the trees is skipped.

    At a branch the first variation is followed. A tree that is not closed ends where the next
    tree begins, and is faulty. A tree that is too long for a game of Hex is faulty as well: the
    text after it is skipped, up to the next line that begins a game.
    """
    game: SgfGame | None = None
    depth = 0  # open parentheses
    main_depth = 0  # depth of the main line; after the first ')' everything is a variation
    value: StringIO | None = None  # a property value that is not closed yet
    for number, line in _numbered(lines):
        position = 0
        if game is not None and _NEW_GAME.match(line):
            game.fault = game.fault or "its parentheses or brackets are not closed"
            yield game
            game, value, depth = None, None, 0
        while position < len(line) and not (game is not None and game.is_endless):
            if value is not None:
                position, closed, fault = _read_value(line, position, value)
                if game is not None and fault:
                    game.fault = game.fault or fault
                if closed:
                    _store(game, value.getvalue()[:_LONGEST_VALUE])
                    value = None
                elif game is not None and value.tell() > _LONGEST_TEXT:
                    game.give_up("a bracket is not closed")
                continue
            match = _MARK.search(line, position)
            if match is None:
                break
            position, text = match.end(), match[0]
            if game is not None:
                game.note_mark(text)
            if text == "(":
                depth += 1
                if game is not None and depth > _DEEPEST:
                    game.give_up(f"more than {_DEEPEST:,} nested variations")
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
                value = StringIO()
                if main_depth != depth:
                    value.write("\0")  # the value belongs to a variation: it is read, but not kept
            elif main_depth == depth and text != "]":
                _add(game, text)
    if game is not None:
        game.fault = game.fault or "its parentheses or brackets are not closed"
        yield game


def _add(game: SgfGame, text: str) -> None:
    if text == ";" and len(game.nodes) > _LONGEST_GAME:
        game.give_up("it is too long for a game of Hex")
    elif text == ";":
        game.nodes.append([])
    elif not game.nodes:
        game.fault = game.fault or f"property {text[:12]} stands outside of any node"
    elif len(game.nodes[-1]) > _LONGEST_GAME:
        game.give_up("it is too long for a game of Hex")
    else:
        # Old files write names in full, such as 'GaMe': only the capital letters count.
        name = "".join(letter for letter in text if letter.isupper()) or text.upper()
        game.nodes[-1].append((name, []))


def _store(game: SgfGame | None, value: str) -> None:
    if game is None or value.startswith("\0"):
        return
    if not game.nodes or not game.nodes[-1]:
        game.fault = game.fault or "a value stands without a property"
    elif len(game.nodes[-1][-1][1]) > _MOST_VALUES:
        game.give_up(f"more than {_MOST_VALUES} values of one property")
    else:
        game.nodes[-1][-1][1].append(value)


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers. A line that arrives in pieces is cut at the end of a value."""
    number, rest, began = 0, "", False
    for line in lines:
        number += not began
        line = rest + line
        began = len(line) >= PIECE and not line.endswith("\n")
        cut = line.rfind("];") + 1 if began else len(line)
        rest = line[cut:] if cut else ""
        yield number, line[: cut or None]
    if rest:
        yield number, rest


def _read_value(line: str, position: int, value: StringIO) -> tuple[int, bool, str | None]:
    """Continue to read a value.

    Returns:
        The position after the text that was read, whether the value ended there, and a fault.
    """
    fault = None
    while True:
        match = _VALUE_END.search(line, position)
        if match is None:
            value.write(line[position:])
            return len(line), False, fault
        at = match.start()
        value.write(line[position:at])
        if match[0] == "]":
            if _AFTER_VALUE.match(line, at + 1):
                return at + 1, True, fault
            value.write("]")  # unescaped, in a player's name
            position = at + 1
        elif line.startswith("\\]", at) and _KNOWN.match(line, at + 2):
            value.write("\\")  # a player's name that ends in a backslash
            return at + 2, True, fault
        else:
            if line.startswith("\\]", at) and _STRUCTURE.match(line, at + 2):
                fault = _TWO_READINGS
            value.write(line[at + 1 : at + 2].rstrip("\n"))
            position = at + 2
            if position >= len(line):
                return len(line), False, fault
