"""Losses by game that are damaged, or that are none at all."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexsearch.ledger.game_losses import read_game_losses, write_game_losses
from hexsearch.training.metrics import GameLosses

GAMES = np.arange(4, dtype=np.int64)
SUMS, COUNTS = np.ones((4, 3), np.float32), np.ones((4, 3), np.int32)
FILE = "games-64.npz"


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    write_game_losses(tmp_path, 64, GameLosses(GAMES, SUMS, COUNTS))
    losses = read_game_losses(tmp_path, 64)
    assert losses is not None and losses.sums.tolist() == SUMS.tolist()
    return (tmp_path / FILE).read_bytes()


def test_a_damaged_file_counts_as_missing_wherever_it_is_damaged(
    tmp_path: Path, written: bytes
) -> None:
    rng = np.random.default_rng(0)
    for at in range(0, len(written), 7):
        junk = rng.bytes(5)
        for damaged in (written[:at], written[:at] + junk + written[at + 5 :]):
            (tmp_path / FILE).write_bytes(damaged)
            losses = read_game_losses(tmp_path, 64)
            assert losses is None or losses.sums.tolist() == SUMS.tolist()


@pytest.mark.parametrize(
    "arrays",
    [
        {"sums": SUMS[:2]},
        {"counts": COUNTS[:, :2]},
        {"sums": SUMS * np.float32("nan")},
        {"sums": SUMS.astype("U3")},
        {"games": GAMES[::-1]},
        {"games": GAMES[0]},
        {"games": GAMES.astype(np.float64)},
    ],
    ids=str,
)
def test_arrays_of_other_kinds_and_shapes_count_as_missing(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{"games": GAMES, "sums": SUMS, "counts": COUNTS, **arrays})
    (tmp_path / FILE).write_bytes(buffer.getvalue())
    assert read_game_losses(tmp_path, 64) is None


def test_neither_a_pipe_nor_a_bomb_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    assert read_game_losses(tmp_path, 64) is None
    (tmp_path / FILE).unlink()
    with zipfile.ZipFile(tmp_path / FILE, "w", zipfile.ZIP_DEFLATED) as packed:
        with packed.open("games.npy", "w", force_zip64=True) as member:
            for _ in range(1100):
                member.write(bytes(1 << 20))
    assert read_game_losses(tmp_path, 64) is None
