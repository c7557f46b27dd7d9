"""Import of files: sources, readings, refusals; faulty games are never corrected."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from hexsearch.data.archive import build_archive, write_archive
from hexsearch.data.collection.importing import ImportReport, import_games, read_games
from hexsearch.errors import GamesError
from hexsearch.game.board import COLOUR_NAMES
from hexsearch.game.formats.plain import format_coloured, format_dat
from hexsearch.game.formats.sgf import format_sgf
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.record import Game
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells
from tests.data.games import SHARED_GAMES, random_games

GAMES = random_games(50, 7, seed=9)
TEXT = "".join(format_trmph(game) + "\n" for game in GAMES)
MIRROR = symmetry_cells(7)[LONG_DIAGONAL].tolist()


def mirrored(game: Game) -> Game:
    """As a source writes it that gives the first mover the other edges."""
    moves = tuple(MIRROR[cell] for cell in game.moves)
    return Game(game.size, moves, game.winner, game.finished, game.source, game.line)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_plain_packed_and_zipped_files_hold_the_same_games(tmp_path: Path) -> None:
    # The names lie on purpose: what counts is what a file holds.
    plain = write(tmp_path / "a.sgf", TEXT)
    packed = write(tmp_path / "b.txt", gzip.compress(TEXT.encode()))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as folder:
        folder.writestr("inner/club.dat", TEXT)
        folder.writestr("inner/README", "about these games")
    zipped_path = write(tmp_path / "c", zipped.getvalue())
    archives = [import_games([path], 7) for path in (plain, packed, zipped_path)]
    assert len({archive.content_hash for archive, _ in archives}) == 1
    assert [report.read for _, report in archives] == [50, 50, 50]
    assert len(archives[2][1].skipped) == 1
    assert archives[2][0].game(3).source.endswith("c/inner/club.dat")


def test_standard_input_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(write(tmp_path / "piped", gzip.compress(TEXT.encode()))) as piped:
        monkeypatch.setattr("sys.stdin", piped)
        archive, report = import_games(["-"], 7)
    assert len(archive) == 50
    assert report.files == ["<standard input>"]


def test_a_folder_may_hold_other_files_but_a_named_one_may_not(tmp_path: Path) -> None:
    write(tmp_path / "games.trmph", TEXT)
    readme = write(
        tmp_path / "README.md", "# Games\n\nSome games of Hex, and how they came about.\n"
    )
    archive, report = import_games([tmp_path], 7)
    assert len(archive) == 50
    assert len(report.skipped) == 1 and "README.md" in report.skipped[0]
    with pytest.raises(GamesError, match="no games in a known format"):
        import_games([readme], 7)


def test_every_missing_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GamesError) as caught:
        import_games([tmp_path / "nothing", tmp_path / "empty"], 7)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("cut", [20, 300])
def test_a_damaged_compressed_file_is_an_error_not_a_crash(tmp_path: Path, cut: int) -> None:
    packed = write(tmp_path / "a.gz", gzip.compress(TEXT.encode())[:-cut])
    with pytest.raises(GamesError, match="cannot be read to its end"):
        import_games([packed], 7)
    with pytest.raises(GamesError, match="cannot be unpacked"):
        import_games([write(tmp_path / "b.zip", b"PK\x03\x04 and then nothing")], 7)


def test_bad_games_are_refused_with_file_line_and_reason_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    good, long = format_trmph(GAMES[0]), format_trmph(GAMES[1])
    flipped = good[:-1] + {"b": "r", "r": "b"}[good[-1]]
    moves, letter = long.split()
    lines = [
        "# hexsearch games",
        good,
        flipped,
        "",
        f"{moves}a9 {letter}",
        f"{moves[:-2]} {letter}",
        moves[:-2],
        "<<<<<<< HEAD",
        good + " # a comment",
    ]
    path = write(tmp_path / "dirty.trmph", "\n".join(lines))
    archive, report = import_games([path], 7)
    found = {refusal.line: refusal.reason for refusal in report.refused}
    assert set(found) == {3, 5, 7, 8}
    assert "replay shows" in found[3]
    assert "off a 7x7 board" in found[5]
    assert "no winner is stated" in found[7]
    assert "not a TRMPH game" in found[8]
    assert {refusal.file for refusal in report.refused} == {str(path)}
    assert report.read == len(archive) == 3
    assert archive.finished.tolist() == [1, 0, 1]  # the shortened game is kept, unverified
    with pytest.raises(GamesError) as caught:
        import_games([path], 7, strict=True)
    assert len(caught.value.problems) == 4


def test_a_move_after_the_end_and_a_cell_played_twice_are_refused(tmp_path: Path) -> None:
    free = next(cell for cell in range(49) if cell not in GAMES[0].moves)
    late = Game(7, (*GAMES[0].moves, free), GAMES[0].winner, True, "", 1)
    twice = Game(7, (*GAMES[1].moves[:-1], GAMES[1].moves[0]), GAMES[1].winner, True, "", 1)
    path = write(tmp_path / "a", f"{TEXT}{format_trmph(late)}\n{format_trmph(twice)}\n")
    _, report = import_games([path], 7)
    assert [refusal.line for refusal in report.refused] == [51, 52]
    assert f"{COLOUR_NAMES[GAMES[0].winner]} connected at move" in report.refused[0].reason
    assert "already played as move 1" in report.refused[1].reason


@pytest.mark.parametrize("printer", [format_trmph, format_coloured, format_dat, format_sgf])
def test_a_source_with_the_other_edges_is_found_out_by_replay(
    tmp_path: Path, printer: object
) -> None:
    lines = [printer(mirrored(game)) for game in GAMES]  # type: ignore[operator]
    archive, report = import_games([write(tmp_path / "a", "\n".join(lines))], 7)
    assert report.decisions[0].reading.left_right
    assert "left to right" in report.decision_lines()[0]
    assert archive.content_hash == build_archive(GAMES).content_hash


def test_two_wrong_winners_do_not_turn_the_board(tmp_path: Path) -> None:
    wrong = [Game(7, g.moves, -g.winner, True, "", 1) for g in GAMES[:2]]
    path = write(tmp_path / "a", "\n".join(format_trmph(game) for game in wrong))
    with pytest.raises(GamesError, match="no usable 7x7 game"):
        import_games([path], 7)


@pytest.mark.parametrize("stays", [True, False])
def test_what_an_unclear_swap_does_is_found_out_by_replay(tmp_path: Path, stays: bool) -> None:
    lines = []
    for game in GAMES:
        moves = list(game.moves)
        if not stays:
            # Undo `settle`: everything but the stone that was swapped is written mirrored.
            moves = [moves[0], *(MIRROR[cell] for cell in moves[1:])]
        written = Game(7, (moves[0], *moves), game.winner, True, "", 1)
        if stays or len(set(moves)) == len(moves):
            lines.append(format_trmph(written).split()[0])
    archive, report = import_games([write(tmp_path / "a", "\n".join(lines))], 7)
    kind = "sides" if stays else "pieces"
    assert list(report.decisions[0].swaps) == [kind]
    assert len(archive) == len(lines)
    whole = {game.moves: game.winner for game in GAMES}
    for index in range(len(archive)):
        assert whole[archive.game(index).moves] == archive.game(index).winner


def test_archives_can_be_mixed_with_text_and_keep_their_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.games"
    write_archive(path, build_archive(GAMES[:10]))
    archive, _ = import_games([path, write(tmp_path / "b", TEXT)], 7)
    assert len(archive) == 60
    assert archive.game(3).source == "random"
    with pytest.raises(GamesError, match=r"set data\.board_size"):
        import_games([path], 9)


def test_games_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    other = random_games(1, 5)[0]
    path = write(tmp_path / "a", f"{TEXT}{format_trmph(other)}\n")
    _, report = import_games([path], 7)
    assert [str(refusal) for refusal in report.refused] == [
        f"{path} line 51: board size 5, but the study's is 7"
    ]


def test_lines_are_counted_in_chunks_without_losing_any(tmp_path: Path) -> None:
    path = write(tmp_path / "many", TEXT * 200)
    report = ImportReport()
    lines = [game.line for games, _ in read_games([path], report) for game in games]
    assert lines == list(range(1, 10_001))


needs_shared = pytest.mark.skipif(not SHARED_GAMES.exists(), reason="the shared games are not here")


@needs_shared
@pytest.mark.parametrize(
    ("name", "size", "read", "refused"),
    [
        ("wolve-13x13.trmph", 13, 8985, 0),
        ("neurohex-sample.dat", 13, 400, 0),
        ("wolve-10x10.txt", 10, 6213, 2),
        ("sgf", 11, 25, 23),
    ],
)
def test_every_line_of_the_shared_files_is_accounted_for(
    name: str, size: int, read: int, refused: int
) -> None:
    archive, report = import_games([SHARED_GAMES / name], size)
    assert (len(archive), len(report.refused)) == (read, refused)
    path = SHARED_GAMES / name
    if path.is_file():
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        assert read + refused == len(lines)
    else:
        assert read + refused == len(list(path.iterdir()))
    if size == 13:
        assert archive.finished.all()


@needs_shared
def test_tournament_files_swap_colours_and_leave_the_stone() -> None:
    _, report = import_games([SHARED_GAMES / "sgf"], 11)
    swaps = [decision.swaps for decision in report.decisions if decision.swaps]
    assert swaps == [{"sides": 1}] * len(swaps)
    assert len(swaps) == 22
    assert sum(decision.disagree for decision in report.decisions) == 0
