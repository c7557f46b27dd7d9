"""Tests that need a GPU: its kernels, its generators, and steps that do not wait for it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.data.dataset import Dataset
from hexsearch.training import evaluation, step
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.training.trials import assert_same_state, make, without_times

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

MAX_POSITIONS = 640
TAUGHT: dict[str, Any] = {
    "auxiliary": {
        "moves_left": 0.1,
        "ownership": 0.1,
        "winning_chain": 0.1,
        "future_stones": {"weight": 0.1},
    }
}
SETTINGS: list[dict[str, Any]] = [
    {},
    TAUGHT,
    {**TAUGHT, "compile": "always"},
    {"precision": "float32"},
    {"precision": "float16"},
    {"memory_format": "contiguous"},
    {"compile": "always"},
    {"optimiser": {"name": "muon", "ema_half_life": 100}, "micro_batch": 24},
    {"trunk": "small", "value_head": {"family": "mlp", "widths": [16], "dropout": 0.3}},
    {"trunk": "small", "value_head": "reduced 512->64->1"},
    {"trunk": "kata_like", "value_head": {"family": "attention"}},
    {"trunk": "resnet18", "encoder": {"edge_ring": True}},
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while compiling
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")  # likewise
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_same_bits_twice_and_when_resumed(
    dataset: Dataset, tmp_path: Path, settings: dict[str, Any]
) -> None:
    device = torch.device("cuda")
    straight, again, stopped, resumed = (
        make(dataset, max_positions=MAX_POSITIONS, device=device, **settings) for _ in range(4)
    )
    for trial in (straight, again, stopped):
        trial.train_to(192)
    save_checkpoint(tmp_path / "c.pt", {"state": stopped.state()})
    torch.rand(3, device=device)  # the caller's own randomness must not matter
    resumed.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    for trial in (straight, again, resumed):
        torch.compiler.reset()  # as between the trials of a worker
        trial.train_to(MAX_POSITIONS)
    report = without_times(straight)
    for other in (again, resumed):
        assert without_times(other) == report
        assert_same_state(other, straight)


@pytest.mark.parametrize("settings", [{}, TAUGHT], ids=["plain", "taught"])
def test_a_step_never_waits_for_the_device(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    trial = make(dataset, max_positions=100_000, device=torch.device("cuda"), **settings)
    monkeypatch.setattr(step, "LOOK_EVERY", 5)
    trial.train_to(64 * 10)
    trial.network.train()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        for _ in range(10):
            trial.train_on(trial.next_batch())
        torch.cuda.set_sync_debug_mode("default")
    waits = [(w.filename, w.lineno) for w in caught if "called a synchronizing" in str(w.message)]
    assert waits == []


def test_an_evaluation_waits_as_often_for_many_batches_as_for_one(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(dataset, device=torch.device("cuda"))
    trial.evaluations()
    waits = []
    for size in (4096, 64):
        monkeypatch.setattr(evaluation, "_BATCH", {"cpu": size, "cuda": size})
        monkeypatch.setattr(evaluation, "_BUILT", {"cpu": 2 * size, "cuda": 2 * size})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            trial.evaluations()
            torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("called a synchronizing" in str(w.message) for w in caught))
    assert len(dataset.validation) > 4 * 64
    assert waits[0] == waits[1]
