"""Trainings that begin with the weights of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.cli.main import main
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.data.games import random_games
from tests.training.trials import make


@pytest.fixture
def earlier(dataset: Dataset, tmp_path: Path) -> Path:
    trial = make(dataset, seed=7, max_positions=256)
    trial.train_to(256)
    save_checkpoint(tmp_path / "earlier.pt", {"state": trial.state()})
    return tmp_path / "earlier.pt"


def test_trunk_and_policy_begin_as_the_checkpoint_ended_and_the_value_head_anew(
    dataset: Dataset, earlier: Path
) -> None:
    before = load_checkpoint(earlier)["state"]["network"]
    trial, fresh = make(dataset, start_from=str(earlier)), make(dataset)
    own = {name: tensor.clone() for name, tensor in trial.network.state_dict().items()}
    for name, tensor in own.items():
        source = fresh.network.state_dict() if name.startswith("value_head") else before
        assert torch.equal(tensor, source[name]), name
    trial.train_to(64)
    moved = trial.network.state_dict()
    assert not torch.equal(moved["trunk.stem.0.weight"], own["trunk.stem.0.weight"])


def test_a_trial_does_not_go_on_from_one_that_began_with_another_checkpoint(
    dataset: Dataset, earlier: Path
) -> None:
    began = make(dataset, start_from=str(earlier))
    began.train_to(64)
    state = began.state()
    again = make(dataset, start_from=str(earlier))
    again.load_state(state)
    assert again.positions_seen == 64
    other = make(dataset, seed=8, max_positions=64)
    save_checkpoint(earlier, {"state": other.state()})
    with pytest.raises(CheckpointError, match="trunk"):
        make(dataset, start_from=str(earlier)).load_state(state)


def test_a_checkpoint_of_another_form_is_refused(dataset: Dataset, earlier: Path) -> None:
    with pytest.raises(CheckpointError, match=r"earlier.pt: its trunk does not fit"):
        make(dataset, start_from=str(earlier), trunk={"preset": "tiny", "channels": [8, 24]})
    with pytest.raises(CheckpointError, match=r"encoder.history was false, and is true here"):
        make(dataset, start_from=str(earlier), encoder={"history": True})
    with pytest.raises(CheckpointError, match=r"encoder.perspective was mover, and is absolute"):
        make(dataset, start_from=str(earlier), encoder={"perspective": "absolute"})


def test_the_command_goes_on_with_all_weights_of_a_checkpoint(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    games = tmp_path / "g.trmph"
    command = ["games", "generate", str(games), "--network", str(earlier), "--nodes", "2"]
    assert main([*command, "--games", "100"]) == 0
    space = tmp_path / "space.yaml"
    space.write_text(
        "question: x\ndata: {board_size: 5}\ntrial: {trunk: tiny}\n"
        "scheduler: {name: none, grace_period: 64, max_t: 64, report_every: 64}\n"
    )
    train = ["train", str(space), "--games", str(games), "--output"]
    began = ["--start-from", str(earlier)]
    assert main([*train, str(tmp_path / "a"), *began]) == 0
    assert main([*train, str(tmp_path / "b")]) == 0
    before, one, other = (
        load_checkpoint(path)["state"]["network"]["trunk.stem.0.weight"]
        for path in (earlier, tmp_path / "a" / "model.pt", tmp_path / "b" / "model.pt")
    )
    assert torch.allclose(one, before, atol=0.02)  # a step away from it
    assert not torch.allclose(other, before, atol=0.02)
    capsys.readouterr()
    assert main([*train, str(tmp_path / "c"), *began, "--set", "trial.trunk.channels=[8,24]"]) == 2
    assert "do not fit the network" in capsys.readouterr().err


def test_the_command_goes_on_from_the_checkpoint_before_a_spoilt_one_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, model = tmp_path / "space.yaml", tmp_path / "out" / "model.pt"
    games = tmp_path / "g.trmph"
    games.write_text("".join(format_trmph(game) + "\n" for game in random_games(60, size=5)))
    space.write_text(
        "question: x\ndata: {board_size: 5}\ntrial: {trunk: tiny, batch_size: 64}\n"
        "scheduler: {name: none, grace_period: 64, max_t: 192, report_every: 64}\n"
    )
    command = ["train", str(space), "--games", str(games), "--output", str(model.parent)]
    assert main(command) == 0
    whole = model.read_bytes()
    model.write_bytes(whole[:-500])
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "warning: model.pt is not used" in said and "continuing from 128 positions" in said
    again = load_checkpoint(model)["state"]
    assert again["positions_seen"] == 192
    others: list[dict[str, Any]] = [{"state": []}, {}, {"state": {**again, "seed": 5}}]
    for other in others:
        save_checkpoint(model, other)
        save_checkpoint(model, other)
        before = model.read_bytes()
        assert main(command) == 2 and model.read_bytes() == before
        assert "give another --output" in capsys.readouterr().err
