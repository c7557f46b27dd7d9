"""Dialects of people and programs that differ from the standards."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.data.collection.importing import import_games
from hexsearch.errors import GamesError
from hexsearch.game.board import BLUE, RED, parse_cell
from hexsearch.game.formats.detect import HEXWORLD, NUMBERED, detect_format
from hexsearch.game.formats.hexworld import parse_hexworld
from hexsearch.game.formats.numbered import parse_numbered
from hexsearch.game.formats.sgf import read_sgf
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.reading import Reading, settle
from hexsearch.game.record import Refusal, Swap, WrittenGame
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells
from tests.data.games import random_games

MIRROR = symmetry_cells(5)[LONG_DIAGONAL].tolist()
GAMES = random_games(40, 5, seed=4)


def sgf(text: str, size: int | None = None) -> WrittenGame | Refusal:
    (entry,) = read_sgf([text], "test.sgf", size)
    return entry


@pytest.mark.parametrize(
    "line",
    [
        "https://hexworld.org/board/#5,b4c3:rw",
        "hexworld.org/board#5,b4c3:rw",
        "https://hexworld.org/board/#5c1%2Cb4c3:rw",
        "Look at https://hexworld.org/board/#5n%2cb4c3:rw, from last night.",
        "(see <https://hexworld.org/board/#5,b4,c3:rw>)",
    ],
)
def test_hexworld_links_are_read_with_and_without_options_and_in_sentences(line: str) -> None:
    assert detect_format([line]) is HEXWORLD
    record = parse_hexworld(line)
    assert record.moves == (parse_cell("b4", 5), parse_cell("c3", 5))
    assert record.stated_winner == BLUE


def test_a_swap_of_pieces_frees_the_first_cell(tmp_path: Path) -> None:
    lines = []
    for game in GAMES:
        # Undo `settle`: what is not the swapped stone is written mirrored.
        moves = [game.moves[0], *(MIRROR[cell] for cell in game.moves[1:])]
        if game.moves[0] in moves[1:]:
            written = WrittenGame(5, (moves[0], *moves), None, "", 1)
            lines.append(format_trmph(written))
    assert len(lines) > 5
    path = tmp_path / "swapped.trmph"
    path.write_text("\n".join(lines))
    archive, report = import_games([path], 5)
    assert not report.refused and len(archive) == len(lines)
    assert report.decisions[0].swaps == {"pieces": len(lines)}
    path.write_text(lines[0])
    assert import_games([path], 5)[1].decisions[0].swaps == {"pieces": 1}


def test_numbered_lists_are_read_with_swap_and_resignation() -> None:
    line = "1.c3 2.swap 3.b2 4.d4 5.a1 6.resign"
    assert detect_format([line]) is NUMBERED
    record = parse_numbered(line, 5)
    assert (record.swap, record.given_up, record.stated_winner) == (Swap.UNCLEAR, True, BLUE)
    # The first player won. After an exchange of sides that is Red, after one of pieces too,
    # once the board is reflected.
    for swap in (Swap.SIDES, Swap.PIECES):
        assert settle(record, Reading(False, swap)).stated_winner == RED
    pairs = parse_numbered("1. c3 b2 2. d4 a1 3. e5 1-0", 5)
    assert len(pairs.moves) == 5 and pairs.stated_winner == BLUE
    for text, fault in [
        ("1.c3 3.b2", "move number 3 where 2 was expected"),
        ("1.c3 2.b2 3.swap", "only the second move"),
        ("1.c3 2.resign 3.a1", "after a player resigned"),
        ("1.c3 2.f9", "off a 5x5 board"),
        ("1.c3 2.b2 !!", "is not a move"),
    ]:
        with pytest.raises(ValueError, match=fault):
            parse_numbered(text, 5)


def test_an_sgf_without_a_size_takes_the_studys_or_the_smallest_common_one() -> None:
    text = "(;FF[4]GM[11]RE[B+];B[m13];W[a1])"
    alone, known = sgf(text), sgf(text, 14)
    assert isinstance(alone, WrittenGame) and isinstance(known, WrittenGame)
    assert (alone.size, known.size, alone.assumed_size) == (13, 14, True)
    small = sgf(text, 11)
    assert isinstance(small, Refusal)
    assert "off a 11x11 board" in small.reason and "SZ is missing" in small.reason


def test_a_resignation_saved_as_a_pass_ends_the_game() -> None:
    record = sgf("(;FF[4]GM[11]SZ[5]RE[B+R];B[a1];W[b2];B[c3];W[  ])")
    assert isinstance(record, WrittenGame)
    assert (len(record.moves), record.stated_winner, record.given_up) == (3, BLUE, True)
    early = sgf("(;FF[4]GM[11]SZ[5]RE[B+R];B[a1];W[pass];B[c3];W[b2])")
    assert isinstance(early, Refusal) and "pass during the game" in early.reason


@pytest.mark.parametrize("zero", [BLUE, RED])
def test_winners_written_0_and_1_are_told_by_the_finished_games(tmp_path: Path, zero: int) -> None:
    lines = [f"{format_trmph(game).split()[0]} {0 if game.winner == zero else 1}" for game in GAMES]
    path = tmp_path / "zero.trmph"
    path.write_text("\n".join(lines))
    archive, report = import_games([path], 5)
    assert not report.refused
    assert [archive.game(i).winner for i in range(40)] == [game.winner for game in GAMES]
    path.write_text("#5,a1b2 0\n#5,a2b3 1\n")
    with pytest.raises(GamesError, match="too few finished games"):
        import_games([path], 5)
