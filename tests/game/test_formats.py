"""Every format: round trips of parsing and printing, variants, and refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.game.board import BLUE, RED, parse_cell
from hexsearch.game.formats.detect import (
    BARE,
    COLOURED,
    DAT,
    HEXWORLD,
    SGF,
    TRMPH,
    Format,
    detect_format,
    infer_size,
)
from hexsearch.game.formats.hexworld import format_hexworld, parse_hexworld
from hexsearch.game.formats.plain import format_coloured, format_dat
from hexsearch.game.formats.sgf import format_katahex, format_littlegolem, format_sgf, read_sgf
from hexsearch.game.formats.trmph import format_trmph, parse_trmph
from hexsearch.game.reading import Reading, settle
from hexsearch.game.record import Game, Refusal, Swap, WrittenGame, verify_games
from tests.data.games import random_game, random_games

PRINTERS: dict[str, tuple[Format, Callable[[Game | WrittenGame], str]]] = {
    "trmph": (TRMPH, format_trmph),
    "hexworld": (HEXWORLD, format_hexworld),
    "sgf": (SGF, format_sgf),
    "littlegolem": (SGF, format_littlegolem),
    "katahex": (SGF, format_katahex),
    "dat": (DAT, format_dat),
    "coloured": (COLOURED, format_coloured),
}


@pytest.mark.parametrize("name", PRINTERS)
@given(size=st.integers(3, 19), seed=st.integers(0, 2**32 - 1), drop=st.integers(0, 3))
@settings(max_examples=25)
def test_a_printed_game_reads_back_as_itself(name: str, size: int, seed: int, drop: int) -> None:
    format_, printer = PRINTERS[name]
    whole = random_game(size, np.random.default_rng(seed))
    if drop and name != "dat" and len(whole.moves) > drop + 1:
        # Given up early; a .dat line has no place for the winner of such a game.
        whole = Game(size, whole.moves[:-drop], whole.winner, False, "random", 1)
    (entry,) = format_.read([printer(whole) + "\n"], "random", size)
    assert isinstance(entry, WrittenGame), entry
    games, refused = verify_games([settle(entry, Reading())])
    assert not refused
    assert games == [whole]
    assert printer(games[0]) == printer(whole)


@pytest.mark.parametrize("name", PRINTERS)
def test_a_format_is_told_by_its_content(name: str) -> None:
    format_, printer = PRINTERS[name]
    lines = [printer(game) + "\n" for game in random_games(20, 7)]
    assert detect_format(["# a header\n", "\n", *lines]) is format_
    assert detect_format([*lines, "<<<<<<< HEAD\n", "dirt\n"]) is format_


def test_text_that_only_talks_about_hex_is_no_format_of_ours() -> None:
    text = ["Hex is played on `#13,` boards.\n", "b moves first (see a1b2).\n", "(; is SGF)\n"]
    assert detect_format(text) is None
    assert detect_format([]) is None
    assert detect_format(["\x00\x7f\n"]) is None


@pytest.mark.parametrize("size", [5, 11, 13])
@pytest.mark.parametrize("format_", [DAT, COLOURED, BARE])
def test_an_unstated_board_size_is_found_by_replay(format_: Format, size: int) -> None:
    printers = {"Neurohex": format_dat, "coloured moves": format_coloured}
    games = random_games(30, size)
    if format_ is BARE:
        lines = [format_trmph(game).split(",")[1] for game in games]
    else:
        lines = [printers[format_.name](game) for game in games]
    assert detect_format(lines) is format_
    assert infer_size(format_, lines) == size
    unfinished = [line[: len(line) // 2] for line in lines[:1]]
    assert infer_size(BARE, unfinished) is None


@pytest.mark.parametrize(
    ("line", "winner"),
    [
        ("#5,a1b2c3 b", BLUE),
        ("#5,a1b2c3 1", BLUE),
        ("#5,a1b2c3 R", RED),
        ("#5,a1b2c3 2", RED),
        ("#5,a1b2c3", None),
        ("https://trmph.com/hex/board#5,a1b2c3 r", RED),
        ("http://www.trmph.com/hex/board#5,A1B2C3", None),
        ("#5,a1b2c3 b # played in 2019", BLUE),
    ],
)
def test_trmph_is_read_in_all_its_spellings(line: str, winner: int | None) -> None:
    record = parse_trmph(line)
    assert record.moves == (0, 6, 12)
    assert record.stated_winner == winner


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("#5,a1b9", "off a 5x5 board"),
        ("#5,a1b", "'b' is not a move"),
        ("#5,a1b2 x", "winner 'x'"),
        ("#2,a1", "board size 2"),
        ("#99,a1", "board size 99"),
        ("a1b2", "no board size"),
        ("<<<<<<< HEAD", "not a TRMPH game"),
        ("#5,a1b2 b extra", "not a TRMPH game"),
        ("#5,a0", "not a cell name"),
    ],
)
def test_trmph_faults_are_named(line: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_trmph(line)


def test_bare_moves_take_the_size_that_is_known() -> None:
    assert parse_trmph("a1b2c3 r", size=5).moves == (0, 6, 12)


def test_a_second_move_on_the_first_stone_is_a_swap() -> None:
    record = parse_trmph("#5,b1b1c3d4")
    assert record.moves == (1, 12, 18)
    assert record.swap is Swap.UNCLEAR


def test_hexworld_options_swap_and_resignation_are_understood() -> None:
    record = parse_hexworld("https://hexworld.org/board/#11r9nc1,b4:sh4g8,i8:rw")
    assert [record.moves[0], record.swap] == [parse_cell("b4", 11), Swap.PIECES]
    assert len(record.moves) == 4
    assert record.stated_winner == BLUE
    settled = settle(record, Reading())
    # b4 now belongs to the second player, who is Blue here; the rest is mirrored.
    assert settled.moves[:2] == (parse_cell("b4", 11), parse_cell("d8", 11))
    assert settled.stated_winner == RED
    for text, fault in [
        ("11c1,a1:p", "pass"),
        ("11x12c1,a1", "square"),
        ("11c1,a1b2:s", "swap"),
        ("11c1,a1:q", "':q'"),
        ("11c1,a1:rba2", "resigned"),
        ("11c1,a1??", "is not a move"),
    ]:
        with pytest.raises(ValueError, match=fault):
            parse_hexworld(text)


def one_sgf(text: str) -> WrittenGame | Refusal:
    (entry,) = read_sgf(text.splitlines(keepends=True), "test.sgf", None)
    return entry


def test_a_swap_in_sgf_is_told_by_who_moves_next() -> None:
    stays = one_sgf("(;FF[4]GM[11]SZ[11];B[a3];W[swap-pieces];W[f6];B[c7])")
    assert isinstance(stays, WrittenGame)
    assert (stays.swap, len(stays.moves)) == (Swap.SIDES, 3)
    assert settle(stays, Reading()).moves == stays.moves
    moved = one_sgf("(;FF[4]GM[11]SZ[11]RE[W+R];B[a3];W[SWAP];B[f6];W[c7])")
    assert isinstance(moved, WrittenGame)
    assert moved.swap is Swap.PIECES
    settled = settle(moved, Reading())
    assert settled.moves[0] == parse_cell("a3", 11)
    assert settled.moves[2] == parse_cell("g3", 11)
    assert settled.stated_winner == BLUE  # White now owns the first stone


def test_littlegolem_names_may_hold_brackets_and_backslashes() -> None:
    text = (
        "(;FF[4]EV[hex.mc]PB[ab]c]PW[x\\]SZ[13]RE[B]GC[ game #1]SO[http://www.littlegolem.com];"
        "W[mf];B[swap];W[kj];B[aa];W[resign])"
    )
    record = one_sgf(text.replace("RE[B]", "RE[W]"))
    assert isinstance(record, WrittenGame), record
    assert record.size == 13
    assert record.moves[0] == parse_cell("m6", 13)
    assert record.swap is Swap.PIECES
    # The second player won, who swapped, and so sits in Blue's seat once the swap is undone.
    assert record.stated_winner == RED
    assert settle(record, Reading()).stated_winner == BLUE
    contradiction = one_sgf(text)
    assert isinstance(contradiction, Refusal)
    assert "resigned" in contradiction.reason


def test_sgf_follows_the_main_line_and_reads_setup_stones() -> None:
    text = """(;GM[11]RE[B+R]FF[4]SZ[5]
C[a comment with (brackets;) and an escaped \\] and ;B[a1\\]]AB[a1][b2]AW[c3:c3][d4]
;B[e1];W[e2](;B[e3];W[e4])(;B[a5];W[a4]
))"""
    refused = one_sgf(text)
    assert isinstance(refused, Refusal)  # compressed point lists are no cells
    record = one_sgf(text.replace("c3:c3", "c3"))
    assert isinstance(record, WrittenGame), record
    assert record.setup == 4
    names = ["a1", "c3", "b2", "d4", "e1", "e2", "e3", "e4"]
    assert record.moves == tuple(parse_cell(name, 5) for name in names)
    assert record.stated_winner == BLUE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("(;GM[1]FF[4];B[aa])", "not a board size"),
        ("(;GM[2]SZ[8];B[aa])", "not Hex"),
        ("(;GM[11]SZ[11:9];B[a1])", "square"),
        ("(;GM[11]SZ[11];B[a1];B[a2])", "twice in a row"),
        ("(;GM[11]SZ[11];B[a1];W[a2];B[swap-pieces])", "only the second move"),
        ("(;GM[11]SZ[5];B[a1];W[pass])", "pass"),
        ("(;GM[11]SZ[5];B[a1];W[f1])", "off a 5x5 board"),
        ("(;GM[1]SZ[5];B[zz])", "off a 5x5 board"),
        ("(;GM[11]SZ[5];B[resign];W[a1])", "resigned"),
        ("(;GM[11]SZ[5]RE[who knows];B[a1])", "does not name a winner"),
        ("(;GM[11]SZ[5]AB[a1][a2];B[a3])", "alternate moves"),
        ("(;GM[11]SZ[5];B[a1];AW[a2])", "set up after"),
        ("(;GM[11]SZ[5];B[a1]", "not closed"),
        ("(;GM[11]SZ[5])", "no moves"),
        ("(;GM[11]SZ[5][6];B[a1][a2])", "not a board size"),
        ("(B[a1])", "outside of any node"),
        ("(;GM[11]SZ[5];B[a1] (text) ;W[b2];B[c3])", "after a closed variation"),
        ("(;GM[11]SZ[5];B[a1](;W[b2])(;W[c3]);B[d4])", "after a closed variation"),
        ("(;GM[11]SZ[5]C[after B[a1];W[b2];];B[c3])", "']' closes nothing"),
        ("(;GM[11]SZ[5]PB[x\\]AB[a1][b2]AW[c3];W[d4])", "can be read in two ways"),
        ("(;GM[11]SZ[5];B[a1]C[x\\]W[b2];B[c3])", "can be read in two ways"),
    ],
)
def test_sgf_faults_are_named(text: str, fault: str) -> None:
    refusal = one_sgf(text)
    assert isinstance(refusal, Refusal)
    assert fault in refusal.reason


def test_a_collection_goes_on_after_a_broken_game_with_the_right_lines() -> None:
    lines = [
        "(;GM[11]SZ[3];B[a1];W[b1];B[a2]\n",  # never closed
        "(;GM[11]SZ[3];B[a1];W[b1];B[a2];W[b2];B[a3])(;GM[11]SZ[3];B[c3])\n",
        "between games\n",
        "(;GM[11]SZ[4]C[never\n",
    ]
    entries = list(read_sgf(lines, "c.sgf", None))
    assert [(type(entry), entry.line) for entry in entries] == [
        (Refusal, 1),
        (WrittenGame, 2),
        (WrittenGame, 2),
        (Refusal, 4),
    ]
