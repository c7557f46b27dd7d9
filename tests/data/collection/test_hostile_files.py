"""Files with false content are refused at once, with little memory and with a reason."""

from __future__ import annotations

import gzip
import io
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hexsearch.data.collection.importing import ImportReport, import_games, read_games
from hexsearch.errors import GamesError
from hexsearch.game.formats.sgf import format_sgf
from hexsearch.game.formats.trmph import format_trmph
from tests.data.games import random_games

GAMES = random_games(20, 5, seed=2)
TEXT = "".join(format_trmph(game) + "\n" for game in GAMES)
ROOT = Path(__file__).parents[3]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def fault_of(path: Path) -> str:
    with pytest.raises(GamesError) as caught:
        import_games([path], 5)
    return caught.value.problems[0]


def test_a_pipe_or_device_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "a pipe or a device" in fault_of(tmp_path / "fifo")
    assert "a pipe or a device" in fault_of(Path("/dev/zero"))


def test_a_sparse_gigabyte_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "sparse.trmph"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    assert "holds NUL bytes" in fault_of(path)


def test_archives_in_archives_and_foreign_ones_are_named(tmp_path: Path) -> None:
    inner = zipped(games=TEXT.encode())
    assert "zip, inside another file" in fault_of(write(tmp_path / "a.zip", zipped(b=inner)))
    assert "gzip, inside another file" in fault_of(
        write(tmp_path / "b.gz", gzip.compress(gzip.compress(TEXT.encode())))
    )
    assert "compressed as xz" in fault_of(write(tmp_path / "c", b"\xfd7zXZ\x00 and so on"))
    assert "compressed as 7z" in fault_of(write(tmp_path / "d", b"7z\xbc\xaf\x27\x1c"))


@pytest.mark.parametrize("kind", ["zip", "gzip"])
def test_what_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path: Path, kind: str) -> None:
    bomb = TEXT.encode() + b"# \n" * (1 << 24)
    content = zipped(a=bomb) if kind == "zip" else gzip.compress(bomb)
    assert "400 times its size" in fault_of(write(tmp_path / "bomb", content))


BOMBS = {
    "nodes": "(;GM[11]SZ[5]" + ";B[a1];W[b1]" * 300_000 + ")",
    "values": "(;GM[11]SZ[5]AB" + "[a1]" * 1_000_000 + ")",
    "comment": "(;GM[11]SZ[5]C[" + "x" * 20_000_000,
    "lines": "(;GM[11]SZ[5]C[" + "x\n" * 400_000,  # two hours where each looks at all before it
    "variations": "(;GM[11]SZ[5];B[a1]" + "(;W[b1])" * 400_000,
    "depth": "(;GM[11]SZ[5]" + "(;B[a1]" * 500_000,
    "line": "#5," + "a1" * 5_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_text_that_goes_on_for_ever_is_refused_in_little_memory(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "bomb", (BOMBS[name] + "\n" + TEXT).encode())
    limit = 600 << 20  # of address space, with the interpreter and numpy

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    code = (
        "import sys; from hexsearch.data.collection.importing import *\n"
        "try: print(import_games([sys.argv[1]], 5)[1].summary())\n"
        "except Exception as error: print(type(error).__name__, str(error)[:300])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        preexec_fn=limited,
        timeout=300.0,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout or "GamesError" in done.stdout, done.stdout
    assert "MemoryError" not in done.stdout


def test_a_long_line_does_not_hide_or_invent_games_behind_it(tmp_path: Path) -> None:
    long = "#5," + "a1" * (1 << 19) + "\n"
    lines = TEXT.splitlines(keepends=True)
    path = write(tmp_path / "a", "".join([*lines[:3], long, *lines[3:]]).encode())
    archive, report = import_games([path], 5)
    assert [refusal.line for refusal in report.refused] == [4]
    assert [archive.game(index).line for index in (2, 3)] == [3, 5]


def test_games_on_one_line_of_megabytes_are_all_read(tmp_path: Path) -> None:
    one = format_sgf(GAMES[0]).replace("(;", "(;C[a; \\] b)]", 1)
    count = 3 * (1 << 20) // len(one)
    report = ImportReport()
    games = [
        game.moves
        for chunk, _ in read_games([write(tmp_path / "a.sgf", (one * count).encode())], report)
        for game in chunk
    ]
    assert games == [GAMES[0].moves] * count


def test_control_characters_are_escaped_where_foreign_text_is_printed(tmp_path: Path) -> None:
    path = write(tmp_path / "a", (TEXT + "#5,a1\x1b]0;owned\x07b2 b\n").encode())
    _, report = import_games([path], 5)
    assert "\x1b" not in report.summary() and "\\x1b]0;owne" in str(report.refused[0])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_what_windows_tools_write_is_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a", TEXT.replace("\n", "\r\n").encode(encoding))
    assert len(import_games([path], 5)[0]) == 20


# In these the second byte of a character is a backslash or a bracket.
NAMES = [("表示", "shift_jis"), ("許功", "big5"), ("乗]", "gb18030")]


@pytest.mark.parametrize(("name", "encoding"), NAMES)
@pytest.mark.parametrize("stated", [True, False])
def test_a_name_in_a_legacy_encoding_never_costs_a_stone(
    tmp_path: Path, name: str, encoding: str, stated: bool
) -> None:
    whole = [format_sgf(game) for game in GAMES]
    head = f"CA[{encoding}]" if stated else ""
    texts = [text.replace("GM[11]", f"GM[11]{head}PB[a]PW[{name}x]", 1) for text in whole]
    path = write(tmp_path / "a.sgf", "\n".join(texts).encode(encoding))
    archive, report = import_games([path], 5)
    assert not report.refused
    assert [archive.game(index).moves for index in range(20)] == [game.moves for game in GAMES]


@pytest.mark.parametrize(
    "stated", ["nonsense", "utf-16", "utf-32", "rot13", "base64", "hex", "idna", "unicode_escape"]
)
def test_an_encoding_that_the_file_cannot_be_in_is_refused(tmp_path: Path, stated: str) -> None:
    text = format_sgf(GAMES[0]).replace("GM[11]", f"GM[11]CA[{stated}]PB[Müller]", 1)
    path = write(tmp_path / "a.sgf", text.encode("latin-1"))
    assert f"states the encoding '{stated}' (CA), which Python does not know or" in fault_of(path)


def test_what_a_game_says_twice_in_two_ways_is_refused(tmp_path: Path) -> None:
    texts = [
        format_sgf(game).replace("SZ[5]", twice, 1)
        for game, twice in zip(GAMES, ("SZ[5]SZ[6]", "SZ[5]SZ[5]", "SZ[5]"), strict=False)
    ]
    texts[2] = texts[2].replace("RE[", "RE[B+]RE[W+]RE[", 1)
    archive, report = import_games([write(tmp_path / "a.sgf", "\n".join(texts).encode())], 5)
    assert len(archive) == 1
    assert [refusal.line for refusal in report.refused] == [1, 3]
    assert "SZ is given twice" in report.refused[0].reason


def test_a_tree_without_end_hides_no_game_that_begins_a_line(tmp_path: Path) -> None:
    endless = "(;GM[11]SZ[5]" + ";B[a1];W[b1]" * 3000 + ")"
    texts = [format_sgf(game) for game in GAMES[:3]]
    path = write(tmp_path / "a.sgf", "\n".join([texts[0], endless, *texts[1:]]).encode())
    archive, report = import_games([path], 5)
    assert len(archive) == 3
    (refusal,) = report.refused
    assert refusal.line == 2 and "skipped up to the next line that begins a game" in refusal.reason


def test_an_empty_archive_and_an_empty_path_are_told(tmp_path: Path) -> None:
    assert "no usable 5x5 game" in fault_of(write(tmp_path / "a.zip", zipped()))
    with pytest.raises(GamesError, match="an empty path names no games"):
        import_games([""], 5)


def test_a_backslash_that_can_be_read_in_two_ways_costs_the_game_and_says_so(
    tmp_path: Path,
) -> None:
    text = format_sgf(GAMES[0]).replace("GM[11]", "GM[11]PW[bob\\]", 1)
    moves = text.index(";B[")
    text = text[:moves].replace("PW[bob\\]", "") + "PW[bob\\]" + text[moves:]
    path = write(tmp_path / "a.sgf", (text + "\n" + format_sgf(GAMES[1])).encode())
    archive, report = import_games([path], 5)
    assert len(archive) == 1
    assert "can be read in two ways" in report.refused[0].reason


def test_files_with_one_game_each_are_read_as_they_would_be_alone(tmp_path: Path) -> None:
    for number, game in enumerate(GAMES):
        write(tmp_path / f"{number:02}.sgf", format_sgf(game).encode())
    write(tmp_path / "07.sgf", b"(;GM[11]SZ[5];B[a1];B[a2])")
    archive, report = import_games([tmp_path], 5)
    assert [refusal.file for refusal in report.refused] == [str(tmp_path / "07.sgf")]
    expected = [game.moves for number, game in enumerate(GAMES) if number != 7]
    assert [archive.game(index).moves for index in range(len(archive))] == expected
    assert [decision.agree for decision in report.decisions] == [1] * 19
