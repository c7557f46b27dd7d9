"""SGF: FF[4] GM[11] as HexGui and Benzene write it, and the dialects of LittleGolem and KataHex.

Black moves first and connects top to bottom. Some programs write `swap-pieces` for a swap of
sides, so the colour of the next move tells the kind of swap. In LittleGolem's files the nodes
`W` are moves of the first player, while `RE[B]` says that the first player, PB, won.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hexsearch.game.board import BLUE, MAX_SIZE, MIN_SIZE, RED, cell_name, parse_cell
from hexsearch.game.formats.plain import GIVE_UP_WORDS, SWAP_WORDS, written_from_plays
from hexsearch.game.formats.sgf_tokens import SgfGame, sgf_games
from hexsearch.game.record import Game, Refusal, WrittenGame
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells

_RESULT = re.compile(r"\s*(b|w|black|white)\s*(?:\+.*|wins.*|resign.*)?\Z", re.IGNORECASE)
_NO_RESULT = ("", "?", "0", "void", "draw")
_PAIR = re.compile(r"[a-zA-Z]{2}\Z")
_CELL = re.compile(r"([a-z])([0-9]{1,2})\Z")
_COMMON_SIZES = (11, 13, 14, 15, 19)  # 11 is the standard's size where SZ is absent
_PASS = "pass"
_ONCE = ("SZ", "RE", "PL", "GM", "CA")  # properties of the root that say one thing
_OTHER = {"b": "w", "w": "b"}


def read_sgf(
    lines: Iterable[str], source: str, size: int | None = None
) -> Iterator[WrittenGame | Refusal]:
    """One record or refusal for each game tree of a collection.

    Args:
        size: the board size of games that state none. With None, the smallest common size that
            holds all moves.
    """
    for game in sgf_games(lines):
        try:
            if game.fault:
                raise ValueError(f"broken SGF: {game.fault}")
            yield _written(game, source, size)
        except ValueError as error:
            yield Refusal(source, game.line, str(error))


def _written(game: SgfGame, source: str, known: int | None) -> WrittenGame:
    if not game.nodes:
        raise ValueError("an SGF tree without nodes")
    root = dict(reversed(game.nodes[0]))
    for name, values in game.nodes[0]:
        if name in _ONCE and values != root[name]:
            raise ValueError(f"{name} is given twice, with different values")
    stated = _size(root)
    size = stated or known or _smallest_common(game)
    try:
        record = _played(game, root, size, source)
    except ValueError as error:
        if stated or "off a" not in str(error):
            raise
        raise ValueError(f"{error}; this size is assumed because SZ is missing") from error
    return replace(record, assumed_size=not stated)


def _smallest_common(game: SgfGame) -> int:
    """The smallest common board size that holds every move."""
    span = 0
    for node in game.nodes:
        for name, values in node:
            if name in ("B", "W", "AB", "AW"):
                for value in values:
                    cell = _CELL.match(value.strip().lower())
                    if cell is not None:
                        span = max(span, ord(cell[1]) - 96, int(cell[2]))
                    elif _is_pair(value) and value.strip().lower() != "tt":
                        span = max(span, *(1 + _letter_value(c) for c in value.strip()))
    return next((size for size in _COMMON_SIZES if size >= span), _COMMON_SIZES[-1])


def _played(game: SgfGame, root: dict[str, list[str]], size: int, source: str) -> WrittenGame:
    plays: list[tuple[str, str]] = []
    setup: dict[str, list[str]] = {"b": [], "w": []}
    to_play = root.get("PL", [""])[:1]
    pairs = False
    for node in game.nodes:
        for name, values in node:
            if name in ("B", "W"):
                if len(values) != 1:
                    raise ValueError(f"{name} has {len(values)} values; a move has one value")
                pairs = pairs or _is_pair(values[0])
                plays.append((name.lower(), _word(values[0], size, len(plays) + 1)))
            elif name in ("AB", "AW"):
                if plays:
                    raise ValueError(f"stones are set up after move {len(plays)}")
                setup[name[1].lower()] += [_word(value, size, 0) for value in values]
            elif name == "AE" and any(values):
                raise ValueError("AE removes stones from the board, which no move of Hex does")
    winner = _result(root)
    resigned = bool(plays) and plays[-1][1] == _PASS
    if resigned:  # some programs save a resignation as a pass
        if winner is None:
            raise ValueError(f"move {len(plays)} is a pass, and RE names no winner")
        plays.pop()
    if any(word == _PASS for _, word in plays):
        raise ValueError("a pass during the game, which value training cannot use")
    little_golem = (
        bool(plays)
        and plays[0][0] == "w"
        and not any(setup.values())
        and ("littlegolem" in "".join(root.get("SO", [])).lower() or (pairs and "GM" not in root))
    )
    if little_golem and winner is not None:
        winner = _OTHER[winner]
    if not plays and not any(setup.values()):
        raise ValueError("no moves")
    order = _setup_order(setup, plays, "".join(to_play).lower())
    record = written_from_plays(order + plays, winner, size, source, game.line)
    record = replace(record, setup=len(order), given_up=record.given_up or resigned)
    if (order + plays)[0][0] == "w" and not little_golem:
        # Black connects top to bottom, but White moved first: reflect the board.
        mirror = symmetry_cells(size)[LONG_DIAGONAL].tolist()
        record = replace(record, moves=tuple(mirror[cell] for cell in record.moves))
    return record


def _size(root: dict[str, list[str]]) -> int | None:
    """The board size that the root states, or None where GM[11] leaves it out."""
    game = "".join(root.get("GM", ["11"])).strip()
    if game not in ("11", "1"):
        raise ValueError(f"GM[{game[:10]}] is not Hex; Hex is GM[11], or GM[1] of KataHex")
    text = "/".join(root.get("SZ", [""])).strip()
    if not text and game == "11":
        return None
    match = re.fullmatch(r"([0-9]{1,3})(?::([0-9]{1,3}))?", text)
    if match is None:
        raise ValueError(f"SZ[{text[:10]}] is not a board size")
    size = int(match[1])
    if match[2] and int(match[2]) != size:
        raise ValueError(f"the board is {text}; only square boards can be read")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size}; sizes from {MIN_SIZE} to {MAX_SIZE} can be read")
    return size


def _is_pair(value: str) -> bool:
    return _PAIR.match(value.strip()) is not None


def _word(value: str, size: int, number: int) -> str:
    """A cell name, or a word for a swap, a resignation or a pass."""
    text = value.strip()
    word = text.lower()
    if word in SWAP_WORDS or word in GIVE_UP_WORDS:
        return word
    if word in ("", "pass") or (word == "tt" and size < 20):
        if not number:
            raise ValueError(f"'{text}' is not a cell, but a stone is set up there")
        return _PASS
    if _is_pair(text):
        column, row = (_letter_value(letter) for letter in text)
        if column >= size or row >= size:
            raise ValueError(f"move '{text}' is off a {size}x{size} board")
        return cell_name(row * size + column, size)
    parse_cell(word, size)
    return word


def _letter_value(letter: str) -> int:
    return ord(letter) - ord("a") if letter.islower() else 26 + ord(letter) - ord("A")


def _result(root: dict[str, list[str]]) -> str | None:
    text = "".join(root.get("RE", [""])).strip()
    if text.lower() in _NO_RESULT:
        return None
    match = _RESULT.match(text)
    if match is None:
        raise ValueError(f"RE[{text[:20]}] does not name a winner")
    return match[1][0].lower()


def _setup_order(
    setup: dict[str, list[str]], plays: list[tuple[str, str]], to_play: str
) -> list[tuple[str, str]]:
    """Set-up stones as alternate moves that end with the right player to move.

    Raises:
        ValueError: no alternate moves lead to these stones and this player to move.
    """
    black, white = setup["b"], setup["w"]
    if not black and not white:
        return []
    mover = next((colour for colour, word in plays if word not in GIVE_UP_WORDS), to_play[:1])
    if mover not in ("b", "w"):
        mover = "w" if len(black) > len(white) else "b"
    first = mover if len(black) == len(white) else ("b" if len(black) > len(white) else "w")
    ahead = len(setup[first]) - len(setup[_OTHER[first]])
    if ahead > 1 or (ahead == 1 and mover == first):
        raise ValueError(
            f"{len(black)} black and {len(white)} white stones are set up with {mover} to move; "
            "alternate moves cannot lead to this position"
        )
    order = []
    for number in range(len(black) + len(white)):
        colour = first if number % 2 == 0 else _OTHER[first]
        order.append((colour, setup[colour][number // 2]))
    return order


def format_sgf(game: Game | WrittenGame) -> str:
    """A game as FF[4] GM[11] on one line, with cells written as `b4`."""
    return _format(game, "GM[11]", "BW", pairs=False, plus="+")


def format_littlegolem(game: Game | WrittenGame) -> str:
    """A game as LittleGolem writes it: W are the first player's moves, RE[B] is their victory."""
    return _format(game, "EV[game]PB[first]PW[second]", "WB", pairs=True, plus="")


def format_katahex(game: Game | WrittenGame) -> str:
    """A game as KataHex writes it: GM[1], and two letters for each cell."""
    return _format(game, "GM[1]", "BW", pairs=True, plus="+")


def _format(game: Game | WrittenGame, head: str, letters: str, *, pairs: bool, plus: str) -> str:
    winner = game.winner if isinstance(game, Game) else game.stated_winner
    result = {BLUE: f"RE[B{plus}]", RED: f"RE[W{plus}]", None: ""}[winner]
    names = [cell_name(cell, game.size) for cell in game.moves]
    if pairs:
        names = [chr(97 + cell % game.size) + chr(97 + cell // game.size) for cell in game.moves]
    setup = ""
    for side in (0, 1):
        stones = "".join(f"[{name}]" for name in names[side : game.setup : 2])
        setup += f"A{letters[side]}{stones}" if stones else ""
    moves = "".join(
        f";{letters[ply % 2]}[{name}]" for ply, name in enumerate(names) if ply >= game.setup
    )
    return f"(;FF[4]{head}SZ[{game.size}]{result}{setup}{moves})"
