"""Exported networks give the same answers as the networks themselves, without hexsearch."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.analysis.loading import LoadedCheckpoint, load_network
from hexsearch.analysis.standalone import (
    StandaloneNetwork,
    export_onnx,
    export_safetensors,
    standalone_planes,
)
from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.config.trunk import TRUNK_PRESETS
from hexsearch.data.archive import build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.training.checkpoint import save_checkpoint
from tests.data.games import random_games
from tests.model.test_network import HEADS
from tests.training.trials import make

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_player.py"
GAMES = [game.moves[: len(game.moves) - game.line % 4] for game in random_games(40, size=5)]

ENCODERS = [
    {"perspective": perspective, "edge_ring": ring, "history": history}
    for perspective in ("absolute", "mover")
    for ring in (False, True)
    for history in (False, True)
]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """300 random games on 5x5."""
    return Dataset(build_archive(random_games(300, size=5)), DataConfig(board_size=5))


def stored(dataset: Dataset, path: Path, **settings: Any) -> LoadedCheckpoint:
    """A network whose every weight is drawn, as a fresh value head would answer 0.5 to all."""
    trial = make(dataset, **settings)
    network = trial.body
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    save_checkpoint(path, {"state": trial.state()})
    return load_network(path)


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("readout", ["bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh"])
def test_the_graph_shows_positions_as_the_encoder_does(
    dataset: Dataset, tmp_path: Path, encoder: dict[str, Any], readout: str
) -> None:
    loaded = stored(dataset, tmp_path / "model.pt", encoder=encoder, readout=readout)
    positions = positions_of_moves(GAMES, 5)
    answers = loaded.predictor.answer(positions)
    assert positions.finished.any() and np.ptp(answers.win_prob_red) > 0.01
    with torch.inference_mode():
        planes = torch.from_numpy(standalone_planes(positions, encoder["history"]))
        win_prob_red, policy = StandaloneNetwork(loaded.predictor).eval()(planes)
    np.testing.assert_allclose(win_prob_red.numpy(), answers.win_prob_red, atol=1e-5)
    np.testing.assert_allclose(policy.numpy(), answers.policy, atol=1e-5)


def agrees(loaded: LoadedCheckpoint, folder: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path, gap = export_onnx(loaded, folder)
    assert 0.0 < gap < 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3, 40):  # the batch size is free
        positions = positions_of_moves(GAMES[:count], 5)
        planes = standalone_planes(positions, loaded.predictor.encoder.history)
        found, policy = session.run(None, {"planes": planes})
        answers = loaded.predictor.answer(positions)
        np.testing.assert_allclose(found, answers.win_prob_red, atol=1e-5)
        np.testing.assert_allclose(policy, answers.policy, atol=1e-5)


def test_onnxruntime_agrees_with_torch(dataset: Dataset, tmp_path: Path) -> None:
    agrees(stored(dataset, tmp_path / "model.pt", value_head="512->64->1"), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["board_size"] == 5
    assert list(description["input"]["planes"]) == ["blue", "red", "red_to_move"]
    assert set(description["outputs"]) == {"win_prob_red", "policy"}


def test_a_network_that_is_shown_the_history_has_a_fourth_plane(
    dataset: Dataset, tmp_path: Path
) -> None:
    agrees(stored(dataset, tmp_path / "model.pt", encoder={"history": True}), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["input"]["shape"] == ["batch", 4, 5, 5]
    assert list(description["input"]["planes"])[3] == "history"


@pytest.mark.slow
@pytest.mark.parametrize("trunk", sorted(TRUNK_PRESETS))
def test_onnxruntime_agrees_for_every_trunk(dataset: Dataset, tmp_path: Path, trunk: str) -> None:
    agrees(stored(dataset, tmp_path / "model.pt", trunk=trunk), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("block", ["plain", "preact", "bottleneck"])
@pytest.mark.parametrize("norm", ["batch", "layer", "group", "none"])
def test_onnxruntime_agrees_for_every_block_and_norm(
    dataset: Dataset, tmp_path: Path, block: str, norm: str
) -> None:
    trunk: dict[str, Any] = {"preset": "tiny", "block": block, "norm": norm, "activation": "mish"}
    trunk |= {"squeeze_excitation": True, "global_pooling_every": 1}
    agrees(stored(dataset, tmp_path / "model.pt", trunk=trunk), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_onnxruntime_agrees_for_every_head(dataset: Dataset, tmp_path: Path, head: str) -> None:
    agrees(stored(dataset, tmp_path / "model.pt", value_head=head), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("readout", ["bce", "sigmoid_mse", "tanh_mse", "tanh_logcosh"])
def test_onnxruntime_agrees_for_every_readout_and_encoder(
    dataset: Dataset, tmp_path: Path, encoder: dict[str, Any], readout: str
) -> None:
    loaded = stored(dataset, tmp_path / "model.pt", encoder=encoder, readout=readout)
    agrees(loaded, tmp_path)


# Half of them, in which each pair of settings occurs; a look takes its planes from the encoder.
# An export of many looks takes long, so one is in the fast suite.
@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(ENCODERS[place], marks=[] if place == 5 else [pytest.mark.slow])
        for place in (0, 3, 5, 6)
    ],
    ids=str,
)
def test_onnxruntime_agrees_for_the_mean_of_several_looks(
    dataset: Dataset, tmp_path: Path, encoder: dict[str, Any]
) -> None:
    loaded = stored(dataset, tmp_path / "model.pt", encoder=encoder)
    both = loaded.predictor.with_looks(symmetric=True, look_ahead=3)
    agrees(replace(loaded, predictor=both), tmp_path)


def test_onnxruntime_agrees_for_an_equivariant_trunk(dataset: Dataset, tmp_path: Path) -> None:
    trunk = {"preset": "tiny", "equivariant": True}
    agrees(stored(dataset, tmp_path / "model.pt", trunk=trunk), tmp_path)


def test_the_example_needs_neither_hexsearch_nor_torch_and_says_the_same(
    dataset: Dataset, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    text = EXAMPLE.read_text()
    modules = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert modules == {"json", "sys", "numpy", "onnxruntime"}
    assert len(text.splitlines()) <= 40
    loaded = stored(dataset, tmp_path / "model.pt")
    assert main(["export", str(tmp_path / "model.pt"), "--format", "onnx"]) == 0
    done = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path, "c3", "b2", "d4"],
        capture_output=True,
        text=True,
        check=True,
    )
    asked = positions_of_moves([(12, 6, 18)], 5)
    expected = loaded.predictor.answer(asked).win_prob_red[0]
    assert f"probability {expected:.3f}" in done.stdout


def test_safetensors_hold_the_weights_that_answer(dataset: Dataset, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    loaded = stored(dataset, tmp_path / "model.pt")
    weights = safetensors.load_file(export_safetensors(loaded, tmp_path))
    own = loaded.predictor.network.state_dict()
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name].cpu()) for name in own)
    assert json.loads((tmp_path / "model.json").read_text())["trial"]["batch_size"] == 64


def test_a_checkpoint_for_others_is_smaller_and_answers_alike(
    dataset: Dataset, tmp_path: Path
) -> None:
    path, output = tmp_path / "model.pt", tmp_path / "slim"
    loaded = stored(dataset, path, optimiser={"ema_half_life": 100})
    assert main(["export", str(path), "--output", str(output)]) == 0
    slim = output / "model.pt"
    assert slim.stat().st_size < path.stat().st_size
    positions = positions_of_moves(GAMES, 5)
    for name in ("win_prob_red", "policy"):
        expected = getattr(loaded.predictor.answer(positions), name)
        found = getattr(load_network(slim).predictor.answer(positions), name)
        np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_exported_is_said_so(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pt"
    stored(dataset, path)
    assert main(["export", str(path)]) == 2
    assert "would replace itself" in capsys.readouterr().err
    assert main(["export", str(path), "--format", "onnx", "--trial", "t0000"]) == 2
    assert "--trial" in capsys.readouterr().err
    assert main(["export", str(path), "--look-ahead", "--output", str(tmp_path / "new")]) == 2
    assert "are for --format onnx" in capsys.readouterr().err
