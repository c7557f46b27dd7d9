from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.errors import CheckpointError
from hexsearch.training.atomic import write_atomically
from hexsearch.training.checkpoint import (
    load_checkpoint,
    load_last_good,
    previous_of,
    save_checkpoint,
)


@pytest.mark.parametrize("path", ["", "/", "."])
def test_a_path_without_a_name_is_refused(path: str) -> None:
    with pytest.raises(CheckpointError, match="is a folder; give the path of a file"):
        write_atomically(Path(path), b"content")


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "deep" / "c.pt", {"weights": torch.arange(3), "name": "x"})
    content = load_checkpoint(tmp_path / "deep" / "c.pt")
    assert content["weights"].tolist() == [0, 1, 2]
    assert content["name"] == "x"


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
        load_checkpoint(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (str(tmp_path / "owned"),))

    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "owned").exists()


def test_somebody_elses_checkpoint_is_told_apart(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="is not a hexsearch checkpoint"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CheckpointError, match="pipe: cannot be written: it is a device or a pipe"):
        write_atomically(pipe, b"new")
    assert pipe.is_fifo()


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    write_atomically(path, b"old")
    (tmp_path / "blocked").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_atomically(tmp_path / "blocked" / "c.pt", b"new")
    assert path.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["blocked", "c.pt"]


@pytest.mark.parametrize("spoil", ["truncated", "flipped", "empty", "foreign", "gone"])
def test_a_bad_checkpoint_costs_the_training_since_the_one_before_it(
    tmp_path: Path, spoil: str
) -> None:
    path = tmp_path / "c.pt"
    for step in (1, 2):
        save_checkpoint(path, {"step": step, "weights": torch.arange(1000)})
    whole = path.read_bytes()
    spoilt = {
        "truncated": whole[:-500],
        "flipped": whole.replace(torch.arange(1000).numpy().tobytes(), b"\x55" * 8000),
        "empty": b"",
        "foreign": b"PK\x03\x04 and then nothing",
        "gone": None,
    }[spoil]
    assert spoilt != whole
    path.unlink() if spoilt is None else path.write_bytes(spoilt)
    taken: list[int] = []

    def resumed(content: dict[str, Any]) -> int:
        taken.append(content["step"])
        return taken[-1]

    newest, warnings = load_last_good(path, resumed)
    assert newest == 1 and taken == [1]
    assert len(warnings) == (spoil != "gone")
    previous_of(path).unlink()
    nothing, again = load_last_good(path, resumed)
    assert nothing is None and again == warnings and taken == [1]


def test_a_checkpoint_that_cannot_be_gone_on_from_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"state": {}})
    save_checkpoint(path, {})
    state, (warning,) = load_last_good(path, lambda content: content["state"])
    assert state == {}
    assert "c.pt is not used: damaged (it holds no 'state')" in warning
