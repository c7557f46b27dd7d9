from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError
from hexsearch.interface.training_loop import train_to_end
from hexsearch.report.terminal import Console
from hexsearch.training.checkpoint import load_checkpoint
from tests.training.trials import make

POINTS = (1024, 2048)


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_an_interrupt_keeps_the_last_full_step_and_the_rest_is_as_never_stopped(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGINT)
    straight, first, second = (make(dataset, max_positions=2048, batch_size=32) for _ in range(3))
    assert train_to_end(straight, POINTS, tmp_path / "a.pt", quiet(), None)
    sound = type(first).train_to

    def pressed(self: object, positions: int) -> None:
        if positions == 1344:
            os.kill(os.getpid(), signal.SIGINT)
        sound(first, positions)

    with monkeypatch.context() as patch:
        patch.setattr(first, "train_to", pressed.__get__(first))
        assert not train_to_end(first, POINTS, tmp_path / "b.pt", quiet(), None)
    assert signal.getsignal(signal.SIGINT) is before
    second.load_state(load_checkpoint(tmp_path / "b.pt")["state"])
    assert second.positions_seen == 1344
    assert train_to_end(second, POINTS, tmp_path / "b.pt", quiet(), None)
    ours, theirs = straight.state()["network"], second.state()["network"]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_curves_are_written_that_tensorboard_reads(dataset: Dataset, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trial = make(dataset, auxiliary={"ownership": 0.1})
    assert train_to_end(trial, (256, 512), tmp_path / "m.pt", quiet(), tmp_path / "events")
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    for name in ("validation/value_loss", "train/policy_loss", "validation/ownership_loss"):
        assert [event.step for event in events.Scalars(name)] == [256, 512], name
    last = events.Scalars("validation/value_loss")[-1].value
    assert last == pytest.approx(trial.report().value_loss, rel=1e-6)


def test_a_report_is_told_with_each_loss_apart(dataset: Dataset, tmp_path: Path) -> None:
    screen = io.StringIO()
    trial = make(dataset, auxiliary={"ownership": 0.1})
    train_to_end(trial, (512,), tmp_path / "m.pt", Console(file=screen), None)
    line = screen.getvalue()
    validation, _, training = line.partition("in training")
    for said in (validation, training):
        for name in ("value", "policy", "ownership"):
            assert name in said


def test_tensorboard_that_is_not_installed_is_said_so_before_training(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trial = make(dataset)
    with pytest.raises(ConfigError, match="package tensorboard is not installed"):
        train_to_end(trial, (512,), tmp_path / "m.pt", quiet(), tmp_path / "events")
    assert trial.positions_seen == 0
    assert list(tmp_path.iterdir()) == []
