"""Readers refuse mutated real text and random bytes, and never crash."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hexsearch.data.collection.audit import audit_games
from hexsearch.data.collection.importing import ImportReport, read_games
from hexsearch.errors import GamesError
from hexsearch.game.formats.detect import FORMATS
from hexsearch.game.formats.hexworld import format_hexworld
from hexsearch.game.formats.plain import format_coloured, format_dat
from hexsearch.game.formats.sgf import format_katahex, format_littlegolem, format_sgf
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.reading import choose_reading, settle, written_only
from hexsearch.game.record import verify_games
from tests.data.games import SHARED_GAMES, random_games

PRINTERS = (
    format_trmph,
    format_hexworld,
    format_dat,
    format_coloured,
    format_sgf,
    format_littlegolem,
    format_katahex,
)
SPLINTERS = (
    b"\x00", b"\xff\xfe", b"[", b"]", b"\\", b"(;", b")", b";W[", b";B[swap-pieces]", b"AB[a1]",
    b"SZ[999]", b"#13,", b"#99999999999999999999,", b":s", b":rb", b",", b" ", b"\n", b"\r\n",
    b"a1", b"z99", b"a0", b"swap", b"resign", b" # ", b"# ", b"r", b"2", "é".encode(), b"-1",
    b"\xf0\x9f\x98\x80", b"w w", b"GM[1]", b"PL[W]", b"RE[Void]",
)  # fmt: skip


def seed_texts() -> list[bytes]:
    """Real text in every format."""
    texts = []
    for size in (3, 7, 13, 19):
        games = random_games(6, size, seed=size)
        texts += [("".join(p(g) + "\n" for g in games)).encode() for p in PRINTERS]
    if SHARED_GAMES.exists():
        texts += [file.read_bytes() for file in sorted((SHARED_GAMES / "sgf").iterdir())[:6]]
        texts.append((SHARED_GAMES / "wolve-10x10.txt").read_bytes()[:4000])
    return texts


def mutated(texts: list[bytes], rng: np.random.Generator) -> bytes:
    """Random bytes one time in eight, else a real text after a few accidents."""
    if rng.integers(8) == 0:
        return rng.bytes(int(rng.integers(0, 3000)))
    data = bytearray(texts[int(rng.integers(len(texts)))])
    accidents: tuple[Callable[[int, int], None], ...] = (
        lambda at, end: data.__delitem__(slice(at, end)),
        lambda at, end: data.__setitem__(slice(at, at), data[at:end]),
        lambda at, end: data.__setitem__(slice(at, at), SPLINTERS[end % len(SPLINTERS)]),
        lambda at, end: data.__setitem__(slice(at, at + 1), bytes([end % 256])),
        lambda at, end: data.__delitem__(slice(at, None)) if end % 5 == 0 else None,
    )
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(0, len(data) + 1))
        accidents[int(rng.integers(len(accidents)))](at, at + int(rng.integers(0, 60)))
    return bytes(data)


def packed(data: bytes, rng: np.random.Generator) -> bytes:
    """Now and then compressed, and now and then damaged after that."""
    kind = int(rng.integers(10))
    if kind == 0:
        data = gzip.compress(data, 1)
    elif kind == 1:
        folder = io.BytesIO()
        with zipfile.ZipFile(folder, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a", data)
        data = folder.getvalue()
    else:
        return data
    if rng.integers(2):
        cut = bytearray(data)
        cut[int(rng.integers(len(cut)))] ^= int(rng.integers(1, 256))
        data = bytes(cut[: int(rng.integers(1, len(cut) + 1))])
    return data


def feed_every_reader(data: bytes, size: int) -> None:
    lines = data.decode("utf-8", errors="replace").splitlines(keepends=True)
    for format_ in FORMATS:
        entries = list(format_.read(lines, "fuzz", size))
        written = written_only(entries)
        decision = choose_reading(written, "fuzz", format_.name)
        settled = [settle(record, decision.reading) for record in written]
        games, refused = verify_games(settled)
        assert len(games) + len(refused) == len(written)
        for game in games:
            assert len(set(game.moves)) == len(game.moves)
            assert max(game.moves) < game.size**2


def fuzz(folder: Path, seconds: float, seed: int) -> int:
    texts, rng = seed_texts(), np.random.default_rng(seed)
    path = folder / "fuzz"
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(texts, rng)
        feed_every_reader(data, int(rng.integers(3, 20)))
        path.write_bytes(packed(data, rng))
        report = ImportReport()
        try:
            for games, refused in read_games([path], report):
                report.read += len(games)
                report.refused += refused
            if report.read and rounds % 50 == 0:
                audit_games([path])
        except GamesError as error:
            assert error.problems
        rounds += 1
    return rounds


def test_no_text_crashes_a_reader(tmp_path: Path) -> None:
    assert fuzz(tmp_path, 4.0, seed=0) > 10


@pytest.mark.slow
def test_no_text_crashes_a_reader_within_a_minute(tmp_path: Path) -> None:
    assert fuzz(tmp_path, 60.0, seed=time.time_ns() % 2**32) > 100
