"""Code that runs apart computes and reads, and leaves no trace."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.doctor.hypotheses.code.apart import TooLong, apart, can_run_apart, limited

pytestmark = pytest.mark.skipif(
    not can_run_apart(), reason="nothing runs apart without Linux and Landlock"
)


def test_what_a_job_returns_comes_back_and_what_it_changes_does_not() -> None:
    seen: list[int] = []

    def job() -> dict[str, Any]:
        seen.append(1)
        torch.manual_seed(3)
        return {"sum": float(torch.ones(40, 40).matmul(torch.ones(40)).sum()), "seen": len(seen)}

    state = torch.random.get_rng_state()
    assert apart(job) == {"sum": 1600.0, "seen": 1}
    assert seen == [] and torch.equal(torch.random.get_rng_state(), state)


def _remove(path: Path) -> None:
    path.unlink()


def _overwrite(path: Path) -> None:
    path.write_text("", encoding="utf-8")


def _lengthen(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1000)


def _save(path: Path) -> None:
    torch.save({}, path)


def _move(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def _start(path: Path) -> None:
    subprocess.run(["rm", str(path)], check=True)


def _empty_in_c(path: Path) -> None:
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    if library.fopen(str(path).encode(), b"w") is None:
        raise PermissionError


def _remove_in_c(path: Path) -> None:
    if ctypes.CDLL(None).unlink(str(path).encode()) != 0:
        raise PermissionError


def _make(path: Path) -> None:
    path.with_name("other").mkdir()


@pytest.mark.parametrize(
    "act",
    [_remove, _overwrite, _lengthen, _save, _move, _start, _empty_in_c, _remove_in_c, _make],
)
def test_files_stay_as_they_are(act: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights")

    def job() -> str:
        try:
            act(path)
        except (PermissionError, RuntimeError):  # torch's own writer raises the latter
            return "refused"
        return "done"

    assert apart(job) == "refused"
    assert [each.name for each in tmp_path.iterdir()] == ["weights.pt"]
    assert path.read_bytes() == b"weights"


def test_a_pipe_that_is_open_already_is_not_reached() -> None:
    reading, writing = os.pipe()

    def job() -> str:
        with contextlib.suppress(OSError):
            os.write(writing, b"edited")
        return "done"

    assert apart(job) == "done"
    os.close(writing)
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_memory_that_is_shared_is_read_and_not_written(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "mapped", dtype=np.uint8, mode="w+", shape=4)
    view, shared = np.asarray(mapped), torch.zeros(3)
    shared.share_memory_()  # type: ignore[no-untyped-call]
    for fill in (mapped.fill, view.fill, shared.fill_):
        assert apart(partial(fill, 9)) is None
    assert apart(lambda: [view.tolist(), shared.tolist()]) == [[0, 0, 0, 0], [0.0, 0.0, 0.0]]
    assert mapped.tolist() == [0, 0, 0, 0] and shared.tolist() == [0.0, 0.0, 0.0]


def test_a_file_that_is_open_already_is_not_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8", buffering=1) as log:
        log.write("before\n")
        apart(lambda: log.write("edited\n"))
        log.write("after\n")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "before\nafter\n"


def test_what_takes_too_long_is_interrupted() -> None:
    def job() -> str:
        try:
            with limited(0.2):
                while True:
                    try:
                        sum(range(100))
                    except Exception:  # code of a user may take everything
                        continue
        except TooLong:
            return "interrupted"

    assert apart(job) == "interrupted"


@pytest.mark.parametrize(
    "end",
    [
        lambda: os._exit(0),
        lambda: sys.exit(3),
        lambda: signal.raise_signal(signal.SIGSEGV),
        lambda: 1 / 0,
        lambda: bytearray(1 << 40),
        lambda: {1, 2},
    ],
    ids=["exit", "sys.exit", "segmentation fault", "exception", "memory", "no JSON"],
)
def test_a_process_that_dies_has_no_result(end: Callable[[], Any]) -> None:
    assert apart(end) is None


def test_networks_on_a_cpu_can_run_apart() -> None:
    assert can_run_apart(torch.nn.Linear(2, 2))
    assert not can_run_apart(torch.nn.Linear(2, 2, device="meta"))
