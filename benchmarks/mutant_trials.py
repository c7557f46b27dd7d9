"""What small trials of a few configurations do, as one digest each.

Two versions of the code with equal digests do the same here: the same batches, weights, reports,
checkpoints and resumed trials, to the last bit. The games are 600 drawn ones on 5x5.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from hexsearch.config.data import DataConfig
from hexsearch.data import archive as archives
from hexsearch.data import batches, dataset
from hexsearch.data.archive import GameArchive
from hexsearch.game.record import Game
from hexsearch.training import checkpoint, stored_trial, trial
from tests.doctor.conftest import SIZE, tiny

_AUXILIARY = {
    "moves_left": 0.1,
    "ownership": 0.1,
    "winning_chain": 0.1,
    "future_stones": {"weight": 0.1, "plies": 4},
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "absolute": {
        "encoder": {"perspective": "absolute", "history": True},
        "curriculum": {
            "name": "progressive",
            "phases": [{"name": "all", "first_ply": 4, "until": 256}, {"name": "all"}],
            "stage_weights": {"early": 0.5, "late": 2.0},
        },
        "optimiser": {"name": "sgd", "learning_rate": 0.05},
    },
    "auxiliary": {"auxiliary": _AUXILIARY, "optimiser": {"ema_half_life": 1000}},
    "preact": {
        "trunk": {
            "preset": "tiny",
            "block": "preact",
            "squeeze_excitation": True,
            "global_pooling_every": 2,
            "activation": "mish",
        },
        "value_head": "mean_max 512->32->1",
        "policy_head": "convolution",
        "readout": "tanh_mse",
        "optimiser": {"schedule": "cosine"},
    },
    "bottleneck": {
        "trunk": {"preset": "tiny", "block": "bottleneck", "norm": "layer", "activation": "silu"},
        "value_head": "attention reduced 512->32->16->1 norm layer dropout 0.1",
        "readout": {"name": "sigmoid_mse", "label_smoothing": 0.05},
        "curriculum": {"stage_smoothing": {"early": 0.2}},
        "encoder": {"edge_ring": False},
        "optimiser": {"name": "muon", "schedule": "constant", "value_lr_factor": 0.5},
        "augment": False,
    },
    "micro-batches": {
        "auxiliary": _AUXILIARY,
        "optimiser": {"ema_half_life": 1000},
        "micro_batch": 24,
    },
}
_BATCH, _STEPS, _SEED = 64, 8, 1
_LENGTH = _BATCH * _STEPS
_NOT_EQUAL = ("train_seconds", "timings")  # seconds differ between equal trials


class Digest:
    """A hash of nested tensors, arrays and plain values."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, value: Any) -> None:
        """Add a value: its kind, shape and bytes."""
        if isinstance(value, torch.Tensor):
            self.add(value.detach().cpu().numpy())
        elif isinstance(value, np.ndarray):
            self._write(value.dtype.str, value.shape)
            self._hash.update(np.ascontiguousarray(value).tobytes())
        elif is_dataclass(value) and not isinstance(value, type):
            self.add({each.name: getattr(value, each.name) for each in fields(value)})
        elif isinstance(value, Mapping):
            self._write("mapping", len(value))
            for key, each in value.items():
                if key not in _NOT_EQUAL:
                    self._write(key)
                    self.add(each)
        elif isinstance(value, list | tuple):
            self._write("sequence", len(value))
            for each in value:
                self.add(each)
        else:
            self._write(value)

    def _write(self, *parts: object) -> None:
        self._hash.update(f"{parts!r};".encode())

    def hexdigest(self) -> str:
        """All values so far, as text."""
        return self._hash.hexdigest()


def digest_of(name: str, archive: GameArchive) -> str:
    """The digest of a small trial of a configuration."""
    config, digest = tiny(**CONFIGURATIONS[name]), Digest()
    data = dataset.Dataset(archive, DataConfig(board_size=SIZE))

    def begun() -> trial.Trial:
        return trial.Trial.of(config, data, _LENGTH, _SEED)

    whole = begun()
    digest.add(whole.state())
    for batch in _batches(whole):
        digest.add([batch, batch.value_target])
    whole.train_to(_LENGTH // 2)
    half = whole.state()
    digest.add(half)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        checkpoint.save_checkpoint(path, {"state": half})
        stored = stored_trial.read_stored_trial(path)
        resumed = begun()
        resumed.load_state(stored.state)
    for one in (whole, resumed):
        one.train_to(_LENGTH)
        report = one.report()
        digest.add([report.to_json(), report.value_loss, report.game_losses])
        digest.add([one.state(), one.head_states(), one.evaluate()])
    return digest.hexdigest()


def _batches(one: trial.Trial) -> Iterator[Any]:
    """Batches of training, at the end of the first pass and in the second one; of validation."""
    size = len(one.stream.positions)
    for cursor in (0, _LENGTH // 2 - _BATCH // 2, size - _BATCH // 2, size + _BATCH):
        yield one.stream.batch(cursor, _BATCH)
    yield one.next_batch()
    validation = one.dataset.validation
    yield from batches.evaluation_batches(
        one.stream.builder, validation, 256, auxiliary=one.config.auxiliary
    )


def digests(games: list[Game], names: list[str]) -> dict[str, str]:
    """The digests of configurations by name."""
    archive = archives.build_archive(games)
    return {name: digest_of(name, archive) for name in names}


@contextmanager
def executed(seen: set[tuple[str, int]], wanted: Callable[[str], bool]) -> Iterator[None]:
    """In this context, note the file and line of whatever is executed in the wanted files."""

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        return line(frame, event, argument) if wanted(frame.f_code.co_filename) else None

    before = sys.gettrace()
    threading.settrace(called)
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before)
